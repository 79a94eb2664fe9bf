"""Asking a kernel for a sign of life, where Enterprise Gateway does not know what it does."""

import asyncio
import uuid

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketError, websocket_connect

from .upstream import EnterpriseGateway

#: Seconds that an idle kernel takes at most; a busy one answers when its cell is done.
PATIENCE = 5.0


async def answers(upstream: EnterpriseGateway, kernel_id: str) -> bool:
    """Open a kernel's websocket as a client would: Enterprise Gateway then asks the kernel first, and notes its state.

    Returns
    -------
    bool
        False when the kernel did not answer in time: it is busy, or Enterprise Gateway is away.
    """
    url = upstream.url.replace("http", "ws", 1)
    request = HTTPRequest(
        f"{url}/api/kernels/{kernel_id}/channels?session_id={uuid.uuid4().hex}",
        headers={"Authorization": upstream.authorization},
        connect_timeout=PATIENCE,
        request_timeout=PATIENCE,
    )
    try:
        socket = await asyncio.wait_for(websocket_connect(request), PATIENCE + 1)
    except (OSError, HTTPClientError, WebSocketError, TimeoutError, asyncio.TimeoutError):
        return False
    socket.close()
    return True
