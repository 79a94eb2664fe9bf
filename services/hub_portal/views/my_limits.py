"""A person's own limits: what each is, where it comes from, and what they hold of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hub_ext.limits.fields import UNLIMITED
from hub_ext.sizes import human_mb

from ..limits_models import KernelUse, Largest, Limit, MyLimits, Refused
from ..models import RunningKernel
from .limits import GROUPS, label, source_words, used_words, value_words
from .running import KernelRow, kernel_rows
from .words import TIMES, count, level, percent

#: Limits of which running kernels hold something.
USED = ("kernels", "memory_mb", "cores")
EXPLANATIONS: Mapping[str, str] = {
    "kernels": "running or starting at the same time",
    "memory_mb": "of all your kernels, as YARN counts it",
    "cores": "of all your kernels, as YARN counts them",
    "queues": "where your kernels may run",
    "driver_memory_mb": "the memory of your own Python process",
    "driver_cores": "for your own Python process",
    "executors": "in one kernel",
    "executor_memory_mb": "for each executor",
    "executor_cores": "for each executor",
    "idle_timeout": "without work, then a kernel is stopped",
    "lifetime": "then a kernel is stopped, busy or not",
    "server_memory_mb": "of the notebook server itself",
    "server_cores": "of the notebook server itself",
}


@dataclass(frozen=True)
class LimitRow:
    """A limit."""

    name: str
    label: str
    explanation: str
    value: str
    source: str
    used: str
    share: float
    level: str
    over: bool
    kernels: tuple[str, ...]
    can_ask: bool


@dataclass(frozen=True)
class LimitGroup:
    """Limits that belong together."""

    title: str
    rows: tuple[LimitRow, ...]


@dataclass(frozen=True)
class LargestView:
    """The largest kernel that could start now."""

    size: str
    parts: tuple[tuple[str, str], ...]
    bounds: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class RefusedView:
    """A start that was refused."""

    title: str
    at: datetime
    times: str
    lines: tuple[str, ...]


def refused_views(refused: Iterable[Refused]) -> tuple[RefusedView, ...]:
    """Make the list of refused starts."""
    return tuple(
        RefusedView(
            title=one.display_name or one.kernelspec,
            at=one.at,
            times=f"{one.count} times" if one.count > 1 else "",
            lines=one.lines,
        )
        for one in refused
    )


def limit_groups(mine: MyLimits, now: datetime) -> tuple[LimitGroup, ...]:
    """Make the table of the limits that are set, and of what is used, in the order in which people meet them."""
    shown = [(title, [name for name in names if _is_shown(name, mine)]) for title, names in GROUPS]
    return tuple(LimitGroup(title, tuple(_row(name, mine, now) for name in names)) for title, names in shown if names)


def unlimited_words(mine: MyLimits) -> str:
    """Name what has no limit, so that nobody has to wonder."""
    names = [label(name).lower() for _, names in GROUPS for name in names if not _is_shown(name, mine)]
    return ", ".join(names)


def _is_shown(name: str, mine: MyLimits) -> bool:
    limit = mine.limits.get(name)
    return name in USED or (limit is not None and limit.value != UNLIMITED)


def _row(name: str, mine: MyLimits, now: datetime) -> LimitRow:
    limit = mine.limits.get(name) or Limit(value=UNLIMITED, source="default")
    used = getattr(mine.used, name) if name in USED else None
    share = _share(used, limit)
    over = name in mine.over
    return LimitRow(
        name=name,
        label=label(name),
        explanation=EXPLANATIONS.get(name, ""),
        value=value_words(name, limit.value),
        source=source_words(limit, now),
        used=_used(name, used, limit),
        share=share,
        level="full" if over else level(share),
        over=over,
        kernels=_kernels(name, mine.kernels) if used else (),
        can_ask=limit.value != UNLIMITED,
    )


def _share(used: int | None, limit: Limit) -> float:
    if not used or not isinstance(limit.value, int):
        return 0.0
    return percent(used, limit.value) if limit.value else 100.0


def _used(name: str, used: int | None, limit: Limit) -> str:
    if used is None:
        return ""
    words = used_words(name, used)
    if not isinstance(limit.value, int):
        return f"{words} in use"
    free = max(0, limit.value - used)
    return f"{words} of {used_words(name, limit.value)} in use, {used_words(name, free)} free"


def _kernels(name: str, kernels: tuple[KernelUse, ...]) -> tuple[str, ...]:
    if name == "kernels":
        return tuple(one.display_name or one.kernelspec for one in kernels)
    return tuple(f"{one.display_name or one.kernelspec}: {used_words(name, getattr(one, name))}" for one in kernels)


def stopping_rows(kernels: Iterable[RunningKernel], mine: MyLimits | None, now: datetime) -> tuple[KernelRow, ...]:
    """Return the kernels that are going to be stopped."""
    titles = {one.kernelspec: one.display_name for one in mine.kernels if one.display_name} if mine else {}
    return kernel_rows([one for one in kernels if one.stop_at], None, titles, now)


def largest_words(largest: Largest | None, cluster_error: str) -> str:
    """Say in a line what the largest kernel is, or why that is not known."""
    if largest is None:
        return f"not known now. {cluster_error}".strip()
    return f"{human_mb(largest.memory_mb)} and {count(largest.cores, 'vcore')}" if _fits(largest) else largest.text


def _fits(largest: Largest) -> bool:
    return bool(largest.memory_mb or largest.driver_memory_mb)


def largest_view(largest: Largest | None) -> LargestView | None:
    """Make the box about the largest kernel."""
    if largest is None:
        return None
    fits = _fits(largest)
    parts = [("Driver", f"{human_mb(largest.driver_memory_mb)} heap, {count(largest.driver_cores, 'core')}")]
    if largest.executors:
        heap = f"{human_mb(largest.executor_memory_mb)} heap, {count(largest.executor_cores, 'core')}"
        parts.append(("Executors", f"{largest.executors} {TIMES} {heap}"))
    return LargestView(
        size=f"{human_mb(largest.memory_mb)} and {count(largest.cores, 'vcore')}" if fits else "",
        parts=tuple(parts) if fits else (),
        bounds=tuple(one.text for one in largest.bound_by if one.text),
        text=largest.text,
    )
