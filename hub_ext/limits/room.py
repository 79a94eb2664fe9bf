"""What is left for one more kernel now: of its owner's limits, of its queue, on the nodes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..cluster import ClusterState, Queue
from ..sizes import Footprint, KernelSize, Rules, footprint
from .ask import Held, used_by
from .decide import largest_container, largest_share, working_nodes
from .resolve import ResolvedLimit, number

#: Stands for "nothing bounds it", and is larger than every cluster.
NO_BOUND = 2**50

#: A node's free memory (MiB) and vcores.
Free = tuple[int, int]


@dataclass(frozen=True)
class Room:
    """Numbers that a kernel must not exceed; `NO_BOUND` where there is none. Memory is MiB.

    The first five are for the heap and cores of one kernel as they are asked for; the others for what YARN makes of
    them. The `am` ones are what its queue still gives to drivers, the `user` ones to this user. `nodes` is what is free
    on each node.
    """

    driver_memory_mb: int
    driver_cores: int
    executors: int
    executor_memory_mb: int
    executor_cores: int
    own_mb: int
    own_vcores: int
    container_mb: int
    container_cores: int
    queue_mb: int
    queue_vcores: int
    am_mb: int
    am_vcores: int
    user_mb: int
    user_vcores: int
    nodes: tuple[Free, ...]


def room_of(
    limits: Mapping[str, ResolvedLimit], held: Sequence[Held], cluster: ClusterState, queue: Queue | None
) -> Room:
    """Work out what is left."""
    used = used_by(held)
    container_mb, container_cores = largest_container(cluster, queue)
    queue_mb, queue_vcores = left_in(cluster, queue)
    share = share_of(cluster, queue, used.memory_mb, used.cores)
    counted = cluster.resource_calculator == "dominant"
    nodes = working_nodes(cluster)
    free = [(one.memory_total_mb - one.memory_used_mb, one.vcores_total - one.vcores_used) for one in nodes]
    most_vcores = max((one.vcores_total for one in nodes), default=NO_BOUND)

    def limit(field: str) -> int:
        most = number(limits[field]) if field in limits else None
        return NO_BOUND if most is None else most

    return Room(
        driver_memory_mb=limit("driver_memory_mb"),
        driver_cores=limit("driver_cores"),
        executors=limit("executors"),
        executor_memory_mb=limit("executor_memory_mb"),
        executor_cores=limit("executor_cores"),
        own_mb=max(0, limit("memory_mb") - used.memory_mb),
        own_vcores=max(0, limit("cores") - used.cores),
        container_mb=container_mb or NO_BOUND,
        container_cores=min(container_cores or NO_BOUND, most_vcores),
        queue_mb=queue_mb,
        queue_vcores=queue_vcores if counted else NO_BOUND,
        am_mb=share.am_mb,
        am_vcores=share.am_vcores,
        user_mb=share.user_mb,
        user_vcores=share.user_vcores,
        nodes=tuple((memory, vcores if counted else NO_BOUND) for memory, vcores in sorted(free, reverse=True)),
    )


def left_in(cluster: ClusterState, queue: Queue | None) -> tuple[int, int]:
    """Return memory and vcores that a queue, or the cluster, can still give."""
    most_mb, most_vcores = largest_share(cluster, queue)
    used_mb, used_vcores = (queue or cluster).memory_used_mb, (queue or cluster).vcores_used
    return max(0, most_mb - used_mb), max(0, most_vcores - used_vcores)


@dataclass(frozen=True)
class Share:
    """What a queue still gives to drivers, and to one user; `NO_BOUND` where there is none. Memory is MiB."""

    am_mb: int = NO_BOUND
    am_vcores: int = NO_BOUND
    user_mb: int = NO_BOUND
    user_vcores: int = NO_BOUND


def share_of(cluster: ClusterState, queue: Queue | None, used_mb: int, used_vcores: int) -> Share:
    """Work out what is left of a queue's shares for somebody who holds so much.

    Which of their kernels are in this queue is not told; all of them are taken to be.
    """
    if queue is None:
        return Share()
    counted = cluster.resource_calculator == "dominant"
    drivers = _bounds_drivers(queue)
    return Share(
        am_mb=_left(queue.am_maximum_mb, queue.am_used_mb) if drivers else NO_BOUND,
        am_vcores=_left(queue.am_maximum_vcores, queue.am_used_vcores) if drivers and counted else NO_BOUND,
        user_mb=_left(queue.user_maximum_mb, used_mb),
        user_vcores=_left(queue.user_maximum_vcores, used_vcores) if counted else NO_BOUND,
    )


def _left(most: int | None, used: int) -> int:
    return NO_BOUND if most is None else max(0, most - used)


def _bounds_drivers(queue: Queue) -> bool:
    """Say whether the share of drivers counts: the first application of a queue is always let in."""
    return bool(queue.applications_running and queue.am_used_mb)


def against(size: KernelSize, room: Room, rules: Rules) -> list[str]:
    """Name what this kernel exceeds: limit fields, and ``container``, ``queue``, ``drivers``, ``user`` or ``nodes``."""
    total = footprint(size, rules)
    executors = size.largest_executors
    found = {
        "memory_mb": total.memory_mb > room.own_mb,
        "cores": total.vcores > room.own_vcores,
        "driver_memory_mb": size.driver_memory_mb > room.driver_memory_mb,
        "driver_cores": size.driver_cores > room.driver_cores,
        "executors": executors > room.executors,
        "executor_memory_mb": executors > 0 and size.executor_memory_mb > room.executor_memory_mb,
        "executor_cores": executors > 0 and size.executor_cores > room.executor_cores,
        "container": _exceeds_container(size, total, room),
        "queue": total.memory_mb > room.queue_mb or total.vcores > room.queue_vcores,
        "drivers": total.driver_mb > room.am_mb or total.driver_vcores > room.am_vcores,
        "user": total.memory_mb > room.user_mb or total.vcores > room.user_vcores,
        "nodes": not _on_nodes(total, room.nodes),
    }
    return [name for name, exceeds in found.items() if exceeds]


def _exceeds_container(size: KernelSize, total: Footprint, room: Room) -> bool:
    cores = max(size.driver_cores, size.executor_cores if total.executors else 0)
    return max(total.driver_mb, total.executor_mb) > room.container_mb or cores > room.container_cores


def _on_nodes(total: Footprint, nodes: Sequence[Free]) -> bool:
    free = without_driver(total, nodes)
    if free is None:
        return False
    return not total.executors or places(total.executor_mb, total.executor_vcores, free) >= total.executors


def without_driver(total: Footprint, nodes: Sequence[Free]) -> list[Free] | None:
    """Place the driver on the fullest node that can take it; return what is free then, None when none can."""
    fitting = [one for one in nodes if one[0] >= total.driver_mb and one[1] >= total.driver_vcores]
    if not fitting:
        return None
    free = list(nodes)
    free.remove(min(fitting))
    return [*free, (min(fitting)[0] - total.driver_mb, min(fitting)[1] - total.driver_vcores)]


def places(memory_mb: int, vcores: int, nodes: Sequence[Free]) -> int:
    """Count the containers of this size that find a place."""
    return sum(max(0, min(free_mb // memory_mb, free_vcores // vcores)) for free_mb, free_vcores in nodes)
