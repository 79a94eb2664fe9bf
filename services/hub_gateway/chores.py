"""What the caretaker does for kernels, and how often."""

from dataclasses import dataclass

from hub_ext.edge import EdgeClient

from .caretaker import KEEP_ENDED_DAYS, Chore, Orphans, Servers, every
from .culler import Culler
from .lapses import Lapses
from .lifecycle import Books, Lifecycle
from .repairs import Reconciler
from .upstream import EnterpriseGateway


@dataclass(frozen=True)
class Pace:
    """Seconds; see the traits of `HubGateway`."""

    interval: float
    missing_grace: float
    dead_server_grace: float
    cull_notice: float


def chores(
    books: Books,
    lifecycle: Lifecycle,
    upstream: EnterpriseGateway,
    edge: EdgeClient,
    servers: Servers,
    user_domain: str,
    pace: Pace,
) -> list[Chore]:
    """Return the chores that look after kernels."""
    registry = books.registry
    lapses = Lapses(pace.interval, books.leases.interval)
    reconciler = Reconciler(books, lifecycle, upstream, edge, lapses, grace=pace.missing_grace, user_domain=user_domain)
    orphans = Orphans(registry, lifecycle, servers, grace=pace.dead_server_grace)
    culler = Culler(registry, lifecycle, books.limits, upstream, notice=pace.cull_notice)
    pause = every(pace.interval)

    async def forget() -> None:
        await registry.forget_ended(KEEP_ENDED_DAYS)

    return [
        Chore("reconcile", reconciler.reconcile, reconciler.pause),
        Chore("end orphans", orphans.end, pause),
        Chore("cull", culler.cull, pause),
        Chore("forget", forget, pause),
    ]
