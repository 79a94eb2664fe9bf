"""Whether limits make sense: among each other, and on a cluster of this size. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..cluster import ClusterState
from ..sizes import MINIMUM_OVERHEAD_MB, round_up_mb
from .fields import FIELDS
from .resolve import ResolvedLimit, number
from .text import write_value

#: A kernel that is stopped earlier than this is stopped while its owner reads the last result.
SHORTEST_IDLE = 60
#: The smallest heap that Spark's driver starts with.
SMALLEST_HEAP_MB = 512
#: Limits of one kernel, and the limit of all kernels together that they can't be above.
_PARTS = (
    ("driver_memory_mb", "memory_mb"),
    ("executor_memory_mb", "memory_mb"),
    ("driver_cores", "cores"),
    ("executor_cores", "cores"),
)
#: Whether 0 of the first means that the second does nothing.
_USELESS = (("kernels", "memory_mb"), ("kernels", "cores"), ("memory_mb", "kernels"), ("cores", "kernels"))


@dataclass(frozen=True)
class Finding:
    """Something odd about a limit, in a sentence."""

    field: str
    text: str


def findings(limits: Mapping[str, ResolvedLimit], cluster: ClusterState | None = None) -> list[Finding]:
    """Return what is odd about the limits of one user, group or the default.

    Parameters
    ----------
    limits : mapping
        Every field, resolved.
    cluster : ClusterState, optional
        The cluster; without it only the limits themselves are looked at.
    """
    found = [*_among_each_other(limits), *_times(limits)]
    if cluster is not None and cluster.as_of is not None:
        found += [*_on_cluster(limits, cluster), *_queues(limits, cluster)]
    return found


def _among_each_other(limits: Mapping[str, ResolvedLimit]) -> Iterator[Finding]:
    for part, total in _PARTS:
        one, all_of_them = number(limits[part]), number(limits[total])
        if one is not None and all_of_them is not None and one > all_of_them > 0:
            yield Finding(part, f"{_said(limits, part)} is above {_within(limits, total)}: that much is never reached.")
    for none, some in _USELESS:
        if number(limits[none]) == 0 and number(limits[some]) != 0:
            yield Finding(
                none, f"{_said(limits, none)}: nothing can be started, whatever {_within(limits, some)} says."
            )
            return


def _times(limits: Mapping[str, ResolvedLimit]) -> Iterator[Finding]:
    idle, lifetime = number(limits["idle_timeout"]), number(limits["lifetime"])
    if idle is not None and idle < SHORTEST_IDLE:
        shortest = write_value("idle_timeout", SHORTEST_IDLE)
        yield Finding("idle_timeout", f"{_said(limits, 'idle_timeout')} is less than {shortest}: kernels end at once.")
    if idle is not None and lifetime is not None and idle > lifetime:
        yield Finding(
            "idle_timeout",
            f"{_said(limits, 'idle_timeout')} is above {_within(limits, 'lifetime')}: it is never reached.",
        )
    if lifetime is not None and lifetime < SHORTEST_IDLE:
        shortest = write_value("lifetime", SHORTEST_IDLE)
        yield Finding("lifetime", f"{_said(limits, 'lifetime')} is less than {shortest}: kernels end at once.")


def _on_cluster(limits: Mapping[str, ResolvedLimit], cluster: ClusterState) -> Iterator[Finding]:
    total = number(limits["memory_mb"])
    smallest = round_up_mb(SMALLEST_HEAP_MB + MINIMUM_OVERHEAD_MB, max(cluster.minimum_allocation_mb, 1))
    if total is not None and 0 < total < smallest:
        has = write_value("memory_mb", smallest)
        yield Finding("memory_mb", f"{_said(limits, 'memory_mb')} is less than the smallest kernel takes ({has}).")
    for name, most, what in (
        ("driver_memory_mb", cluster.maximum_allocation_mb, "the largest container"),
        ("executor_memory_mb", cluster.maximum_allocation_mb, "the largest container"),
        ("driver_cores", cluster.maximum_allocation_vcores, "the largest container"),
        ("executor_cores", cluster.maximum_allocation_vcores, "the largest container"),
        ("memory_mb", cluster.memory_total_mb, "the whole cluster"),
        ("cores", cluster.vcores_total, "the whole cluster"),
    ):
        limit = number(limits[name])
        if limit is not None and most > 0 and limit > most:
            yield Finding(name, f"{_said(limits, name)} is more than {what} has ({write_value(name, most)}).")


def _queues(limits: Mapping[str, ResolvedLimit], cluster: ClusterState) -> Iterator[Finding]:
    allowed = limits["queues"].value
    known = {word for queue in cluster.queues for word in (queue.name, queue.path)}
    if not isinstance(allowed, tuple) or not known:
        return
    if not allowed:
        yield Finding("queues", f"{_said(limits, 'queues')}: nothing can be started in any queue.")
    there = ", ".join(sorted(queue.name for queue in cluster.queues))
    for name in allowed:
        if name not in known:
            yield Finding("queues", f"{_said(limits, 'queues')}: the cluster has no queue '{name}' (it has: {there}).")


def _said(limits: Mapping[str, ResolvedLimit], name: str) -> str:
    """Write a limit as the subject of a sentence: its label, value, unit and source."""
    limit, unit = limits[name], FIELDS[name].unit
    unit = f" {unit}" if unit in {"cores", "vcores", "kernels", "executors"} and number(limit) is not None else ""
    return f"{FIELDS[name].label} ({write_value(name, limit.value)}{unit}, {limit.source})"


def _within(limits: Mapping[str, ResolvedLimit], name: str) -> str:
    """Write a limit within a sentence."""
    said = _said(limits, name)
    return said[0].lower() + said[1:]
