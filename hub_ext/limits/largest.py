"""The largest kernel that somebody could start now, and what keeps it from being larger. Pure.

The driver comes first, as large as may be; then executors, of the number and size that take most of what is left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..cluster import ClusterState, Queue
from ..sizes import Footprint, KernelSize, Rules, exact_mb, footprint, human_mb, overhead_mb
from .ask import Held, used_by
from .refusals import PARTS, amount, in_use
from .resolve import ResolvedLimit, number
from .room import NO_BOUND, Free, Room, against, left_in, places, room_of, share_of, without_driver
from .words import source_words

#: Spark does not start with less heap, neither as a driver nor as an executor.
LEAST_HEAP_MB = 512
#: What a definition takes at most.
MOST_HEAP_MB = 4_194_304
MOST_CORES = 1024
MOST_EXECUTORS = 10_000
#: Fields of all kernels: what they are called in a sentence.
TOGETHER = {"kernels": "Kernels", "memory_mb": "Memory of all kernels", "cores": "Cores of all kernels"}
#: Into how many even parts memory is divided to find the size of executors, and of how many nodes. With more, little
#: would be won.
PARTS_TRIED = 32
NODES_TRIED = 16


@dataclass(frozen=True)
class Bound:
    """What keeps a kernel from being larger: a limit's `field`, or `what` of the cluster."""

    text: str
    field: str = ""
    what: str = ""


