"""``…/api/kernels/ID/channels``: a kernel's websocket."""

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tornado.ioloop import IOLoop

from hub_ext.errors import PublicError
from hub_ext.web.identity import header_token

from ..handshake import UpstreamSide, check_upgrade, open_channels, own_answer
from ..sockets import Seat
from ..splice import Side, until_closed
from ..waiting.frames import GOING_AWAY
from ..waiting.guest import Guest
from ..waiting.handover import called, deliver, given
from ..waiting.room import Room
from ..waiting.tiny_kernel import failure_of
from .base import GatewayHandler

log = logging.getLogger("hub_gateway")

P = TypeVar("P", bound=asyncio.BaseProtocol)


class ChannelsHandler(GatewayHandler):
    """Everything is checked before the client's upgrade is answered, and Enterprise Gateway has agreed.

    A refusal is therefore always an HTTP answer: a websocket that is accepted and then closed makes clients
    reconnect for ever. While the kernel is starting, its waiting room answers the client instead.
    """

    async def prepare(self) -> None:
        # Noted before anything is awaited, so that the order is that of arrival. The token is part of it: nobody but
        # the client itself can take its place.
        client = hashlib.sha256(header_token(self.request.headers).encode()).hexdigest()
        session_id = self.get_query_argument("session_id", "") or self.request_id
        self._arrival = self.parts.sockets.arrived((client, self.path_kwargs["kernel_id"], session_id))
        await super().prepare()

    async def get(self, owner: str, kernel_id: str) -> None:
        check_upgrade(self.request.headers)
        session_id = self.get_query_argument("session_id", "")
        if not re.fullmatch(r"[A-Za-z0-9_-]{0,100}", session_id):
            raise PublicError("bad-request", "The session id has characters that no Jupyter client uses.")
        room = await self.lifecycle.waiting_room(self.owner, kernel_id)
        async with self.parts.sockets.turn(self._arrival):
            if room is not None and (room.waits or room.failure is not None):
                await self._enter(room, session_id)
            else:
                await self._join(kernel_id, session_id)

    async def _join(self, kernel_id: str, session_id: str) -> None:
        """Connect the client with a kernel that is there."""
        side, answer = await open_channels(
            self.parts.upstream, kernel_id, session_id, self.request.headers, self.parts.connect_timeout
        )
        try:
            client = await self._take_over(lambda: Side("to_kernel"))
        except BaseException:
            side.abort()
            raise
        log.info("Kernel socket opened: kernel=%s user=%s request=%s", kernel_id, self.owner, self.request_id)
        splice(client, side, answer)
        watching = asyncio.create_task(self._watch(client, side, kernel_id))
        self.parts.sockets.opened(self._arrival.key, Seat(side), watching)

    async def _enter(self, room: Room, session_id: str) -> None:
        """Let the client wait for a kernel that is starting, or tell it why there is none."""
        key = self._arrival.key
        new = room.welcome(key, own_answer(self.request.headers))
        room.enter(key, new)
        try:
            guest = await self._take_over(lambda: new)
        except BaseException:
            room.leave(key, new)
            raise
        log.info("Waits for its kernel: kernel=%s user=%s request=%s", room.kernel.id, self.owner, self.request_id)
        seat = Seat(guest)
        self.parts.sockets.opened(key, seat, asyncio.create_task(self._host(room, guest, seat, session_id)))

    async def _host(self, room: Room, guest: Guest, seat: Seat, session_id: str) -> None:
        """Keep a guest until its kernel is there, or it goes; also over failures, after which it may begin anew."""
        try:
            while await self._told(room.over, guest):
                if room.waits:
                    continue  # it has begun anew already
                if room.failure is None:
                    await self._hand_over(room, guest, seat, session_id)
                    return
                if not await self._told(room.anew, guest):
                    return
        finally:
            room.leave(self._arrival.key, guest)
            seat.connection.abort()
            guest.abort()

    async def _told(self, event: asyncio.Event, guest: Guest) -> bool:
        """Wait for an event; False when the guest has gone before, or its right has ended."""
        happened = asyncio.ensure_future(event.wait())
        try:
            # The event itself is asked: of both at once, its task may not have heard yet.
            return await self._lasts({guest.closed, happened}, self._still_welcome) and event.is_set()
        finally:
            happened.cancel()

    async def _hand_over(self, room: Room, guest: Guest, seat: Seat, session_id: str) -> None:
        """Connect a guest with its kernel, which has come."""
        guest.clear()
        kernel_id, parts = room.kernel.id, self.parts
        async with parts.sockets.alone(self._arrival.key):
            try:
                side = await self._called(guest, kernel_id, session_id)
            except PublicError as error:
                guest.fail(failure_of(error, "The kernel has started, but can't be reached."))
                guest.close(GOING_AWAY)
                return
            if side is not None and guest.gone:
                side.abort()
                await side.closed
            elif side is not None:
                client = given(guest, side)
                seat.connection = side
        if side is None or seat.connection is guest:
            await deliver(parts.upstream, kernel_id, guest.kept.all(), parts.connect_timeout)
            return
        log.info("Kernel socket handed over: kernel=%s user=%s request=%s", kernel_id, self.owner, self.request_id)
        await self._watch(client, side, kernel_id)

    async def _called(self, guest: Guest, kernel_id: str, session_id: str) -> UpstreamSide | None:
        """Open the kernel's websocket; not for a guest that has gone: the next one of its session may have done so."""
        if guest.gone:
            return None
        return await called(self.parts.upstream, kernel_id, session_id, self.parts.connect_timeout)

    async def _take_over(self, make: Callable[[], P]) -> P:
        """Take the client's connection away from tornado."""
        if self.client_gone.is_set():
            raise PublicError("bad-request", "The client went away.")
        connection = self.detach().socket  # a plain one: `configure` refuses a Hub with internal_ssl
        IOLoop.current().remove_handler(connection)
        loop = asyncio.get_running_loop()
        _, protocol = await loop.connect_accepted_socket(make, connection)
        return protocol

    async def _lasts(self, ends: set[asyncio.Future[Any]], allowed: Callable[[], Awaitable[bool]]) -> bool:
        """Wait until one of these ends; False when the right ends before."""
        while not any(one.done() for one in ends):
            await asyncio.wait(ends, timeout=self.parts.reauthorize_interval, return_when=asyncio.FIRST_COMPLETED)
            if not any(one.done() for one in ends) and not await allowed():
                return False
        return True

    async def _watch(self, client: Side, side: UpstreamSide, kernel_id: str) -> None:
        """Keep the splice until either end closes or its right ends."""
        ended = asyncio.create_task(until_closed(client, side))
        try:
            if not await self._lasts({ended}, lambda: self._still_allowed(kernel_id)):
                log.info("Kernel socket closed, its right has ended: kernel=%s user=%s", kernel_id, self.owner)
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)

    async def _still_allowed(self, kernel_id: str) -> bool:
        try:
            self.identity = await self.authenticate(use_cache=False)
            self.authorize()
            if kernel_id:
                await self.lifecycle.owned(self.owner, kernel_id)
        except PublicError as error:
            # An unreachable Hub or database says nothing about the right: the kernel's traffic goes on.
            return error.status >= 500
        return True

    async def _still_welcome(self) -> bool:
        # A start that has failed is nobody's kernel any more.
        return await self._still_allowed("")


def splice(client: Side, side: UpstreamSide, answer: bytes) -> None:
    """Join both ends, beginning with the handshake's answer and what came with it."""
    client.join(side)
    side.join(client)
    client.write(answer + side.early())
    if side.transport is not None:
        side.transport.resume_reading()
