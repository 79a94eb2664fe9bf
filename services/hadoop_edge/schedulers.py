"""Queues of the three schedulers in one form. Their JSON has hardly a key in common."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hub_ext.cluster import Queue
from hub_ext.sizes import Calculator

from .shapes import decimal, items, mapping, memory_of, text, truth, vcores_of, whole


@dataclass(frozen=True)
class Scheduler:
    """What ``/ws/v1/cluster/scheduler`` tells: leaf queues, and the largest container (0: not told).

    `calculator` is None where it can't be seen. `queues_fixed` is False where applications can bring queues about.
    """

    kind: str
    queues: tuple[Queue, ...]
    maximum_allocation_mb: int = 0
    maximum_allocation_vcores: int = 0
    calculator: Calculator | None = None
    queues_fixed: bool = True


def scheduler(answer: Any) -> Scheduler:
    """Read the answer of any scheduler; an unknown one has no queues."""
    info = mapping(mapping(mapping(answer).get("scheduler")).get("schedulerInfo"))
    kind = text(info.get("type"))
    if kind == "capacityScheduler":
        return Scheduler(
            kind,
            tuple(_capacity_leaves(info, "")),
            maximum_allocation_mb=memory_of(info.get("maximumAllocation")),
            maximum_allocation_vcores=vcores_of(info.get("maximumAllocation")),
            calculator=_capacity_calculator(info),
            queues_fixed=not any(_makes_queues(one) for one in _tree(info)),
        )
    if kind == "fairScheduler":
        root = mapping(info.get("rootQueue"))
        queues = tuple(_fair_leaves(root, memory_of(root.get("clusterResources"))))
        # It rounds vcores too, whatever its policy compares, and makes queues by its placement rules.
        return Scheduler(kind, queues, calculator="dominant", queues_fixed=False)
    if kind == "fifoScheduler":
        return Scheduler(kind, (_fifo_queue(info),), calculator="memory")
    return Scheduler(kind, (), queues_fixed=False)


def _tree(queue: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield queue
    for child in items(queue.get("queues"), "queue"):
        yield from _tree(child)


def _makes_queues(queue: dict[str, Any]) -> bool:
    """Say whether the capacity scheduler makes children of this queue, in the old way or in the new one."""
    return truth(queue.get("autoCreateChildQueueEnabled")) or text(queue.get("autoCreationEligibility")) in {
        "legacy",
        "flexible",
    }


def _capacity_calculator(info: dict[str, Any]) -> Calculator | None:
    """Tell the calculator by what queues may give to application masters.

    DefaultResourceCalculator, which knows memory alone, works that out as so many MiB and always 1 vcore.
    """
    limits = [mapping(one.get("AMResourceLimit")) for one in _tree(info)]
    known = [vcores_of(one) for one in limits if memory_of(one)]
    if not known:
        return None
    return "dominant" if max(known) > 1 else "memory"


def _capacity_leaves(queue: dict[str, Any], parent: str) -> Iterator[Queue]:
    name = text(queue.get("queueName"))
    path = text(queue.get("queuePath")) or (f"{parent}.{name}" if parent else name)
    children = items(queue.get("queues"), "queue")
    for child in children:
        yield from _capacity_leaves(child, path)
    is_leaf = not children and parent and text(queue.get("queueType")) != "parent"
    if is_leaf:
        yield _capacity_queue(queue, name, path)


def _capacity_queue(queue: dict[str, Any], name: str, path: str) -> Queue:
    used = queue.get("resourcesUsed")
    return Queue(
        name=name,
        path=path,
        state=text(queue.get("state")),
        capacity_percent=_percent(queue.get("absoluteCapacity")),
        maximum_percent=_percent(queue.get("absoluteMaxCapacity")),
        used_percent=_percent(queue.get("absoluteUsedCapacity")),
        memory_used_mb=memory_of(used),
        vcores_used=vcores_of(used),
        applications_running=whole(queue.get("numActiveApplications")),
        applications_waiting=whole(queue.get("numPendingApplications")),
        maximum_memory_mb=memory_of(queue.get("maxEffectiveCapacity")),
        maximum_vcores=vcores_of(queue.get("maxEffectiveCapacity")),
        maximum_allocation_mb=memory_of(queue.get("maximumAllocation")),
        maximum_allocation_vcores=vcores_of(queue.get("maximumAllocation")),
        **_capacity_masters(queue),
        **_capacity_user(queue),
    )


def _capacity_masters(queue: dict[str, Any]) -> dict[str, int]:
    """Return what application masters may hold together (``maximum-am-resource-percent``), and what they do hold."""
    limit, used = queue.get("AMResourceLimit"), queue.get("usedAMResource")
    if not isinstance(limit, dict):
        return {}
    return {
        "am_maximum_mb": memory_of(limit),
        "am_maximum_vcores": vcores_of(limit),
        "am_used_mb": memory_of(used),
        "am_used_vcores": vcores_of(used),
    }


def _capacity_user(queue: dict[str, Any]) -> dict[str, int]:
    """Return what one user may hold: the queue's own share times ``user-limit-factor``, which is -1 for no bound."""
    factor, share = decimal(queue.get("userLimitFactor")), queue.get("minEffectiveCapacity")
    if factor <= 0 or not memory_of(share):
        return {}
    return {"user_maximum_mb": int(memory_of(share) * factor), "user_maximum_vcores": int(vcores_of(share) * factor)}


def _fair_leaves(queue: dict[str, Any], cluster_mb: int) -> Iterator[Queue]:
    children = items(queue.get("childQueues"), "queue")
    for child in children:
        yield from _fair_leaves(child, cluster_mb)
    if not children and text(queue.get("type")) == "fairSchedulerLeafQueueInfo":
        yield _fair_queue(queue, cluster_mb)


def _fair_queue(queue: dict[str, Any], cluster_mb: int) -> Queue:
    path = text(queue.get("queueName"))
    used = queue.get("usedResources")

    def share(resource: Any) -> float:
        return _percent(100 * memory_of(resource) / cluster_mb) if cluster_mb else 0.0

    return Queue(
        name=path.rsplit(".", 1)[-1],
        path=path,
        state="RUNNING",
        capacity_percent=share(queue.get("steadyFairResources") or queue.get("fairResources")),
        maximum_percent=share(queue.get("maxResources")),
        used_percent=share(used),
        memory_used_mb=memory_of(used),
        vcores_used=vcores_of(used),
        applications_running=whole(queue.get("numActiveApps")),
        applications_waiting=whole(queue.get("numPendingApps")),
        maximum_memory_mb=memory_of(queue.get("maxResources")),
        maximum_vcores=vcores_of(queue.get("maxResources")),
        maximum_allocation_mb=memory_of(queue.get("maxContainerAllocation")),
        maximum_allocation_vcores=vcores_of(queue.get("maxContainerAllocation")),
    )


def _fifo_queue(info: dict[str, Any]) -> Queue:
    return Queue(
        name="default",
        path="root.default",
        state=text(info.get("qstate")),
        capacity_percent=100.0,
        maximum_percent=100.0,
        # The only scheduler that writes a fraction instead of a percentage.
        used_percent=_percent(100 * decimal(info.get("usedCapacity"))),
        memory_used_mb=whole(info.get("usedNodeMemory")),
    )


def _percent(value: Any) -> float:
    return round(min(100.0, max(0.0, decimal(value))), 2)
