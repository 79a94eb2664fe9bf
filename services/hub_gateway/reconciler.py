"""What has to be mended: reservations, Enterprise Gateway's kernels and YARN's applications, held against each other.

Pure. The cases, in the order in which they are looked for; "waiting" or "w." means that it has to stay so for the grace
time.

==================================  ========================  ==========================  =============================
Reservation                         Enterprise Gateway        YARN, by the kernel's id    What is done
==================================  ========================  ==========================  =============================
starting, restarting, or ending,    any                       any                         nothing: somebody is at work
lease valid
starting, restarting, lease over    has it                    any                         confirm: it runs
starting, restarting, lease over    lacks it                  unfinished application      end it there, release
starting, restarting, lease over    lacks it                  nothing                     release
ending, lease over                  has it                    any                         delete there, end, release
ending, lease over                  lacks it                  unfinished application      end it there, release
ending, lease over                  lacks it                  nothing                     release
running                             lacks it (waiting)        any                         end it there, release
running, with our process proxy     has it                     nothing (waiting)           delete there, release
running                             has it                    larger than counted (w.)    count what it holds
ended                               has it                    any                         delete there
ended                               lacks it                  unfinished application      end it there
none                                has it                    application of a person     adopt for that person
none                                has it                    nothing, or a stranger's    leave alone, count, log once
none                                lacks it                  unfinished application      leave alone, count
==================================  ========================  ==========================  =============================

Who can't be asked is None here, and then no case that needs the answer is acted upon. Every action may be taken by two
gateways at once: what it does to the database depends on the state that was seen. `lapses` says when a lease is over.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from hub_ext.cluster import Application
from hub_ext.database import Kernel
from hub_ext.limits.kernels import AT_WORK, ENDED, ENDING, RUNNING, STARTING
from hub_ext.names import application_order

#: What to do: the words of the table.
Deed = Literal["confirm", "end-and-release", "release", "delete-and-release", "delete", "end", "adopt", "grow"]


@dataclass(frozen=True)
class Action:
    """One repair. `case` names the row of the table, for logs and metrics."""

    case: str
    deed: Deed
    kernel_id: str
    reason: str = ""
    #: The lease that was over: acted upon only while it is still the same.
    lease: datetime | None = None
    #: For "grow": what the kernel holds.
    memory_mb: int = 0
    cores: int = 0
    #: For "adopt": whose it is, the application that tells so, and the kernelspec.
    owner: str = ""
    application: Application | None = None
    kernelspec: str = ""


@dataclass(frozen=True)
class Plan:
    """What to do now, and what to remember until the next round."""

    actions: list[Action] = field(default_factory=list)
    #: Since when a mismatch that has to last is seen: by ``(case, kernel id)``.
    seen: dict[tuple[str, str], datetime] = field(default_factory=dict)
    #: Kernels of Enterprise Gateway that belong to nobody, and applications with a kernel's tag that do.
    unowned_kernels: frozenset[str] = frozenset()
    unknown_applications: frozenset[str] = frozenset()


@dataclass(frozen=True)
class View:
    """What is known at one moment.

    Parameters
    ----------
    kernels : mapping or None
        Enterprise Gateway's kernels: id to kernelspec. Asked before the reservations were read.
    applications : sequence or None
        YARN's unfinished applications; None also when the edge service's answer is old.
    kernelspecs_in_yarn : collection
        Kernelspecs whose kernels are YARN applications for certain, and carry their ids.
    people : mapping
        Cluster user to Hub user.
    lapsed : mapping
        Kernels whose leases are over, with these leases; never one that this gateway itself works on.
    """

    kernels: Mapping[str, str] | None
    applications: Sequence[Application] | None
    kernelspecs_in_yarn: Collection[str] = frozenset()
    people: Mapping[str, str] = field(default_factory=dict)
    lapsed: Mapping[str, datetime | None] = field(default_factory=dict)

    def has(self, kernel_id: str) -> bool:
        """Say whether Enterprise Gateway has the kernel; only to be asked when it answered."""
        return self.kernels is not None and kernel_id in self.kernels


def plan(
    reservations: Sequence[Kernel],
    view: View,
    now: datetime,
    seen_before: Mapping[tuple[str, str], datetime],
    grace: timedelta,
) -> Plan:
    """Find every mismatch of the table above.

    Parameters
    ----------
    reservations : sequence
        Every row that has not ended, and those that have of which something is still there.
    view : View
        What the others say.
    now : datetime
        UTC.
    seen_before : mapping
        `Plan.seen` of the round before.
    grace : timedelta
        How long a mismatch that may be a moment's has to last.
    """
    by_kernel = _by_kernel(view.applications)
    actions: list[Action] = []
    seen: dict[tuple[str, str], datetime] = {}
    for row in reservations:
        action = _of_row(row, view, by_kernel)
        if action is None:
            continue
        if row.state == RUNNING:
            key = (action.case, row.id)
            seen[key] = seen_before.get(key, now)
            if now - seen[key] < grace:
                continue
        actions.append(action)
    rows = {row.id for row in reservations}
    adopted, unowned = _without_reservation(rows, view, by_kernel)
    known = rows | set(view.kernels or ())
    unknown = (
        frozenset(one.id for kernel_id, one in by_kernel.items() if kernel_id not in known)
        if view.kernels is not None
        else frozenset()
    )
    return Plan(actions + adopted, seen, unowned, unknown)


def _of_row(row: Kernel, view: View, by_kernel: Mapping[str, Application]) -> Action | None:
    if row.state in AT_WORK:
        return _of_lease(row, view, by_kernel)
    if row.state == RUNNING:
        return _of_running(row, view, by_kernel)
    if row.state == ENDED and view.has(row.id):
        return Action("ended-but-there", "delete", row.id)
    if row.state == ENDED and row.id in by_kernel:
        return Action("late-application", "end", row.id, "its kernel has ended")
    return None


def _of_lease(row: Kernel, view: View, by_kernel: Mapping[str, Application]) -> Action | None:
    if row.id not in view.lapsed or view.lapsed[row.id] != row.leased_until or view.kernels is None:
        return None
    if row.state == ENDING:
        return _of_ending(row, view, by_kernel)
    if view.has(row.id):
        return Action("half-started" if row.state == STARTING else "half-restarted", "confirm", row.id)
    what = "start" if row.state == STARTING else "restart"
    reason = f"its {what} was broken off: the gateway that was at work on it went away"
    if view.applications is None:
        return None
    if row.id in by_kernel:
        return Action(f"abandoned-{what}-in-yarn", "end-and-release", row.id, reason, row.leased_until)
    return Action(f"abandoned-{what}", "release", row.id, reason, row.leased_until)


def _of_ending(row: Kernel, view: View, by_kernel: Mapping[str, Application]) -> Action | None:
    """Finish what was to end."""
    deed: Deed = "release"
    if view.has(row.id):
        deed = "delete-and-release"
    elif view.applications is None:
        return None
    elif row.id in by_kernel:
        deed = "end-and-release"
    return Action("unfinished-end", deed, row.id, row.end_reason, row.leased_until)


def _of_running(row: Kernel, view: View, by_kernel: Mapping[str, Application]) -> Action | None:
    if view.kernels is None:
        return None
    if not view.has(row.id):
        return Action("vanished", "end-and-release", row.id, "it ended in the cluster")
    gone = view.applications is not None and row.id not in by_kernel and row.kernelspec in view.kernelspecs_in_yarn
    if gone:
        return Action("dead-in-yarn", "delete-and-release", row.id, "it ended in the cluster")
    return _of_growth(row, by_kernel.get(row.id))


def _of_growth(row: Kernel, application: Application | None) -> Action | None:
    """Find a kernel whose code has asked YARN for more than was counted for it.

    Never the other way round: a kernel may take again what it gave back. Who may not see figures gets zeros.
    """
    if application is None or application.user != row.cluster_user or application.started_at is None:
        return None
    memory_mb, cores = max(row.memory_mb, application.memory_mb), max(row.cores, application.vcores)
    if (memory_mb, cores) == (row.memory_mb, row.cores):
        return None
    reason = f"it holds {memory_mb} MiB and {cores} vcores; {row.memory_mb} and {row.cores} were counted"
    return Action("grown", "grow", row.id, reason, memory_mb=memory_mb, cores=cores)


def _without_reservation(
    rows: Collection[str], view: View, by_kernel: Mapping[str, Application]
) -> tuple[list[Action], frozenset[str]]:
    """Return the kernels to adopt, and the ids of those that are nobody's as far as can be told."""
    if view.kernels is None or view.applications is None:
        return [], frozenset()
    adopted: list[Action] = []
    unowned: set[str] = set()
    for kernel_id in view.kernels:
        if kernel_id in rows:
            continue
        application = by_kernel.get(kernel_id)
        if application is not None and application.user in view.people:
            owner, kernelspec = view.people[application.user], view.kernels[kernel_id]
            adopted.append(
                Action("unreserved", "adopt", kernel_id, owner=owner, application=application, kernelspec=kernelspec)
            )
        else:
            unowned.add(kernel_id)
    return adopted, frozenset(unowned)


def _by_kernel(applications: Sequence[Application] | None) -> dict[str, Application]:
    """Return each kernel's unfinished application, the newest one: a restart's earlier one may take a moment to end."""
    found: dict[str, Application] = {}
    for application in applications or ():
        if application.ended:
            continue
        for kernel_id in application.kernel_ids:
            known = found.get(kernel_id)
            if known is None or application_order(application.id) > application_order(known.id):
                found[kernel_id] = application
    return found
