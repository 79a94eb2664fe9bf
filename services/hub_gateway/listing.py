"""Kernels as their owners see them: those that run, start, have failed to start, or have ended."""

from typing import Any

from hub_ext.database import Kernel
from hub_ext.errors import PublicError
from hub_ext.limits.kernels import ENDING, STARTING

from .limits_view import LimitsView
from .models import described, ended_model, only_here, starting_model
from .registry import Registry, by_id
from .upstream import EnterpriseGateway
from .waiting.rooms import Rooms


class Listing:
    """Joins what is written down of kernels with what Enterprise Gateway and the waiting rooms know of them."""

    def __init__(self, registry: Registry, upstream: EnterpriseGateway, limits: LimitsView, rooms: Rooms) -> None:
        self._registry = registry
        self._upstream = upstream
        self._limits = limits
        self._rooms = rooms

    def start_of(self, kernel: Kernel) -> dict[str, Any] | None:
        """Say where the start of a kernel is; None when it is over, or another gateway's."""
        room = self._rooms.waiting(kernel.id)
        return room.told() if room is not None else None

    async def kernels(self, owner: str | None, *, warm: bool = True) -> list[dict[str, Any]]:
        """Return the models of `owner`'s kernels, or of everyone's; also of those that wait for room in YARN.

        Those that nobody has asked for yet are among them if `warm`.
        """
        alive = [one for one in await self._registry.alive(owner) if warm or one.warm_until is None]
        own = by_id([kernel for kernel in alive if kernel.state != ENDING])
        failed = await self._failed(owner) if owner is not None else []
        if not own:
            return failed
        models = {str(model.get("id")): model for model in await self._upstream.kernels()}
        models |= {kernel.id: starting_model(kernel) for kernel in own.values() if only_here(kernel, models)}
        limits = await self._limits.of_all({kernel.owner for kernel in own.values()})
        return [
            described(models[kernel.id], kernel, limits[kernel.owner], self.start_of(kernel))
            for kernel in own.values()
            if kernel.id in models
        ] + [model for model in failed if model["id"] not in own]

    async def _failed(self, owner: str) -> list[dict[str, Any]]:
        """Return the models of starts that have failed, as long as their clients are there; see `Room.listed`."""
        rooms = self._rooms.failed(owner)
        limits = await self._limits.of(owner) if rooms else {}
        return [described(starting_model(one.kernel, "dead"), one.kernel, limits, one.told()) for one in rooms]

    async def failed(self, owner: str, kernel_id: str) -> dict[str, Any] | None:
        """Return the model of a start that has failed, or None; see `Room.listed`.

        One that was begun anew, perhaps through another gateway, has not failed.
        """
        kernel = await self._registry.get(kernel_id)
        if kernel is not None and kernel.state != ENDING:
            return None
        return next((model for model in await self._failed(owner) if model["id"] == kernel_id), None)

    async def ended(self, owner: str) -> list[dict[str, Any]]:
        """Return what became of the kernels of `owner` that ended not long ago, the last one first."""
        return [ended_model(kernel) for kernel in await self._registry.ended(owner)]

    async def get(self, kernel: Kernel) -> dict[str, Any]:
        """Return a kernel's model."""
        try:
            model = await self._upstream.kernel(kernel.id)
        except PublicError as error:
            if error.code != "no-such-kernel" or kernel.state != STARTING:
                raise
            model = starting_model(kernel)
        return described(model, kernel, await self._limits.of(kernel.owner), self.start_of(kernel))
