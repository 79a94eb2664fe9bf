"""What was started in advance, when its owner asks for a kernel: used, or in the way."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from prometheus_client import Counter

from hub_ext.cluster import ClusterState
from hub_ext.database import Kernel
from hub_ext.limits.admission import Admission, Starter
from hub_ext.limits.ask import Ask

from .ends import Tasks
from .registry import Registry, by_id
from .warm_rows import WarmRows

log = logging.getLogger("hub_gateway")

WARM = Counter("hub_gateway_warm_starts_total", "Kernels that were to start in advance, by what became of it", ["deed"])
#: Looks at whether what gave way has gone, and seconds between them: what still starts ends when its launch has ended.
LOOKS, PAUSE = 120, 0.25


class WarmKernels:
    """The kernels that wait to be used.

    Parameters
    ----------
    rows : WarmRows or None
        None where none is started in advance: then nothing is asked.
    registry, admission
        Which kernels there are, and whose they may be.
    stop : callable
        Ends a kernel for a reason.
    """

    def __init__(
        self,
        rows: WarmRows | None,
        registry: Registry,
        admission: Admission,
        stop: Callable[[Kernel, str], Awaitable[None]],
    ) -> None:
        self._rows = rows
        self._registry = registry
        self._admission = admission
        self._stop = stop
        self._tasks = Tasks()

    async def taken(self, ask: Ask, starter: Starter, cluster: ClusterState) -> Kernel | None:
        """Return a kernel of the kind that is asked for, from now on one like any other; None if none waits or may be.

        The limits are those of now: they may have been lowered since it was started.
        """
        if self._rows is None or not await self._rows.any_of(ask.owner):
            return None
        using = asyncio.ensure_future(self._admission.use_warm(ask, starter, cluster))
        try:
            kernel = await asyncio.shield(using)
        except asyncio.CancelledError:
            # It may have been handed out in this very moment, to nobody.
            self._tasks.begin(self._take_back(using))
            raise
        if kernel is not None:
            WARM.labels(deed="used").inc()
            log.info("Started in advance, used now: kernel=%s user=%s", kernel.id, ask.owner)
        return kernel

    async def _take_back(self, using: "asyncio.Future[Kernel | None]") -> None:
        kernel = await using
        if kernel is not None:
            await self.put_back(kernel)

    async def put_back(self, kernel: Kernel) -> None:
        """Let a kernel that was taken wait again: whoever asked for it could not be told of it."""
        if self._rows is not None and kernel.warm_until is not None:
            await self._rows.put_back(kernel.id, kernel.warm_until)

    async def gave_way(self, ask: Ask, starter: Starter, cluster: ClusterState) -> bool:
        """End what waits for somebody who wants something else; say whether there was anything.

        Raises
        ------
        PublicError
            The refusal that would stay: then nothing is ended.
        """
        if self._rows is None:
            return False
        there, refusal = await self._admission.refusal_beside_warm(ask, starter, cluster)
        if not there:
            return False
        if refusal is not None:
            raise refusal
        owner, found = ask.owner, await self._rows.let_go(ask.owner)
        for kernel in found:
            WARM.labels(deed="gave-way").inc()
            await self._stop(kernel, "started in advance, and gave way to another kernel")
        # Another request may have made them end already.
        gone = {kernel.id for kernel in found} | await self._rows.ending(owner)
        for _ in range(LOOKS):
            if gone.isdisjoint(by_id(await self._registry.alive(owner))):
                break
            await asyncio.sleep(PAUSE)
        return True
