"""Kernels: list, start, get, delete, interrupt, restart."""

import asyncio
import logging
import re
from typing import Any

from hub_ext.errors import PublicError

from .base import GatewayHandler

log = logging.getLogger("hub_gateway")

#: Seconds for which a start may still fail as the answer to its request, as it does when Enterprise Gateway is away.
AT_ONCE = 0.25


class KernelsHandler(GatewayHandler):
    """``GET`` and ``POST …/api/kernels``

    A start that is refused is refused at once. One that is admitted is answered at once, too, with a kernel that is
    starting: its websocket can be opened and used.
    """

    async def get(self, owner: str) -> None:
        # A notebook server would show people a kernel that they have not started; pages ask for it.
        warm = bool(self.get_query_argument("warm", ""))
        self.write_json(await self.lifecycle.listing.kernels(self.owner, warm=warm))

    async def post(self, owner: str) -> None:
        body = self.body()
        kernelspec = body.get("name")
        env = body.get("env") or {}
        if kernelspec is None:
            kernelspec, _ = await self.lifecycle.catalogue.definitions(self.person)
        if not isinstance(kernelspec, str) or not isinstance(env, dict):
            raise PublicError("bad-request", "A kernel start is {'name': kernelspec, 'env': {name: value}}.")
        model = await self._start_while_connected(kernelspec, env, self._patience())
        self.set_header("Location", f"{self.request.path}/{model['id']}")
        self.write_json(model, 201)

    def _patience(self) -> float:
        """Return for how many seconds the client wants to wait until the kernel runs.

        ``Prefer: wait=SECONDS`` (RFC 7240) asks for that; it is for programs that want the failure of a start as the
        answer to their request.
        """
        asked = re.search(r"(?:^|[,;\s])wait=(\d{1,4})(?![\w.])", self.request.headers.get("Prefer", ""))
        if asked is None:
            return AT_ONCE
        self.set_header("Preference-Applied", f"wait={asked.group(1)}")
        return max(float(asked.group(1)), AT_ONCE)

    async def _start_while_connected(self, kernelspec: str, env: dict[str, Any], patience: float) -> dict[str, Any]:
        """Start a kernel; a client that goes away before it is answered would never learn its id, so it is ended."""
        starting = asyncio.ensure_future(self.lifecycle.start(self.person, kernelspec, env, patience=patience))
        gone = asyncio.ensure_future(self.client_gone.wait())
        await asyncio.wait({starting, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not starting.done():
            log.info("The client of a start went away: user=%s kernelspec=%s", self.owner, kernelspec)
            starting.cancel()
        try:
            return await starting
        except asyncio.CancelledError:
            raise PublicError("bad-request", "The client went away while the kernel was starting.") from None


class AllKernelsHandler(GatewayHandler):
    """``GET /admin/api/kernels``: everyone's kernels, for administrators."""

    def authorize(self) -> None:
        if not self.identity.kernels_admin:
            raise PublicError("not-yours", "Only administrators see everyone's kernels.")

    async def get(self) -> None:
        self.write_json(await self.lifecycle.listing.kernels(None))


class KernelHandler(GatewayHandler):
    """``GET`` and ``DELETE …/api/kernels/ID``"""

    async def get(self, owner: str, kernel_id: str) -> None:
        failed = await self.lifecycle.listing.failed(self.owner, kernel_id)
        self.write_json(failed or await self.lifecycle.listing.get(await self.lifecycle.owned(self.owner, kernel_id)))

    async def delete(self, owner: str, kernel_id: str) -> None:
        if await self.lifecycle.listing.failed(self.owner, kernel_id):
            self.lifecycle.rooms.forget(kernel_id)
            self.no_content()
            return
        kernel = await self.lifecycle.owned(self.owner, kernel_id)
        who = "its owner" if self.identity.name == kernel.owner else f"administrator {self.identity.name}"
        await self.lifecycle.stop(kernel, f"stopped by {who}")
        self.no_content()


class InterruptHandler(GatewayHandler):
    """``POST …/api/kernels/ID/interrupt``; of a kernel that is starting this cancels the start."""

    async def post(self, owner: str, kernel_id: str) -> None:
        if not await self.lifecycle.listing.failed(self.owner, kernel_id):
            await self.lifecycle.interrupt(await self.lifecycle.owned(self.owner, kernel_id))
        self.no_content()


class RestartHandler(GatewayHandler):
    """``POST …/api/kernels/ID/restart``; of a kernel that could not start this begins the start anew."""

    async def post(self, owner: str, kernel_id: str) -> None:
        room = await self.lifecycle.failed_room(self.owner, kernel_id)
        if room is not None:
            self.write_json(await self.lifecycle.begin_anew(self.person, room))
        else:
            self.write_json(await self.lifecycle.restart(await self.lifecycle.owned(self.owner, kernel_id)))


class WarmStartHandler(GatewayHandler):
    """``GET``, ``PUT`` and ``POST …/api/warm-start``: what is set, setting it, and what the Hub's spawner says."""

    async def get(self, owner: str) -> None:
        self.write_json(await self.parts.warm.told(self.owner))

    async def put(self, owner: str) -> None:
        on = self.body().get("on")
        if not isinstance(on, bool):
            raise PublicError("bad-request", "This is {'on': true} or {'on': false}.")
        await self.parts.warm.want(self.owner, on)
        self.write_json(await self.parts.warm.told(self.owner))

    async def post(self, owner: str) -> None:
        """Begin, as the notebook server does whose token this is; the kernel's id is empty when nothing begins."""
        self.write_json({"kernel_id": await self.parts.warm.begin(self.person)}, 202)


class EndedKernelsHandler(GatewayHandler):
    """``GET …/api/ended-kernels``: what became of one's kernels of the last days, the last one first."""

    async def get(self, owner: str) -> None:
        self.write_json(await self.lifecycle.listing.ended(self.owner))
