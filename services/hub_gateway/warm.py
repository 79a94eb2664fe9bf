"""Warm start: the kernel that somebody used last starts while their notebook server does.

It is a kernel like any other, within its owner's limits. The first start of the same kernelspec is answered with it.
Until then it is not listed to notebook servers, gives way to any other kernel that its owner's limits have no room for
beside it, and is ended when nobody has used it for a while.
"""

import logging
from datetime import timedelta
from typing import Any

from hub_ext.clock import utc_now
from hub_ext.errors import PublicError

from .catalogue import Person
from .culling import human_seconds
from .ends import Tasks
from .lifecycle import Lifecycle
from .registry import Registry
from .settings import ALWAYS, CHOSEN, NEVER
from .warm_kernels import WARM
from .warm_rows import WarmRows

log = logging.getLogger("hub_gateway")


class WarmStarts:
    """Starts kernels in advance and ends those that nobody uses.

    Parameters
    ----------
    rows, registry, lifecycle
        What it looks at and acts through.
    policy : str
        ``never``, ``chosen`` (for those who have switched it on) or ``always``.
    seconds : float
        For how long one waits to be used.
    """

    def __init__(self, rows: WarmRows, registry: Registry, lifecycle: Lifecycle, policy: str, seconds: float) -> None:
        self._rows = rows
        self._registry = registry
        self._lifecycle = lifecycle
        self._policy = policy
        self._seconds = seconds
        self._tasks = Tasks()

    async def told(self, owner: str) -> dict[str, Any]:
        """Return what somebody may know and set: the administrator's policy, and whether it is on for them."""
        wanted = self._policy != NEVER and await self._rows.wanted(owner)
        return {
            "policy": self._policy,
            "on": self._policy == ALWAYS or wanted,
            "kernelspec": await self._rows.last_used(owner),
            "seconds": self._seconds,
        }

    async def want(self, owner: str, wanted: bool) -> None:
        """Switch it on or off for somebody; off, what waits for them is ended.

        Raises
        ------
        PublicError
            ``warm-start-not-offered``: it is not theirs to decide.
        """
        if self._policy != CHOSEN:
            text = "for everyone" if self._policy == ALWAYS else "off for everyone"
            raise PublicError(
                "warm-start-not-offered",
                f"Whether kernels start in advance is set by your Hub administrator: {text}.",
                status=409,
            )
        await self._rows.want(owner, wanted)
        if not wanted:
            for kernel in await self._rows.let_go(owner):
                await self._lifecycle.stop(kernel, "started in advance, and switched off by its owner")

    async def begin(self, person: Person) -> str:
        """Start the kernel that this person used last, unless one of theirs runs; return its id, or empty for none.

        What its owner's limits have no room for is not started, and nobody is told: nobody has asked for it.
        """
        if not (await self.told(person.name))["on"]:
            return ""
        kernelspec = await self._rows.last_used(person.name)
        if not kernelspec or await self._registry.alive(person.name):
            return ""
        until = utc_now() + timedelta(seconds=self._seconds)
        try:
            model = await self._lifecycle.start(person, kernelspec, {}, patience=0, warm_until=until)
        except PublicError as error:
            WARM.labels(deed="refused").inc()
            log.info("No kernel is started in advance for user=%s: %s", person.name, error)
            return ""
        WARM.labels(deed="begun").inc()
        kernel_id = str(model["id"])
        log.info("Started in advance: kernel=%s kernelspec=%s user=%s", kernel_id, kernelspec, person.name)
        self._tasks.begin(self._forget_failure(kernel_id))
        return kernel_id

    async def _forget_failure(self, kernel_id: str) -> None:
        """Close the room of a start that fails before anybody has asked for it: nobody waits there to be told."""
        room = self._lifecycle.rooms.waiting(kernel_id)
        if room is None:
            return
        await room.waited(None)
        if room.failure is None:
            return
        WARM.labels(deed="failed").inc()
        if await self._rows.waits(kernel_id):
            self._lifecycle.rooms.forget(kernel_id)

    async def end_unused(self) -> None:
        """End what nobody has used in its time."""
        reason = f"started in advance, and not used for {human_seconds(self._seconds)}"
        for kernel in await self._rows.unused():
            try:
                await self._lifecycle.stop(kernel, reason)
                WARM.labels(deed="unused").inc()
            except PublicError as error:
                log.warning("The unused kernel=%s could not be stopped yet: %s", kernel.id, error)

    async def close(self) -> None:
        await self._tasks.finish(0)
