"""What nobody else would notice: kernels whose notebook server died, kernels that vanished, late applications."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta, timezone

from prometheus_client import Counter

from hub_ext.database import Kernel
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError

from .lifecycle import Lifecycle
from .registry import RUNNING, STARTING, Registry

log = logging.getLogger("hub_gateway")

REPAIRS = Counter("hub_gateway_repairs_total", "What the caretaker mended", ["what"])
#: Seconds after its end during which an application of a kernel may still turn up.
LATE = 900.0
KEEP_ENDED_DAYS = 30.0

#: Gives the notebook servers that exist, as ``(user, server)`` pairs; None when the Hub can't tell.
Servers = Callable[[], Awaitable[set[tuple[str, str]] | None]]


class Caretaker:
    """Looks after kernels at an interval.

    Parameters
    ----------
    registry, lifecycle, edge
        What it looks at and acts through.
    servers : callable
        See `Servers`.
    interval : float
        Seconds between two rounds.
    grace : float
        Seconds for which a notebook server must be gone before its kernels are stopped.
    start_timeout : float
        Seconds that a start can take at most.
    """

    def __init__(
        self,
        registry: Registry,
        lifecycle: Lifecycle,
        edge: EdgeClient,
        servers: Servers,
        *,
        interval: float,
        grace: float,
        start_timeout: float,
    ) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._edge = edge
        self._servers = servers
        self._interval = interval
        self._grace = grace
        self._start_timeout = start_timeout
        self._missing_since: dict[str, float] = {}
        self._gone_once: set[str] = set()

    async def run(self) -> None:
        """Work until cancelled; a round that fails is logged and the next one tried."""
        while True:
            for task in (self.end_orphans, self.note_vanished, self.end_late_applications, self.forget):
                try:
                    await task()
                except PublicError as error:
                    log.warning("Caretaker: %s: %s", task.__name__, error)
                except Exception:
                    log.exception("Caretaker: %s", task.__name__)
            await asyncio.sleep(self._interval)

    async def end_orphans(self) -> None:
        """Stop kernels whose notebook server has been gone for the grace time."""
        kernels = [kernel for kernel in await self._registry.alive() if kernel.server is not None]
        servers = await self._servers() if kernels else set()
        if servers is None:
            return
        now = asyncio.get_running_loop().time()
        self._missing_since = still_missing(kernels, servers, self._missing_since, now)
        for kernel in kernels:
            if now - self._missing_since.get(kernel.id, now) >= self._grace and kernel.id in self._missing_since:
                await self._lifecycle.stop(kernel, "its notebook server is gone")
                REPAIRS.labels(what="orphan").inc()

    async def note_vanished(self) -> None:
        """Bring the list of kernels in line with Enterprise Gateway's.

        One that it does not have in two rounds running has ended. A start whose gateway died half-way is either there,
        then it runs, or counts as ended once its time is up.
        """
        alive = await self._registry.alive()
        present = await self._lifecycle.present() if alive else set()
        oldest = datetime.now(timezone.utc) - timedelta(seconds=self._start_timeout)
        missing = vanished(alive, present, oldest)
        for kernel in alive:
            if kernel.state == STARTING and kernel.id in present and kernel.started_at < oldest:
                await self._registry.running(kernel.id)
                REPAIRS.labels(what="half-started").inc()
            elif kernel.id in missing & self._gone_once:
                await self._lifecycle.stop(kernel, "it ended in the cluster")
                REPAIRS.labels(what="vanished").inc()
        self._gone_once = missing

    async def end_late_applications(self) -> None:
        """End applications of kernels that ended: YARN may accept one after everybody has given up."""
        ended = await self._registry.ended_since(LATE)
        if not ended:
            return
        found = await self._edge.applications()
        for application in found.applications:
            late = ended.intersection(application.tags)
            if late and not application.ended:
                await self._edge.end_kernel(late.pop(), reason="its kernel has ended")
                REPAIRS.labels(what="late-application").inc()

    async def forget(self) -> None:
        await self._registry.forget_ended(KEEP_ENDED_DAYS)


def still_missing(
    kernels: Collection[Kernel], servers: Collection[tuple[str, str]], before: dict[str, float], now: float
) -> dict[str, float]:
    """Return since when each kernel's notebook server has been missing, in seconds of the loop's clock."""
    return {
        kernel.id: before.get(kernel.id, now)
        for kernel in kernels
        if (kernel.owner, kernel.server or "") not in servers
    }


def vanished(alive: Collection[Kernel], present: Collection[str], oldest: datetime) -> set[str]:
    """Return the ids of kernels that should be there and are not: running ones, and starts begun before `oldest`."""
    return {
        kernel.id
        for kernel in alive
        if kernel.id not in present and (kernel.state == RUNNING or kernel.started_at < oldest)
    }
