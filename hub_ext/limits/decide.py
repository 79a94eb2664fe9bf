"""May this kernel start? Own limits first, then what the cluster could ever give. Pure; the words are in `refusals`."""

from collections.abc import Mapping, Sequence

from ..cluster import ClusterState, Node, Queue, queue_path
from ..errors import PublicError
from . import physical_refusals, refusals
from .ask import Ask, Held, used_by
from .fields import UNLIMITED
from .refusals import Offence
from .resolve import ResolvedLimit, number

#: Limits of what a kernel takes in YARN.
YARN_FIELDS = ("memory_mb", "cores", *refusals.PARTS, "queues")

__all__ = ["Ask", "Held", "limit_refusal", "physical_refusal"]


def limit_refusal(
    ask: Ask,
    limits: Mapping[str, ResolvedLimit],
    held: Sequence[Held],
    cluster: ClusterState | None = None,
) -> PublicError | None:
    """Return the first thing that is against the owner's own limits, or None.

    Parameters
    ----------
    ask : Ask
        The kernel.
    limits : mapping
        Field to limit in force; a missing field is unlimited.
    held : sequence of Held
        The owner's other live kernels.
    cluster : ClusterState, optional
        Tells which queue a short name means; without it names are compared as they are written.
    """
    return (
        _unknown(ask, limits)
        or _queue(ask, limits, cluster)
        or _one_kernel(ask, limits)
        or _number_of_kernels(ask, limits, held)
        or _totals(ask, limits, held)
    )


def _unknown(ask: Ask, limits: Mapping[str, ResolvedLimit]) -> PublicError | None:
    if not ask.size_unknown or ask.size is None:
        return None
    for field in YARN_FIELDS:
        limit = limits.get(field)
        if limit is not None and limit.value != UNLIMITED:
            return refusals.size_unknown(ask, field, limit)
    return None


def _queue(ask: Ask, limits: Mapping[str, ResolvedLimit], cluster: ClusterState | None) -> PublicError | None:
    limit = limits.get("queues")
    if ask.size is None or limit is None or not isinstance(limit.value, tuple):
        return None
    if _path(ask.queue, cluster) in {_path(name, cluster) for name in limit.value}:
        return None
    return refusals.queue_not_allowed(ask, limit)


def _path(name: str | None, cluster: ClusterState | None) -> str:
    found = cluster.queue(name) if cluster else None
    return queue_path(found.path if found else name)


def _one_kernel(ask: Ask, limits: Mapping[str, ResolvedLimit]) -> PublicError | None:
    if ask.size is None:
        return None
    asked = {
        "driver_memory_mb": ask.size.driver_memory_mb,
        "driver_cores": ask.size.driver_cores,
        "executors": ask.size.largest_executors,
    }
    if ask.size.largest_executors:
        asked |= {"executor_memory_mb": ask.size.executor_memory_mb, "executor_cores": ask.size.executor_cores}
    offences = [one for field, value in asked.items() if (one := _offence(limits, field, value, 0))]
    return refusals.over_kernel_limit(ask, offences) if offences else None


def _number_of_kernels(ask: Ask, limits: Mapping[str, ResolvedLimit], held: Sequence[Held]) -> PublicError | None:
    offence = _offence(limits, "kernels", 1, len(held))
    return refusals.too_many_kernels(ask, offence, held) if offence else None


def _totals(ask: Ask, limits: Mapping[str, ResolvedLimit], held: Sequence[Held]) -> PublicError | None:
    used = used_by(held)
    sums = (
        ("memory_mb", ask.footprint.memory_mb, used.memory_mb),
        ("cores", ask.footprint.vcores, used.cores),
    )
    # What takes nothing is not refused, also when others hold too much.
    offences = [one for field, asked, has in sums if asked and (one := _offence(limits, field, asked, has))]
    return refusals.over_total_limit(ask, offences, held) if offences else None


def _offence(limits: Mapping[str, ResolvedLimit], field: str, asked: int, used: int) -> Offence | None:
    limit = limits.get(field)
    most = number(limit) if limit else None
    if limit is None or most is None or used + asked <= most:
        return None
    return Offence(field, asked, most, used, limit)


