"""The cluster as the gateway decides with it: one answer of the edge service, shared and not too old."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone

from hub_ext.cluster import ClusterState
from hub_ext.errors import PublicError

#: Seconds for which one answer serves everybody.
FRESH = 2.0
#: Seconds that a decision waits for a newer answer while the last one is still good enough.
PATIENCE = 3.0


class ClusterView:
    """Keeps the newest `ClusterState`.

    Parameters
    ----------
    ask : callable
        Asks the edge service.
    maximum_age : float
        Seconds after which the numbers are too old to decide with. Counted from when the ResourceManager told them, so
        the clocks of this machine and of the edge service's have to agree to within a few seconds.
    now : callable
        The clock, UTC.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[ClusterState]],
        maximum_age: float,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._ask = ask
        self._maximum_age = maximum_age
        self._now = now
        self._state: ClusterState | None = None
        self._failure: PublicError | None = None
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def state(self) -> ClusterState:
        """Return the cluster's state.

        Raises
        ------
        PublicError
            ``cluster-unreachable``: it was never seen, or too long ago.
        """
        usable = self._usable()
        if usable is None or time.monotonic() - self._asked_at > FRESH:
            await self._refresh(None if usable is None else PATIENCE)
        usable = self._usable()
        if usable is None:
            raise self._too_old()
        return usable

    async def _refresh(self, patience: float | None) -> None:
        """Ask, once for everybody who waits; whoever has something to go by waits no longer than `patience`."""
        if self._asking is None or self._asking.done():
            if self._failure is not None and time.monotonic() - self._asked_at <= FRESH:
                return
            self._asking = asyncio.create_task(self._ask_once())
        await asyncio.wait({self._asking}, timeout=patience)

    async def _ask_once(self) -> None:
        try:
            self._state, self._failure = await self._ask(), None
        except PublicError as error:
            self._failure = error
        self._asked_at = time.monotonic()

    def _usable(self) -> ClusterState | None:
        return self._state if self._state is not None and self._age(self._state) <= self._maximum_age else None

    def _age(self, state: ClusterState) -> float:
        return (self._now() - state.as_of).total_seconds() if state.as_of is not None else float("inf")

    def _too_old(self) -> PublicError:
        seen = self._state.as_of if self._state is not None else None
        why = self._failure.message if self._failure is not None else (self._state.error if self._state else "")
        since = f"It was last seen at {seen:%H:%M:%S} UTC." if seen else "It has not been seen since the gateway began."
        return PublicError(
            "cluster-unreachable",
            "What the Hadoop cluster has room for is not known at the moment, so no kernel can be started.",
            details=[line for line in (why, since) if line],
            remedy="Running kernels go on. Try again in a minute; if it stays, tell your Hub administrator.",
        )
