"""What a person reads when the cluster could never run a kernel, or can't be asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..cluster import ClusterState, Node, Queue
from ..errors import PublicError
from ..sizes import exact_mb
from .ask import Ask
from .fields import UNLIMITED
from .refusals import shape_words, unbounded_words

HADOOP_ADMINISTRATOR = "your Hadoop administrator"
NAMED_QUEUES = 10


@dataclass(frozen=True)
class Part:
    """A kind of container of a kernel: memory as it is given, cores as asked and as given."""

    name: str
    memory_mb: int
    cores: int
    vcores: int


def unknown_queue(ask: Ask, cluster: ClusterState) -> PublicError:
    """Refuse a queue that the scheduler does not have."""
    names = sorted(one.path.removeprefix("root.") for one in cluster.queues)
    more = f" and {len(names) - NAMED_QUEUES} more" if len(names) > NAMED_QUEUES else ""
    return PublicError(
        "unknown-queue",
        f"{ask.display_name} runs in queue {ask.queue}, which this cluster does not have.",
        details=[f"Its queues: {', '.join(names[:NAMED_QUEUES])}{more}."],
        remedy="Choose another kernel, and tell this one's owner or your Hub administrator.",
        numbers={"field": "queues", "asked": ask.queue, "limit": names, "source": "cluster", "unit": "queues"},
    )


def container_too_large(ask: Ask, part: Part, field: str, asked: int, most: int, queue: Queue | None) -> PublicError:
    """Refuse a driver or executor that is larger than the largest container, of a queue if that has its own."""
    setting = "yarn.scheduler.maximum-allocation-" + ("mb" if field == "memory_mb" else "vcores")
    where = f"queue {queue.name}" if queue else "this cluster"
    return PublicError(
        "container-too-large",
        f"{ask.display_name} asks for {_one(part)} of {_amount(field, asked)}, and the largest container that "
        f"{where} gives has {_amount(field, most)}.",
        details=_how_counted(ask, field),
        remedy=f"Choose a kernel with {_one(part)} of at most {_amount(field, most)}, or ask {HADOOP_ADMINISTRATOR} "
        f"about {setting}.",
        numbers=_numbers(field, asked, most, _source(queue)) | {"part": part.name},
    )


def node_too_small(ask: Ask, part: Part, nodes: Sequence[Node]) -> PublicError:
    """Refuse a driver or executor that no working node could hold, even empty."""
    largest = max(nodes, key=lambda one: (one.memory_total_mb, one.vcores_total))
    field, asked, most = "memory_mb", part.memory_mb, largest.memory_total_mb
    if part.memory_mb <= largest.memory_total_mb:
        field, asked, most = "cores", part.vcores, max(_cores_beside(part, nodes))
    beside = f" beside {exact_mb(part.memory_mb)}" if field == "cores" else ""
    return PublicError(
        "node-too-small",
        f"{ask.display_name} asks for {_one(part)} of {_amount(field, asked)}{beside}, and the largest working node "
        f"has {_amount(field, most)}.",
        details=_how_counted(ask, field),
        remedy=f"Choose a kernel with {_one(part)} of at most {_amount(field, most)}, or ask {HADOOP_ADMINISTRATOR} "
        "whether larger nodes come back.",
        numbers=_numbers(field, asked, most, "cluster") | {"part": part.name},
    )


def _cores_beside(part: Part, nodes: Sequence[Node]) -> list[int]:
    return [one.vcores_total for one in nodes if one.memory_total_mb >= part.memory_mb]


def queue_too_small(ask: Ask, field: str, asked: int, most: int, queue: Queue | None) -> PublicError:
    """Refuse a kernel that is larger than all that its queue can ever hold."""
    where = f"queue {queue.name}" if queue else "this cluster"
    return PublicError(
        "queue-too-small",
        f"{ask.display_name} takes {_amount(field, asked)} in YARN, and {where} can hold at most "
        f"{_amount(field, most)}, even when nothing else runs.",
        details=[f"It asks for {shape_words(ask)}."],
        remedy=f"Choose a kernel of at most {_amount(field, most)}, or ask {HADOOP_ADMINISTRATOR} for more"
        + (" or for another queue." if queue else "."),
        numbers=_numbers(field, asked, most, _source(queue)),
    )


def unbounded(ask: Ask, most_mb: int, queue: Queue | None) -> PublicError:
    """Refuse dynamic allocation without a maximum: no queue holds any number of executors."""
    return PublicError(
        "queue-too-small",
        f"{ask.display_name} can't start: nothing bounds what it takes in YARN.",
        details=[f"It asks for {shape_words(ask)}.", unbounded_words()],
        remedy="Choose another kernel, and tell this one's owner or your Hub administrator.",
        numbers={**_numbers("memory_mb", 0, most_mb, _source(queue)), "asked": UNLIMITED},
    )


def _source(queue: Queue | None) -> str:
    return f"queue {queue.path}" if queue else "cluster"


def cluster_unreachable(state: ClusterState | None = None) -> PublicError:
    """Refuse while the cluster can't be asked: then nobody knows what would fit."""
    details = ["Running kernels go on."]
    if state is not None and state.as_of is not None:
        details.append(f"It was last seen at {state.as_of:%Y-%m-%d %H:%M:%S} UTC.")
    if state is not None and state.error:
        details.append(state.error)
    return PublicError(
        "cluster-unreachable",
        "New kernels can't start now: the Hadoop cluster does not answer.",
        details=details,
        remedy=f"Try again in a minute; if it stays, tell {HADOOP_ADMINISTRATOR}.",
        numbers={"as_of": state.as_of.isoformat() if state and state.as_of else None},
    )


def _one(part: Part) -> str:
    return "executors" if part.name == "executor" else "a driver"


def _amount(field: str, value: int) -> str:
    if field == "memory_mb":
        return exact_mb(value)
    return f"{value} vcore" + ("" if value == 1 else "s")


def _how_counted(ask: Ask, field: str) -> list[str]:
    lines = []
    if field == "memory_mb":
        lines.append("Memory counts as YARN gives it: with what Spark needs beside the heap, and rounded up.")
    if ask.footprint.executors:
        lines.append(f"Altogether it asks for {shape_words(ask)}.")
    return lines


def _numbers(field: str, asked: int, most: int, source: str) -> dict[str, object]:
    unit = "MiB" if field == "memory_mb" else "vcores"
    return {"field": field, "asked": asked, "limit": most, "source": source, "largest": most, "unit": unit}
