"""What was started in advance, when its owner asks for a kernel: used, or in the way."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from hub_ext.database import Kernel
from hub_ext.limits.ask import Ask

from .catalogue import Person
from .registry import Registry, by_id
from .warm_rows import WarmRows

log = logging.getLogger("hub_gateway")

#: Looks at whether what gave way has gone, and seconds between them: what is still starting takes a moment to end.
LOOKS, PAUSE = 20, 0.25


class WarmKernels:
    """The kernels that wait to be used.

    Parameters
    ----------
    rows : WarmRows or None
        None where none is started in advance: then nothing is asked.
    registry : Registry
        Which kernels there are.
    stop : callable
        Ends a kernel for a reason.
    """

    def __init__(
        self, rows: WarmRows | None, registry: Registry, stop: Callable[[Kernel, str], Awaitable[None]]
    ) -> None:
        self._rows = rows
        self._registry = registry
        self._stop = stop

    async def taken(self, person: Person, asked: Callable[[], Awaitable[Ask]]) -> Kernel | None:
        """Return a kernel of the kind that is asked for, from now on one like any other; None if none waits."""
        if self._rows is None:
            return None
        kernel = await self._rows.take(await asked(), person.server)
        if kernel is not None:
            log.info("Started in advance, used now: kernel=%s user=%s", kernel.id, person.name)
        return kernel

    async def gave_way(self, owner: str) -> bool:
        """End what waits for somebody who wants something else; say whether there was anything."""
        found = await self._rows.let_go(owner) if self._rows is not None else []
        for kernel in found:
            await self._stop(kernel, "started in advance, and gave way to another kernel")
        gone = {kernel.id for kernel in found}
        for _ in range(LOOKS if found else 0):
            if gone.isdisjoint(by_id(await self._registry.alive(owner))):
                break
            await asyncio.sleep(PAUSE)
        return bool(found)
