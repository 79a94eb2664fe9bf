"""The websocket handshake with Enterprise Gateway, done before a client's own is answered.

https://www.rfc-editor.org/rfc/rfc6455#section-4. Enterprise Gateway computes the accept key from the client's key,
so its answer is
passed on as it is.
"""

import asyncio
import base64
import hashlib
import re
import ssl

from tornado.httputil import HTTPHeaders

from hub_ext.errors import PublicError

from .failures import no_such_kernel, unreachable
from .splice import Side
from .upstream import EnterpriseGateway

MAXIMUM_HEAD_BYTES = 16 * 1024
HEAD_END = b"\r\n\r\n"
#: https://www.rfc-editor.org/rfc/rfc6455#section-1.3
ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: Request headers that belong to the handshake itself; nothing else of the client's goes upstream.
HANDSHAKE_HEADERS = (
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
)
#: How a frame begins that closes a websocket.
GOODBYE = 0x88
ANSWER_HEADERS = ("sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol")


class UpstreamSide(Side):
    """The connection to Enterprise Gateway: first the answer's head, then frames."""

    def __init__(self) -> None:
        super().__init__("from_kernel")
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._buffer = b""
        self._spoke = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        if self.head.done() and self._other is not None:
            super().data_received(data)
            return
        self._buffer += data
        if self.head.done():
            self._heard()
            return
        end = self._buffer.find(HEAD_END)
        if end >= 0:
            head, early = self._buffer[: end + len(HEAD_END)], self._buffer[end + len(HEAD_END) :]
            self._buffer = early
            if self.transport is not None:
                self.transport.pause_reading()
            self.head.set_result(head)
        elif len(self._buffer) > MAXIMUM_HEAD_BYTES:
            self.head.set_exception(unreachable())

    def _heard(self) -> None:
        self._spoke.set()
        if self.transport is not None:
            self.transport.pause_reading()

    def early(self) -> bytes:
        """Give the frames that came together with the head, or soon after it."""
        data, self._buffer = self._buffer, b""
        return data

    async def speaks(self) -> None:
        """Wait for the first frame after the head; it is kept, and nothing more is read.

        Raises
        ------
        PublicError
            The connection was closed, or that frame says goodbye.
        """
        if not self._buffer and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
            await self._spoke.wait()
        if not self._buffer or self._buffer[0] == GOODBYE or self.closed.done():
            raise unreachable()

    def connection_lost(self, exc: Exception | None) -> None:
        self._spoke.set()
        if not self.head.done():
            self.head.set_exception(unreachable())
        super().connection_lost(exc)


def check_upgrade(headers: HTTPHeaders) -> None:
    """Refuse a request that is not a complete websocket handshake."""
    upgrade = headers.get("Upgrade", "").lower() == "websocket"
    connection = "upgrade" in [word.strip().lower() for word in headers.get("Connection", "").split(",")]
    key = re.fullmatch(r"[A-Za-z0-9+/]{22}==", headers.get("Sec-WebSocket-Key", ""))
    if upgrade and connection and key and headers.get("Sec-WebSocket-Version") == "13":
        return
    raise PublicError(
        "not-a-websocket",
        "This address is a kernel's websocket; the request is not a complete websocket handshake (version 13).",
    )


def request_head(path: str, host: str, authorization: str, headers: HTTPHeaders) -> bytes:
    """Write the request that goes upstream. Values with control characters never get here: tornado refuses them."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Authorization: {authorization}",
    ]
    lines += [f"{name}: {headers[name]}" for name in HANDSHAKE_HEADERS if name in headers]
    return "\r\n".join(lines).encode("latin-1") + HEAD_END


def own_answer(headers: HTTPHeaders) -> bytes:
    """Write our own answer to a client's handshake: without extensions and without a subprotocol."""
    key = headers["Sec-WebSocket-Key"].encode() + ACCEPT_GUID
    accept = base64.b64encode(hashlib.sha1(key, usedforsecurity=False).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}"]).encode() + HEAD_END


def answer_head(head: bytes) -> bytes:
    """Write the answer that goes to the client, from Enterprise Gateway's."""
    kept = [
        line
        for line in head.decode("latin-1").split("\r\n")[1:]
        if line.split(":", 1)[0].strip().lower() in ANSWER_HEADERS
    ]
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", *kept]
    return "\r\n".join(lines).encode("latin-1") + HEAD_END


async def open_channels(
    upstream: EnterpriseGateway, kernel_id: str, session_id: str, headers: HTTPHeaders, timeout: float
) -> tuple[UpstreamSide, bytes]:
    """Connect to a kernel's channels and do the handshake.

    Returns
    -------
    tuple
        The connection, and the answer for the client.

    Raises
    ------
    PublicError
        Enterprise Gateway does not answer, or does not have the kernel. The client can then still be answered over
        HTTP.
    """
    try:
        side, head = await asyncio.wait_for(_shake_hands(upstream, kernel_id, session_id, headers), timeout)
    except (OSError, TimeoutError, asyncio.TimeoutError) as error:
        raise unreachable(error) from error
    status = head.split(b" ", 2)[1:2]
    if status == [b"101"]:
        return side, answer_head(head)
    side.abort()
    raise no_such_kernel() if status == [b"404"] else unreachable()


async def _shake_hands(
    upstream: EnterpriseGateway, kernel_id: str, session_id: str, headers: HTTPHeaders
) -> tuple[UpstreamSide, bytes]:
    host, port, tls = upstream.address
    path = f"{upstream.base_path.rstrip('/')}/api/kernels/{kernel_id}/channels"
    if session_id:
        path += f"?session_id={session_id}"
    context = ssl.create_default_context() if tls else None
    transport, side = await asyncio.get_running_loop().create_connection(UpstreamSide, host, port, ssl=context)
    try:
        transport.write(request_head(path, f"{host}:{port}", upstream.authorization, headers))
        return side, await side.head
    except BaseException:
        side.abort()
        raise
