"""Restarts of running kernels: each keeps its place, leased while the restart lasts."""

import asyncio
import logging
from typing import Any

from hub_ext.database import Kernel
from hub_ext.errors import PublicError
from hub_ext.limits.admission import Admission
from hub_ext.limits.kernels import RESTARTING

from .ends import Ends, Tasks, ended_meanwhile, was_answered
from .failures import no_such_kernel
from .leases import Leases, Work
from .registry import Registry
from .upstream import EnterpriseGateway

log = logging.getLogger("hub_gateway")


class Restarts:
    """Restarts kernels whatever becomes of those who asked for it. `timeout` is what one may take, in seconds."""

    def __init__(
        self,
        registry: Registry,
        admission: Admission,
        leases: Leases,
        upstream: EnterpriseGateway,
        ends: Ends,
        timeout: float,
    ) -> None:
        self._registry = registry
        self._admission = admission
        self._leases = leases
        self._upstream = upstream
        self._ends = ends
        self._timeout = timeout
        self._tasks = Tasks()
        self._restarts: dict[str, asyncio.Task[dict[str, Any]]] = {}

    async def restart(self, kernel: Kernel) -> dict[str, Any]:
        """Restart a kernel and return its model; two at once are one."""
        if kernel.id not in self._restarts:
            self._restarts[kernel.id] = self._tasks.begin(self._relaunch(kernel))
            self._restarts[kernel.id].add_done_callback(lambda _: self._restarts.pop(kernel.id, None))
        return await asyncio.shield(self._restarts[kernel.id])

    async def close(self, seconds: float) -> None:
        """Wait for what is under way, but not for longer."""
        await self._tasks.finish(seconds)

    async def _relaunch(self, kernel: Kernel) -> dict[str, Any]:
        log.info("Restarting kernel=%s user=%s", kernel.id, kernel.owner)
        if not await self._admission.restarting(kernel.id):
            raise await self._not_restarted(kernel.id)
        model: dict[str, Any] = {}
        failure: PublicError | None = None
        work = Work()
        with self._leases.held(kernel.id, work):
            try:
                restart = self._upstream.restart(kernel.id, self._timeout)
                model = await self._ends.answered(restart, kernel, work)
            except PublicError as error:
                failure = error
            # Also after a failure: whether it is still there, the reconciler finds out.
            there = await self._restarted(kernel)
            if there is False or work.to_end.is_set():
                answered = failure is None or was_answered(failure)
                await self._ends.undo(kernel, work.reason or "it was stopped while it restarted", answered=answered)
                raise ended_meanwhile("restart") from failure
        if failure is not None:
            raise failure
        return model

    async def _not_restarted(self, kernel_id: str) -> PublicError:
        """Say why a kernel can't be restarted."""
        kernel = await self._registry.get(kernel_id)
        if kernel is None or kernel.state != RESTARTING:
            return no_such_kernel()
        return PublicError("kernel-start-failed", "The kernel is being restarted already.", status=409)

    async def _restarted(self, kernel: Kernel) -> bool | None:
        """End the restart in the books; None when they can't be reached."""
        try:
            return await self._admission.confirm(kernel.id)
        except PublicError as error:
            log.warning("The restart of kernel=%s could not be written down: %s", kernel.id, error)
            return None
