"""When a kernel is to be stopped for having been idle or having run too long, and how its owner learns of it. Pure.

Idle is a kernel that is not busy and has said nothing for as long as its owner's `idle_timeout`; one with an open
notebook that nobody uses is idle too. Its lifetime counts from its start, busy or not. Before a stop there is notice:
`cull_notice` seconds, or half of the limit if that is shorter, so that a short limit leaves time in which nothing is
announced. A stop that became due unseen, because a limit was lowered or no gateway ran, gets its full notice from now.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from hub_ext.limits.resolve import ResolvedLimit, number

IDLE, LIFETIME = "idle_timeout", "lifetime"


@dataclass(frozen=True)
class Watched:
    """A running kernel.

    `idle_since` is None while it is busy, or when it is not known whether it is. `stop_at` is when its owner was told
    that it will be stopped, None when they were not, and `stop_reason` what they were told.
    """

    kernel_id: str
    started_at: datetime
    idle_since: datetime | None
    stop_at: datetime | None
    stop_reason: str = ""


#: How the reason of a stop begins that no work puts off.
RUNS_SINCE = "runs since"


def field_of(notice: str) -> str:
    """Return the limit that a notice is about; empty for none."""
    if not notice:
        return ""
    return LIFETIME if notice.startswith(RUNS_SINCE) else IDLE


class Notices:
    """How long each notice has still to run, by the monotonic clock: one that is set forward shortens none."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[datetime, float]] = {}

    def are_over(self, kernel_id: str, stop_at: datetime | None, now: datetime, at: float) -> bool:
        """Tell whether a kernel's notice is over, as far as it was seen to run; to be asked in every round.

        Parameters
        ----------
        kernel_id : str
            The kernel.
        stop_at : datetime, optional
            When it was told to be stopped.
        now : datetime
            UTC.
        at : float
            The same on the monotonic clock.
        """
        if stop_at is None:
            self._until.pop(kernel_id, None)
            return False
        known, until = self._until.get(kernel_id, (None, 0.0))
        if known != stop_at:
            until = at + max(0.0, (stop_at - now).total_seconds())
            self._until[kernel_id] = (stop_at, until)
        return at >= until

    def forget_all_but(self, kernel_ids: Collection[str]) -> None:
        self._until = {kernel_id: seen for kernel_id, seen in self._until.items() if kernel_id in kernel_ids}


@dataclass(frozen=True)
class Due:
    """The earlier of the two ends that limits set to a kernel."""

    at: datetime
    since: datetime
    field: str
    limit: ResolvedLimit

    @property
    def seconds(self) -> int:
        return number(self.limit) or 0

    def notice(self, now: datetime) -> str:
        """Say why it will be stopped."""
        if self.field == IDLE:
            return f"idle since {self.since:%H:%M} UTC; the limit is {_limit(self)}"
        return f"{RUNS_SINCE} {self.since:%Y-%m-%d %H:%M} UTC; the limit is {_limit(self)}"

    def end(self, now: datetime) -> str:
        """Say why it was stopped."""
        lasted = human_seconds((now - self.since).total_seconds())
        return f"stopped: {'idle' if self.field == IDLE else 'ran'} for {lasted}, the limit is {_limit(self)}"


@dataclass(frozen=True)
class Step:
    """What to do with a kernel: give notice of a stop (also: of another time), withdraw it, or stop."""

    kernel_id: str
    deed: Literal["notice", "withdraw", "stop"]
    at: datetime | None = None
    reason: str = ""
    #: The limit that is the cause.
    field: str = ""


def next_step(kernel: Watched, limits: dict[str, ResolvedLimit], now: datetime, notice: timedelta) -> Step | None:
    """Decide about one kernel.

    Parameters
    ----------
    kernel : Watched
        What is known of it.
    limits : dict
        Its owner's.
    now : datetime
        UTC.
    notice : timedelta
        The longest notice.
    """
    due = first_due(kernel, limits)
    if due is None:
        return Step(kernel.kernel_id, "withdraw") if kernel.stop_at is not None else None
    ahead = min(notice, timedelta(seconds=due.seconds / 2))
    if due.at - now > ahead:
        return Step(kernel.kernel_id, "withdraw") if kernel.stop_at is not None else None
    # Who was told of another limit was told of another way to keep it.
    if kernel.stop_at is None or field_of(kernel.stop_reason) != due.field:
        return Step(kernel.kernel_id, "notice", max(due.at, now + ahead), due.notice(now))
    if due.at > kernel.stop_at:
        return Step(kernel.kernel_id, "notice", due.at, due.notice(now))
    if now >= kernel.stop_at:
        return Step(kernel.kernel_id, "stop", reason=due.end(now), field=due.field)
    return None


def first_due(kernel: Watched, limits: dict[str, ResolvedLimit]) -> Due | None:
    """Return when a limit ends this kernel, if one does."""
    found = [
        Due(since + timedelta(seconds=seconds), since, name, limits[name])
        for name, since in ((IDLE, kernel.idle_since), (LIFETIME, kernel.started_at))
        if since is not None and (seconds := number(limits[name])) is not None
    ]
    return min(found, key=lambda due: due.at, default=None)


def human_seconds(seconds: float) -> str:
    """Write a duration for people: ``45 s``, ``35 min``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    units = (("d", 86400), ("h", 3600), ("min", 60))
    parts = []
    for name, size in units:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def _limit(due: Due) -> str:
    source = "set for you" if due.limit.source == "user" else due.limit.source
    return f"{human_seconds(due.seconds)} ({source})"
