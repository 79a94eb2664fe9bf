"""``…/api/kernels/ID/channels``: a kernel's websocket."""

import asyncio
import hashlib
import logging
import re

from tornado.ioloop import IOLoop

from hub_ext.errors import PublicError
from hub_ext.web.identity import header_token

from ..handshake import UpstreamSide, check_upgrade, open_channels
from ..splice import Side, until_closed
from .base import GatewayHandler

log = logging.getLogger("hub_gateway")


class ChannelsHandler(GatewayHandler):
    """Everything is checked, and Enterprise Gateway has agreed, before the client's upgrade is answered.

    A refusal is therefore always an HTTP answer: a websocket that is accepted and then closed makes clients
    reconnect for ever.
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
        await self.lifecycle.owned(self.owner, kernel_id)
        async with self.parts.sockets.turn(self._arrival):
            side, answer = await open_channels(
                self.parts.upstream, kernel_id, session_id, self.request.headers, self.parts.connect_timeout
            )
            try:
                client = await self._take_over()
            except BaseException:
                side.abort()
                raise
            log.info("Kernel socket opened: kernel=%s user=%s request=%s", kernel_id, self.owner, self.request_id)
            splice(client, side, answer)
            self.parts.sockets.opened(
                self._arrival.key, side, asyncio.create_task(self._watch(client, side, kernel_id))
            )

    async def _take_over(self) -> Side:
        """Take the client's connection away from tornado."""
        if self.client_gone.is_set():
            raise PublicError("bad-request", "The client went away.")
        connection = self.detach().socket  # a plain one: `configure` refuses a Hub with internal_ssl
        IOLoop.current().remove_handler(connection)
        loop = asyncio.get_running_loop()
        _, client = await loop.connect_accepted_socket(lambda: Side("to_kernel"), connection)
        return client

    async def _watch(self, client: Side, side: UpstreamSide, kernel_id: str) -> None:
        """Keep the splice until either end closes or its right ends."""
        ended = asyncio.create_task(until_closed(client, side))
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=self.parts.reauthorize_interval)
                if not ended.done() and not await self._still_allowed(kernel_id):
                    log.info("Kernel socket closed, its right has ended: kernel=%s user=%s", kernel_id, self.owner)
                    return
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)

    async def _still_allowed(self, kernel_id: str) -> bool:
        try:
            self.identity = await self.authenticate(use_cache=False)
            self.authorize()
            await self.lifecycle.owned(self.owner, kernel_id)
        except PublicError as error:
            # An unreachable Hub or database says nothing about the right: the kernel's traffic goes on.
            return error.status >= 500
        return True


def splice(client: Side, side: UpstreamSide, answer: bytes) -> None:
    """Join both ends, beginning with the handshake's answer and what came with it."""
    client.join(side)
    side.join(client)
    if client.transport is not None and side.transport is not None:
        client.transport.write(answer + side.early())
        side.transport.resume_reading()
