"""Stops kernels that were idle for too long or ran for too long; see `culling` for when."""

import asyncio
import logging
import time
from datetime import datetime, timedelta, timezone
from typing import Any

from prometheus_client import Counter

from hub_ext.database import Kernel
from hub_ext.limits.kernels import RUNNING
from hub_ext.limits.resolve import number

from .activity import Activity, activity_of
from .culling import IDLE, LIFETIME, Notices, Step, Watched, next_step
from .lifecycle import Lifecycle
from .limits_view import Limits, LimitsView
from .registry import Registry, by_id
from .upstream import EnterpriseGateway
from .waking import answers

log = logging.getLogger("hub_gateway")

CULLED = Counter("hub_gateway_culled_total", "Kernels that were stopped by a limit of time", ["limit"])
#: Kernels that are stopped, or asked for a sign of life, at the same time.
AT_ONCE = 5
#: Seconds after which a kernel that did not answer is asked again.
ASK_AGAIN = 60.0


class Culler:
    """Looks at every running kernel at an interval.

    Parameters
    ----------
    registry, lifecycle, limits, upstream
        What it looks at and acts through.
    notice : float
        Seconds of notice before a stop.
    """

    def __init__(
        self,
        registry: Registry,
        lifecycle: Lifecycle,
        limits: LimitsView,
        upstream: EnterpriseGateway,
        *,
        notice: float,
    ) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._limits = limits
        self._upstream = upstream
        self._notice = timedelta(seconds=notice)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._asked: dict[str, float] = {}
        self._notices = Notices()

    async def cull(self) -> None:
        """Give notice, withdraw it, or stop; each kernel by itself."""
        running = by_id([kernel for kernel in await self._registry.alive() if kernel.state == RUNNING])
        self._notices.forget_all_but(running.keys())
        if not running:
            return
        limits = await self._limits.of_all({kernel.owner for kernel in running.values()})
        limited = {kernel_id for kernel_id, kernel in running.items() if _has_limits(limits[kernel.owner], kernel)}
        if not limited:
            return
        models = [model for model in await self._upstream.kernels() if model.get("id") in limited]
        results = await asyncio.gather(
            *(
                self._look(running[str(model["id"])], model, limits[running[str(model["id"])].owner])
                for model in models
            ),
            return_exceptions=True,
        )
        for model, result in zip(models, results, strict=True):
            if isinstance(result, Exception):
                log.warning("Culling of kernel=%s: %s", model["id"], result)

    async def _look(self, kernel: Kernel, model: dict[str, Any], limits: Limits) -> None:
        activity = activity_of(model)
        if not activity.known and number(limits[IDLE]) is not None:
            await self._wake(kernel.id)
        now = datetime.now(timezone.utc)
        over = self._notices.are_over(kernel.id, kernel.stop_at, now, time.monotonic())
        step = next_step(_watched(kernel, activity), limits, now, self._notice)
        if step is not None and step.deed == "stop" and not over:
            return
        await self._take(kernel, step)

    async def _wake(self, kernel_id: str) -> None:
        """Let a kernel say something, so that Enterprise Gateway knows what it does; the next round sees it.

        Asked again after a while only: each question waits in the kernel until it is free, and when it is, it says so
        by itself.
        """
        now = asyncio.get_running_loop().time()
        self._asked = {one: at for one, at in self._asked.items() if now - at < ASK_AGAIN}
        if kernel_id not in self._asked:
            self._asked[kernel_id] = now
            async with self._places:
                await answers(self._upstream, kernel_id)

    async def _take(self, kernel: Kernel, step: Step | None) -> None:
        if step is None:
            return
        if step.deed == "stop":
            async with self._places:
                await self._stop(kernel.id)
        elif await self._registry.give_notice(kernel.id, kernel.stop_at, step.at, step.reason):
            told = f"{step.at:%H:%M:%S} UTC: {step.reason}" if step.at is not None else "not any more"
            log.info("Kernel=%s user=%s will be stopped %s", kernel.id, kernel.owner, told)

    async def _stop(self, kernel_id: str) -> None:
        """Stop a kernel if that is still right: others came first, and it may work by now."""
        kernel = await self._registry.get(kernel_id)
        if kernel is None or kernel.state != RUNNING:
            return
        limits = await self._limits.of(kernel.owner)
        activity = activity_of(await self._upstream.kernel(kernel_id))
        step = next_step(_watched(kernel, activity), limits, datetime.now(timezone.utc), self._notice)
        if step is None or step.deed != "stop":
            log.info("Kernel=%s user=%s is not stopped: it is in use again.", kernel.id, kernel.owner)
            return
        await self._lifecycle.stop(kernel, step.reason)
        CULLED.labels(limit=step.field).inc()


def _has_limits(limits: Limits, kernel: Kernel) -> bool:
    return kernel.stop_at is not None or any(number(limits[name]) is not None for name in (IDLE, LIFETIME))


def _watched(kernel: Kernel, activity: Activity) -> Watched:
    return Watched(kernel.id, kernel.started_at, activity.idle_since, kernel.stop_at, kernel.stop_reason)
