"""The short box with somebody's limits on the Hub's own pages: what they use of what they may use. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from .fields import UNLIMITED
from .resolve import ResolvedLimit, number
from .words import memory_words, source_words, used_memory_words

LABELS = {"kernels": "Kernels", "memory_mb": "Memory", "cores": "Cores"}


@dataclass(frozen=True)
class LiveKernel:
    """As much of a kernel that has not ended as the box needs."""

    kernelspec: str
    memory_mb: int
    cores: int
    stop_at: datetime | None = None
    stop_reason: str = ""


@dataclass(frozen=True)
class Row:
    """One limit. `percent` of it is used, None when there is no limit."""

    label: str
    used: str
    limit: str
    source: str
    percent: int | None
    over: bool
    full: bool = False


@dataclass(frozen=True)
class Stop:
    """The next stop that its owner has notice of; `more` others have it too."""

    kernelspec: str
    at: datetime
    reason: str
    more: int

    @property
    def clock(self) -> str:
        return f"{self.at.astimezone(timezone.utc):%H:%M} UTC"


@dataclass(frozen=True)
class Box:
    """What the template shows."""

    rows: tuple[Row, ...]
    queues: str
    stop: Stop | None

    @property
    def over(self) -> tuple[str, ...]:
        """Name the limits that are exceeded, as they stand in a sentence."""
        return tuple(row.label.lower() for row in self.rows if row.over)

    @property
    def full(self) -> tuple[str, ...]:
        """Name the limits that are used up, so that nothing more can start."""
        return tuple(row.label.lower() for row in self.rows if row.full)


def box_of(limits: Mapping[str, ResolvedLimit], kernels: Sequence[LiveKernel]) -> Box:
    """Make the box from limits in force and live kernels."""
    used = {
        "kernels": len(kernels),
        "memory_mb": sum(one.memory_mb for one in kernels),
        "cores": sum(one.cores for one in kernels),
    }
    rows = tuple(_row(name, used[name], limits[name]) for name in LABELS)
    return Box(rows, _queues(limits["queues"]), _next_stop(kernels))


def _row(name: str, used: int, limit: ResolvedLimit) -> Row:
    is_memory = name == "memory_mb"
    most = number(limit)
    return Row(
        label=LABELS[name],
        used=used_memory_words(used) if is_memory else str(used),
        limit="no limit" if most is None else memory_words(most) if is_memory else str(most),
        source=source_words(limit, "" if limit.value == UNLIMITED else "for everyone").strip(),
        percent=None if most is None else _percent(used, most),
        over=most is not None and used > most,
        full=most is not None and used == most,
    )


def _percent(used: int, most: int) -> int:
    """Return how full it is; nothing used of nothing allowed is full."""
    return min(100, 100 * used // most) if most else 100


def _queues(limit: ResolvedLimit) -> str:
    if not isinstance(limit.value, tuple):
        return ""
    return ", ".join(limit.value) or "none"


def _next_stop(kernels: Sequence[LiveKernel]) -> Stop | None:
    planned = [(one.stop_at, one.kernelspec, one.stop_reason) for one in kernels if one.stop_at is not None]
    if not planned:
        return None
    at, kernelspec, reason = min(planned)
    return Stop(kernelspec, at, reason, len(planned) - 1)
