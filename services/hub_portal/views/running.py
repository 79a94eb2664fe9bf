"""Running kernels: what the gateway knows of them, joined with what YARN knows by tag."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hub_ext.cluster import Application
from hub_ext.sizes import human_mb

from ..limits_models import EndedKernel
from ..models import RunningKernel
from .tables import withheld
from .warm_start import unused_words
from .words import NOTHING, count, duration, since


@dataclass(frozen=True)
class KernelRow:
    """A line of the table of running kernels. `level` is a colour's name, `state` the words beside it."""

    id: str
    kernelspec: str
    title: str
    owner: str
    state: str
    level: str
    note: str
    application: str
    size: str
    containers: str
    age: str
    idle: str
    #: What it holds of its owner's limits; empty when the gateway does not tell.
    holds: str = ""
    #: When it is going to be stopped, and in words why.
    stop_at: datetime | None = None
    stop: str = ""
    #: What its owner can do about that.
    stop_advice: str = ""


NOBODY = "no notebook is connected"

#: State of a kernel: words and level. A state that is not here is shown as it is.
STATES: Mapping[str, tuple[str, str]] = {
    "idle": ("idle", "ok"),
    "busy": ("busy", "working"),
    "starting": ("starting", "waiting"),
    "restarting": ("restarting", "waiting"),
    "autorestarting": ("restarting by itself", "waiting"),
    "dead": ("dead", "bad"),
    "unknown": ("connecting", "waiting"),
}


def kernel_rows(
    kernels: Iterable[RunningKernel],
    applications: Sequence[Application] | None,
    titles: Mapping[str, str],
    now: datetime,
) -> tuple[KernelRow, ...]:
    """Make the table, the youngest kernel first.

    Parameters
    ----------
    kernels : iterable of RunningKernel
        From the gateway.
    applications : sequence of Application or None
        From the edge service; None when it does not answer.
    titles : mapping
        Display names by kernelspec name.
    now : datetime
        The time, UTC.
    """
    rows = sorted(kernels, key=lambda one: (-(one.started_at or now).timestamp(), one.id))
    return tuple(kernel_row(one, applications, titles.get(one.kernelspec, one.kernelspec), now) for one in rows)


def kernel_row(
    kernel: RunningKernel, applications: Sequence[Application] | None, title: str, now: datetime
) -> KernelRow:
    """Make a line."""
    application = newest(applications or (), kernel.id)
    told = None if application is None or withheld(application) else application
    state, level, note = state_words(kernel, application, known=applications is not None)
    unused = unused_words(kernel, now)
    return KernelRow(
        id=kernel.id,
        kernelspec=kernel.kernelspec,
        title=title,
        owner=kernel.owner,
        state=state,
        level=level,
        note=" · ".join(part for part in (note if note != NOBODY or not unused else "", unused) if part),
        application=application.id if application else "",
        size=f"{human_mb(told.memory_mb)} · {count(told.vcores, 'vcore')}" if told else NOTHING,
        containers=count(told.containers, "container") if told else "",
        age=since(kernel.started_at or (application.started_at if application else None), now),
        idle=f"{since(kernel.last_activity, now)} ago" if kernel.last_activity else NOTHING,
        holds=f"{human_mb(kernel.memory_mb)} · {count(kernel.cores, 'core')} of the limits" if kernel.memory_mb else "",
        stop_at=kernel.stop_at,
        stop=stop_words(kernel, now),
        stop_advice=stop_advice(kernel),
    )


def stop_words(kernel: RunningKernel, now: datetime) -> str:
    """Say in how long a kernel is going to be stopped and why; empty when it is not."""
    if kernel.stop_at is None:
        return ""
    why = kernel.stop_reason.strip().rstrip(".")
    return f"in {duration((kernel.stop_at - now).total_seconds())}" + (f": {why}" if why else "")


def stop_advice(kernel: RunningKernel) -> str:
    """Say what keeps a kernel that is going to be stopped; nothing keeps one whose lifetime is over."""
    if kernel.stop_at is None:
        return ""
    if kernel.stop_field == "lifetime":
        return "Save what you need; running something does not keep it."
    return "Run something in it to keep it, or save what you need."


@dataclass(frozen=True)
class EndedRow:
    """A kernel that ended lately."""

    id: str
    title: str
    ended: str
    ran: str
    reason: str


def ended_rows(kernels: Iterable[EndedKernel], titles: Mapping[str, str], now: datetime) -> tuple[EndedRow, ...]:
    """Make the list of kernels that ended lately, in the order in which they are given."""
    return tuple(
        EndedRow(
            id=one.id,
            title=titles.get(one.kernelspec, one.kernelspec or one.id),
            ended=f"{since(one.ended_at, now)} ago" if one.ended_at else NOTHING,
            ran=since(one.started_at, one.ended_at) if one.ended_at else NOTHING,
            reason=one.reason or "no reason is known",
        )
        for one in kernels
    )


def newest(applications: Sequence[Application], kernel_id: str) -> Application | None:
    """Return a kernel's newest application: a restarted kernel keeps its id and gets a new one."""
    found = [one for one in applications if kernel_id in one.kernel_ids]
    return max(found, key=lambda one: [int(number) for number in re.findall(r"\d+", one.id)], default=None)


def state_words(kernel: RunningKernel, application: Application | None, known: bool) -> tuple[str, str, str]:
    """Say in words how a kernel is: state, level, and a note from YARN.

    Parameters
    ----------
    kernel : RunningKernel
        The kernel as the gateway tells it.
    application : Application or None
        Its newest unfinished application.
    known : bool
        Whether YARN could be asked at all.
    """
    words, level = STATES.get(kernel.state, (kernel.state or "not known", "waiting"))
    if kernel.start:
        # The notebook that waits for it says the same.
        return "waiting" if kernel.start_waits else words, "waiting", kernel.start
    if not known:
        return words, level, ""
    if application is None:
        return words, level, "" if kernel.state in ("starting", "restarting") else "no application in YARN"
    if application.state == "RUNNING" and not kernel.connections:
        # Enterprise Gateway learns of a kernel's state from its messages: before the first one it says "starting".
        ready = kernel.state in ("starting", "idle")
        return ("idle", "ok", NOBODY) if ready else (words, level, NOBODY)
    if application.state == "RUNNING" or kernel.state in ("idle", "busy"):
        # The kernel's own word is newer than the snapshot of the cluster.
        return words, level, ""
    if application.containers:
        return "starting", "waiting", "YARN has given the driver its container"
    queue = application.queue.rsplit(".", 1)[-1]
    return "waiting", "waiting", f"for room in queue {queue}" if queue else "to be submitted"