def physical_refusal(ask: Ask, cluster: ClusterState) -> PublicError | None:
    """Return why the cluster could never run this kernel, or None. What is full only now is not refused."""
    if ask.size is None:
        return None
    queue = cluster.queue(ask.queue)
    if ask.queue and queue is None and cluster.queues and cluster.queues_fixed:
        return physical_refusals.unknown_queue(ask, cluster)
    return _containers(ask, cluster, queue) or _nodes(ask, cluster) or _queue_share(ask, cluster, queue)


def parts(ask: Ask) -> list[physical_refusals.Part]:
    """Return the kernel's kinds of containers."""
    size, total = ask.size, ask.footprint
    if size is None:
        return []
    found = [physical_refusals.Part("driver", total.driver_mb, size.driver_cores, total.driver_vcores)]
    if total.executors:
        found.append(physical_refusals.Part("executor", total.executor_mb, size.executor_cores, total.executor_vcores))
    return found


def largest_container(cluster: ClusterState, queue: Queue | None) -> tuple[int, int]:
    """Return memory and vcores of the largest container that is given in a queue; 0: not known."""
    return (
        _least(cluster.maximum_allocation_mb, queue.maximum_allocation_mb if queue else 0),
        _least(cluster.maximum_allocation_vcores, queue.maximum_allocation_vcores if queue else 0),
    )


def largest_share(cluster: ClusterState, queue: Queue | None) -> tuple[int, int]:
    """Return memory and vcores that all of a queue can hold together, of the cluster without one; 0: not known."""
    total = (cluster.memory_total_mb, cluster.vcores_total)
    if queue is None:
        return total
    percent = queue.maximum_percent or 100.0
    return (
        queue.maximum_memory_mb or int(total[0] * percent / 100),
        queue.maximum_vcores or int(total[1] * percent / 100),
    )


def working_nodes(cluster: ClusterState) -> list[Node]:
    """Return the nodes that take containers."""
    return [one for one in cluster.nodes if one.state == "RUNNING"]


def fits_node(part: physical_refusals.Part, node: Node, cluster: ClusterState) -> bool:
    """Say whether a node that is empty could hold this container."""
    vcores_fit = cluster.resource_calculator == "memory" or part.vcores <= node.vcores_total
    return vcores_fit and part.memory_mb <= node.memory_total_mb


def _containers(ask: Ask, cluster: ClusterState, queue: Queue | None) -> PublicError | None:
    most_mb, most_vcores = largest_container(cluster, queue)
    for part in parts(ask):
        if most_mb and part.memory_mb > most_mb:
            own = queue if most_mb < (cluster.maximum_allocation_mb or most_mb + 1) else None
            return physical_refusals.container_too_large(ask, part, "memory_mb", part.memory_mb, most_mb, own)
        # The ResourceManager compares what is asked with its maximum even where it does not count vcores.
        if most_vcores and part.cores > most_vcores:
            own = queue if most_vcores < (cluster.maximum_allocation_vcores or most_vcores + 1) else None
            return physical_refusals.container_too_large(ask, part, "cores", part.cores, most_vcores, own)
    return None


def _nodes(ask: Ask, cluster: ClusterState) -> PublicError | None:
    nodes = working_nodes(cluster)
    for part in parts(ask):
        if nodes and not any(fits_node(part, node, cluster) for node in nodes):
            return physical_refusals.node_too_small(ask, part, nodes)
    return None


def _queue_share(ask: Ask, cluster: ClusterState, queue: Queue | None) -> PublicError | None:
    most_mb, most_vcores = largest_share(cluster, queue)
    if ask.size is not None and ask.size.unbounded:
        return physical_refusals.unbounded(ask, most_mb, queue)
    if most_mb and ask.footprint.memory_mb > most_mb:
        return physical_refusals.queue_too_small(ask, "memory_mb", ask.footprint.memory_mb, most_mb, queue)
    counted = cluster.resource_calculator == "dominant"
    if counted and most_vcores and ask.footprint.vcores > most_vcores:
        return physical_refusals.queue_too_small(ask, "cores", ask.footprint.vcores, most_vcores, queue)
    return None


def _least(*values: int) -> int:
    return min((value for value in values if value), default=0)
