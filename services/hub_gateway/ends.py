"""Ending kernels: at Enterprise Gateway, in YARN, and in the books, in this order.

A kernel that is still being launched can't be ended: Enterprise Gateway does not know it yet and goes on launching
whoever goes away, and YARN has nothing of it at first. So it keeps its place until the launch has been answered.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

from hub_ext.database import Kernel
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError
from hub_ext.limits.admission import Admission
from hub_ext.limits.kernels import ALIVE, RUNNING

from .leases import Leases, Work
from .upstream import EnterpriseGateway

log = logging.getLogger("hub_gateway")

T = TypeVar("T")
#: Seconds after which YARN is asked again for what a launch that is to end has brought about.
AGAIN = 1.0


class Ends:
    """Ends kernels and gives their places back, never before they are gone."""

    def __init__(self, upstream: EnterpriseGateway, edge: EdgeClient, admission: Admission, leases: Leases) -> None:
        self._upstream = upstream
        self._edge = edge
        self._admission = admission
        self._leases = leases

    async def stop(self, kernel: Kernel, reason: str) -> None:
        """End a kernel and whatever YARN still runs of it; one that is gone already is no error.

        While somebody starts or restarts it, it is marked, and they end it.

        Raises
        ------
        PublicError
            Neither Enterprise Gateway nor the edge service could end it: it is still there.
        """
        log.info("Stopping kernel=%s user=%s: %s", kernel.id, kernel.owner, reason)
        if kernel.state != RUNNING and await self.left_to_its_worker(kernel, reason):
            return
        try:
            await self._upstream.delete(kernel.id)
        except PublicError as error:
            await self._end_in_yarn(kernel, reason, error)
        # What YARN might still run of it after this, the reconciler finds by its tag.
        if not await self._admission.release(kernel.id, reason, (RUNNING,)):
            await self.left_to_its_worker(kernel, reason)  # whose restart began meanwhile

    async def left_to_its_worker(self, kernel: Kernel, reason: str) -> bool:
        """Have whoever works on a kernel end it; False when nobody does."""
        if not await self._admission.ending(kernel.id, reason):
            return False
        self._leases.end(kernel.id, reason)
        return True

    async def _end_in_yarn(self, kernel: Kernel, reason: str, failure: PublicError) -> None:
        """End by its tag what Enterprise Gateway could not end, or does not know."""
        try:
            await self._edge.end_kernel(kernel.id, reason=reason, user=kernel.owner)
        except PublicError as error:
            if failure.code != "no-such-kernel":
                raise failure from error
            log.info("Whether YARN still runs kernel=%s is not known yet: %s", kernel.id, error)

    async def answered(self, launch: Awaitable[T], kernel: Kernel, work: Work) -> T:
        """Wait for a launch; once the kernel is to end, end its application in YARN, so that the launch fails."""
        launching = asyncio.ensure_future(launch)
        to_end = asyncio.ensure_future(work.to_end.wait())
        try:
            await asyncio.wait({launching, to_end}, return_when=asyncio.FIRST_COMPLETED)
            if not launching.done():
                log.info("kernel=%s is to end while it is launched.", kernel.id)
                await self._tried(self._admission.ending(kernel.id, work.reason), kernel)
            while not launching.done():
                await self._tried(self._ended_in_yarn(kernel), kernel)
                await asyncio.wait({launching}, timeout=AGAIN)
            return launching.result()
        finally:
            launching.cancel()
            to_end.cancel()

    async def undo(self, kernel: Kernel, reason: str, *, answered: bool) -> None:
        """End whatever there is of a kernel that is not to be; what can't be ended now is left to the reconciler.

        Parameters
        ----------
        kernel : Kernel
            Its reservation.
        reason : str
            For its owner.
        answered : bool
            Whether its launch was answered: before that, being nowhere to be found does not mean that it is gone.
        """
        await self._tried(self._admission.ending(kernel.id, reason, ALIVE), kernel)
        there = [await self._tried(one, kernel) for one in (self._deleted(kernel), self._ended_in_yarn(kernel))]
        if any(there) or (answered and None not in there):
            await self._tried(self._admission.release(kernel.id, reason), kernel)
        else:
            log.warning("Whether anything is left of kernel=%s is not known: it keeps its place.", kernel.id)

    async def _deleted(self, kernel: Kernel) -> bool:
        """Delete it at Enterprise Gateway; False when it is not there."""
        try:
            await self._upstream.delete(kernel.id)
        except PublicError as error:
            if error.code != "no-such-kernel":
                raise
            return False
        return True

    async def _ended_in_yarn(self, kernel: Kernel) -> bool:
        """End its applications; False when there is none."""
        told = await self._edge.end_kernel(kernel.id, reason="the kernel was not to be", user=kernel.owner)
        return bool(told.applications)

    async def _tried(self, step: Awaitable[bool], kernel: Kernel) -> bool | None:
        """Do one step; None when that was not possible."""
        try:
            return await step
        except PublicError as error:
            log.info("While kernel=%s is ended: %s", kernel.id, error)
            return None


def was_answered(error: BaseException) -> bool:
    """Say whether a failed launch was answered, so that Enterprise Gateway does not go on with it."""
    return isinstance(error, PublicError) and error.code != "enterprise-gateway-unreachable"


def words(error: BaseException) -> str:
    """Say for the owner why a start failed; what is not public is in the log alone."""
    return str(error) if isinstance(error, PublicError) else "an error in the gateway"


def ended_meanwhile(what: str) -> PublicError:
    """Make the error for a start or restart whose kernel was ended meanwhile."""
    return PublicError(
        "kernel-start-failed",
        f"The kernel was ended during its {what}: it was stopped from elsewhere, or its gateway was away for too long.",
        remedy="Start it again if you want it back.",
    )


class Tasks:
    """Work that goes on whatever becomes of those who asked for it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Any) -> "asyncio.Task[Any]":
        """Run a coroutine to its end."""
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # which whoever waits gets; often nobody does any more

    async def finish(self, seconds: float) -> None:
        """Wait for what is under way, but not for longer, and let go of the rest."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