@dataclass(frozen=True)
class Largest:
    """The largest kernel; `driver_memory_mb` is 0 when none can start. Heap in MiB, `memory_mb` and `cores` in YARN."""

    driver_memory_mb: int
    driver_cores: int
    executors: int
    executor_memory_mb: int
    executor_cores: int
    memory_mb: int
    cores: int
    queue: str | None
    bound_by: tuple[Bound, ...]
    text: str

    @property
    def size(self) -> KernelSize:
        """The kernel's size."""
        return KernelSize(
            self.driver_memory_mb, self.driver_cores, self.executors, self.executor_memory_mb, self.executor_cores
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        bounds = [{key: value for key, value in asdict(one).items() if value} for one in self.bound_by]
        return {**asdict(self), "bound_by": bounds}


def largest_kernel(
    limits: Mapping[str, ResolvedLimit],
    held: Sequence[Held],
    cluster: ClusterState,
    rules: Rules | None = None,
    queue: str | None = None,
) -> Largest:
    """Work out the largest kernel that could start without waiting.

    Parameters
    ----------
    limits, held
        The owner's limits in force, and what their live kernels hold.
    cluster : ClusterState
        What the cluster gives, and what is free.
    rules : Rules, optional
        How containers are made; by default the cluster's, with Spark's usual overhead.
    queue : str, optional
        Where; by default the queue that has most left of those that the owner may use.
    """
    rules = rules or cluster.rules()
    chosen = cluster.queue(queue) if queue else _roomiest(limits, held, cluster, rules)
    room = room_of(limits, held, cluster, chosen)
    words = _Words(limits, held, cluster, chosen, room)
    blocked = words.blocked() or words.of(against(KernelSize(LEAST_HEAP_MB), room, rules))
    if blocked:
        text = "No kernel can start now."
        return Largest(0, 0, 0, 0, 0, 0, 0, chosen.path if chosen else None, tuple(blocked), text)
    size = _with_cores(_with_executors(_driver(room, rules), room, rules), room, rules)
    total = footprint(size, rules)
    return Largest(
        driver_memory_mb=size.driver_memory_mb,
        driver_cores=size.driver_cores,
        executors=size.executors,
        executor_memory_mb=size.executor_memory_mb,
        executor_cores=size.executor_cores,
        memory_mb=total.memory_mb,
        cores=total.vcores,
        queue=chosen.path if chosen else None,
        bound_by=tuple(words.of(_bounds(size, room, rules))),
        text=_text(size, total),
    )


def _roomiest(
    limits: Mapping[str, ResolvedLimit], held: Sequence[Held], cluster: ClusterState, rules: Rules
) -> Queue | None:
    allowed = limits["queues"].value if "queues" in limits else None
    queues = cluster.queues
    if isinstance(allowed, tuple):
        named = [cluster.queue(name) for name in allowed]
        queues = tuple(one for one in named if one is not None)
    open_ones = [one for one in queues if one.state in ("", "RUNNING")]
    used, least = used_by(held), footprint(KernelSize(LEAST_HEAP_MB), rules)

    def room(queue: Queue) -> tuple[bool, int, int, str]:
        share = share_of(cluster, queue, used.memory_mb, used.cores)
        left_mb, left_vcores = left_in(cluster, queue)
        most_mb, most_vcores = min(left_mb, share.user_mb), min(left_vcores, share.user_vcores)
        takes_one = min(most_mb, share.am_mb) >= least.memory_mb
        if cluster.resource_calculator == "dominant":
            takes_one = takes_one and min(most_vcores, share.am_vcores) >= least.vcores
        return takes_one, most_mb, most_vcores, queue.path

    return max(open_ones, key=room, default=None)


def _driver(room: Room, rules: Rules) -> KernelSize:
    return KernelSize(
        _most(
            LEAST_HEAP_MB, min(room.driver_memory_mb, MOST_HEAP_MB), lambda mb: not against(KernelSize(mb), room, rules)
        )
    )


def _with_executors(driver: KernelSize, room: Room, rules: Rules) -> KernelSize:
    """Add the executors that take most; the larger ones when it comes to the same."""
    total = footprint(driver, rules)
    nodes = without_driver(total, room.nodes) or []
    left_mb = min(room.own_mb, room.queue_mb, room.user_mb) - total.memory_mb
    left_vcores = min(room.own_vcores, room.queue_vcores, room.user_vcores) - total.vcores
    vcores = rules.container_vcores(1)
    best = driver
    best_mb = 0
    for heap in _heaps(left_mb, room, nodes, rules):
        one = footprint(replace(driver, executors=1, executor_memory_mb=heap), rules).executor_mb
        number_of = min(
            room.executors, MOST_EXECUTORS, left_mb // one, left_vcores // vcores, places(one, vcores, nodes)
        )
        found = replace(driver, executors=number_of, executor_memory_mb=heap)
        if number_of > 0 and number_of * one > best_mb and not against(found, room, rules):
            best, best_mb = found, number_of * one
    if best is driver:
        return driver
    most = min(room.executor_memory_mb, MOST_HEAP_MB)
    heap = _most(
        best.executor_memory_mb, most, lambda mb: not against(replace(best, executor_memory_mb=mb), room, rules)
    )
    return replace(best, executor_memory_mb=heap)


def _heaps(left_mb: int, room: Room, nodes: Sequence[Free], rules: Rules) -> list[int]:
    """Return sizes of executors to try, the largest first: even parts of what is left in all and on single nodes."""
    vcores = rules.container_vcores(1)
    free = sorted({memory for memory, free_vcores in nodes if free_vcores >= vcores}, reverse=True)[:NODES_TRIED]
    largest = min(left_mb, room.container_mb, *free[:1])
    parts = [whole // count for whole in (left_mb, *free) for count in range(1, PARTS_TRIED + 1)]
    most = min(room.executor_memory_mb, MOST_HEAP_MB)
    heaps = {min(_heap_in(min(part, largest), rules), most) for part in parts}
    return sorted({heap for heap in heaps if heap > LEAST_HEAP_MB} | {LEAST_HEAP_MB}, reverse=True)


def _heap_in(container_mb: int, rules: Rules) -> int:
    """Return the largest heap whose container is not larger than this."""

    def fits(heap: int) -> bool:
        beside = overhead_mb(heap, None, rules.overhead_factor, rules.minimum_overhead_mb)
        return rules.container_mb(heap + beside) <= container_mb

    return _most(0, container_mb, fits) if container_mb > 0 else 0


def _with_cores(size: KernelSize, room: Room, rules: Rules) -> KernelSize:
    """Give executors, or a driver without any, as many cores as may be."""
    field, most = ("executor_cores", room.executor_cores) if size.executors else ("driver_cores", room.driver_cores)
    most = min(most, MOST_CORES)
    cores = _most(1, most, lambda value: not against(replace(size, **{field: value}), room, rules))
    return replace(size, **{field: cores})


def _most(least: int, most: int, holds: Callable[[int], bool]) -> int:
    """Return the largest value for which `holds`, which does for `least` and for nothing above where it ends."""
    low, high = least, max(least, most)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _bounds(size: KernelSize, room: Room, rules: Rules) -> list[str]:
    """Name what forbids one more executor, a larger one, and a larger driver, in this order."""
    executor = max(size.executor_memory_mb, LEAST_HEAP_MB)
    larger = [
        replace(size, executors=size.executors + 1, executor_memory_mb=executor),
        replace(size, executor_memory_mb=executor + rules.step_mb),
        replace(size, driver_memory_mb=size.driver_memory_mb + rules.step_mb),
    ]
    return list(dict.fromkeys(name for one in larger for name in against(one, room, rules)))


def _text(size: KernelSize, total: Footprint) -> str:
    driver = f"1 driver of {human_mb(size.driver_memory_mb)}"
    taken = f"({human_mb(total.memory_mb)} in YARN)"
    if not size.executors:
        return f"{driver} without executors {taken}"
    noun = "executor" if size.executors == 1 else "executors"
    return f"{driver} and {size.executors} {noun} of {human_mb(size.executor_memory_mb)} {taken}"


@dataclass(frozen=True)
class _Words:
    """Writes bounds for people."""

    limits: Mapping[str, ResolvedLimit]
    held: Sequence[Held]
    cluster: ClusterState
    queue: Queue | None
    room: Room

    def blocked(self) -> list[Bound]:
        """Return what forbids any kernel, whatever its size."""
        found = []
        most = number(self.limits["kernels"]) if "kernels" in self.limits else None
        if most is not None and len(self.held) >= most:
            found.append(self._field("kernels"))
        queues = self.limits["queues"].value if "queues" in self.limits else None
        if isinstance(queues, tuple) and self.cluster.queues and self.queue is None:
            found.append(Bound(f"You may use no queue that is open ({source_words(self.limits['queues'])}).", "queues"))
        return found

    def of(self, names: Sequence[str]) -> list[Bound]:
        """Return a bound with its words for each name that `against` gave."""
        cluster = {
            "container": self._container,
            "queue": self._queue,
            "drivers": self._drivers,
            "user": self._user,
            "nodes": self._nodes,
        }
        return [Bound(cluster[name](), what=name) if name in cluster else self._field(name) for name in names]

    def _field(self, field: str) -> Bound:
        limit = self.limits[field]
        text = f"your limit is {amount(field, number(limit) or 0)} ({source_words(limit)})"
        if field in PARTS:
            return Bound(f"{PARTS[field]}: {text}.", field)
        used = used_by(self.held)
        now = {"kernels": used.kernels, "memory_mb": used.memory_mb, "cores": used.cores}[field]
        return Bound(f"{TOGETHER[field]}: {text}; {in_use(field, now)}.", field)

    def _container(self) -> str:
        cores = f" and {self.room.container_cores} vcores" if self.room.container_cores < NO_BOUND else ""
        memory = exact_mb(self.room.container_mb) if self.room.container_mb < NO_BOUND else "any memory"
        return f"The largest container has {memory}{cores}."

    def _queue(self) -> str:
        where = f"Queue {self.queue.name}" if self.queue else "The cluster"
        vcores = f" and {self.room.queue_vcores} vcores" if self.room.queue_vcores < NO_BOUND else ""
        return f"{where} has {exact_mb(self.room.queue_mb)}{vcores} left; what is larger waits."

    def _drivers(self) -> str:
        where = f"Queue {self.queue.name}" if self.queue else "The queue"
        vcores = f" and {self.room.am_vcores} vcores" if self.room.am_vcores < NO_BOUND else ""
        return f"{where} has {exact_mb(self.room.am_mb)}{vcores} left for drivers; a larger one waits."

    def _user(self) -> str:
        where = f"Queue {self.queue.name}" if self.queue else "The queue"
        vcores = f" and {self.room.user_vcores} vcores" if self.room.user_vcores < NO_BOUND else ""
        return f"{where} gives you {exact_mb(self.room.user_mb)}{vcores} more; what is larger waits."

    def _nodes(self) -> str:
        free = [memory for memory, _ in self.room.nodes]
        return (
            f"The nodes have {exact_mb(sum(free))} free, at most {exact_mb(max(free, default=0))} on one; "
            "what is larger waits."
        )
