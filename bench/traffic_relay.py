"""``python -m bench.traffic_relay PORT UPSTREAM_PORT``: passes messages on as jupyter-server-proxy does.

Tornado's websockets on both sides: every message is read whole, unmasked, and written again. Unlike there, the next
message is not read before the last one is written, so that its memory stays bounded.
"""

import asyncio
import sys
from typing import Any

from tornado import web
from tornado.websocket import WebSocketClientConnection, WebSocketHandler, websocket_connect


class RelayHandler(WebSocketHandler):
    """One client and its connection to the upstream."""

    upstream: WebSocketClientConnection

    def initialize(self, port: int) -> None:
        self._port = port

    def check_origin(self, origin: str) -> bool:
        return True

    async def get(self, *args: Any, **kwargs: Any) -> None:
        self.upstream = await websocket_connect(f"ws://127.0.0.1:{self._port}{self.request.uri}")
        await super().get(*args, **kwargs)

    def open(self, *args: Any, **kwargs: Any) -> None:
        self._answers = asyncio.create_task(self._pass_answers())

    async def on_message(self, message: str | bytes) -> None:
        await self.upstream.write_message(message, binary=isinstance(message, bytes))

    async def _pass_answers(self) -> None:
        while (message := await self.upstream.read_message()) is not None:
            await self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        self._answers.cancel()
        self.upstream.close()


async def serve(port: int, upstream: int) -> None:
    web.Application([("/.*", RelayHandler, {"port": upstream})]).listen(port, "127.0.0.1", backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
