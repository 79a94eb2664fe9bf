"""What nobody else would notice, each at its own pace: dead servers, mismatches, idle kernels, ended grants."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from hub_ext.database import Kernel
from hub_ext.errors import PublicError
from hub_ext.limits.kernels import ENDING
from hub_ext.logs import begin, new_request_id

from .lifecycle import Lifecycle
from .registry import Registry
from .repairs import REPAIRS

log = logging.getLogger("hub_gateway")

LAST_SUCCESS = Gauge(
    "hub_gateway_chore_last_success_timestamp_seconds",
    "When a chore was done last; before the first time, when the gateway started",
    ["chore"],
)
FAILURES = Counter("hub_gateway_chore_failures_total", "Rounds of a chore that failed", ["chore"])
KEEP_ENDED_DAYS = 30.0
PAUSE_AFTER_FAILURE = 5.0

#: Gives the notebook servers that exist, as ``(user, server)`` pairs; None when the Hub can't tell.
Servers = Callable[[], Awaitable[set[tuple[str, str]] | None]]
Task = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Chore:
    """Something that is done again and again: `pause` gives the seconds until the next time."""

    name: str
    task: Task
    pause: Callable[[], Awaitable[float]]


def every(seconds: float) -> Callable[[], Awaitable[float]]:
    """Return a pause of always the same length."""

    async def pause() -> float:
        return seconds

    return pause


class Caretaker:
    """Does chores side by side until cancelled; one that fails is logged and done again."""

    def __init__(self, chores: Collection[Chore]) -> None:
        self._chores = chores

    async def run(self) -> None:
        await asyncio.gather(*(self._repeat(chore) for chore in self._chores))

    async def _repeat(self, chore: Chore) -> None:
        LAST_SUCCESS.labels(chore=chore.name).set_to_current_time()
        while True:
            await _guarded(chore.name, chore.task)
            pause = await _guarded(chore.name, chore.pause)
            await asyncio.sleep(pause if isinstance(pause, float) else PAUSE_AFTER_FAILURE)


async def _guarded(name: str, step: Task) -> object:
    """Do one step; None when it fails."""
    # What a round does for kernels has an id in all logs, as what people ask for.
    begin(new_request_id())
    try:
        done = await step()
        LAST_SUCCESS.labels(chore=name).set_to_current_time()
        return done
    except PublicError as error:
        log.warning("Caretaker: %s: %s", name, error)
    except Exception:
        log.exception("Caretaker: %s", name)
    FAILURES.labels(chore=name).inc()
    return None


class Orphans:
    """Stops kernels whose notebook server has been gone for the grace time.

    Parameters
    ----------
    registry, lifecycle
        What it looks at and acts through.
    servers : callable
        See `Servers`.
    grace : float
        Seconds for which a notebook server must be gone before its kernels are stopped.
    """

    def __init__(self, registry: Registry, lifecycle: Lifecycle, servers: Servers, *, grace: float) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._servers = servers
        self._grace = grace
        self._missing_since: dict[str, float] = {}

    async def end(self) -> None:
        """Look once."""
        alive = await self._registry.alive()
        kernels = [kernel for kernel in alive if kernel.server is not None and kernel.state != ENDING]
        servers = await self._servers() if kernels else set()
        if servers is None:
            return
        now = asyncio.get_running_loop().time()
        self._missing_since = still_missing(kernels, servers, self._missing_since, now)
        for kernel in kernels:
            if now - self._missing_since.get(kernel.id, now) >= self._grace and kernel.id in self._missing_since:
                await self._stop(kernel)

    async def _stop(self, kernel: Kernel) -> None:
        try:
            await self._lifecycle.stop(kernel, "its notebook server is gone")
            REPAIRS.labels(case="orphan").inc()
        except PublicError as error:
            log.warning("The orphaned kernel=%s could not be stopped yet: %s", kernel.id, error)


def still_missing(
    kernels: Collection[Kernel], servers: Collection[tuple[str, str]], before: dict[str, float], now: float
) -> dict[str, float]:
    """Return since when each kernel's notebook server has been missing, in seconds of the loop's clock."""
    return {
        kernel.id: before.get(kernel.id, now)
        for kernel in kernels
        if (kernel.owner, kernel.server or "") not in servers
    }
