"""From the waiting room to the kernel."""

import asyncio
import base64
import logging
import secrets

from tornado.httputil import HTTPHeaders

from hub_ext.errors import PublicError

from ..failures import unreachable
from ..handshake import UpstreamSide, open_channels
from ..splice import Side
from ..upstream import EnterpriseGateway
from . import frames
from .guest import Guest

log = logging.getLogger("hub_gateway")

#: Seconds for which a kernel that runs is called until Enterprise Gateway opens its websocket.
PATIENCE = 30.0
AGAIN = 1.0
#: Seconds that Enterprise Gateway has to pass on what it has read: what is still on its way to the kernel when its
#: websocket closes goes no further.
PASSING_ON = 2.0
#: Seconds that Enterprise Gateway has to read what a client has left behind.
READING = 10.0


def own_handshake() -> HTTPHeaders:
    """Write the headers of our own handshake: no extensions and no subprotocol, as it was agreed with the guest."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    return HTTPHeaders({"Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"})


async def called(upstream: EnterpriseGateway, kernel_id: str, session_id: str, timeout: float) -> UpstreamSide:
    """Open the websocket of a kernel that has just come, and wait for a word on it.

    Enterprise Gateway agrees to the handshake first and asks the kernel for its kernel_info then. If it is lost
    meanwhile, nothing was sent yet, and it is called again.

    Raises
    ------
    PublicError
        Enterprise Gateway does not open it.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            side, _ = await open_channels(upstream, kernel_id, session_id, own_handshake(), timeout)
            await _said_something(side, timeout)
        except PublicError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise
            log.info("The websocket of kernel=%s is not opened yet: %s", kernel_id, error)
            await asyncio.sleep(AGAIN)
        else:
            return side


async def _said_something(side: UpstreamSide, timeout: float) -> None:
    """Ask the other end whether it is there; its answer goes on to the client, which takes no notice of it.

    Raises
    ------
    PublicError
        It went away, or said nothing in time.
    """
    side.write(frames.as_client(frames.frame(frames.PING, b"")))
    try:
        await asyncio.wait_for(side.speaks(), timeout)
    except BaseException as error:
        side.abort()
        await side.closed
        if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
            raise unreachable(error) from error
        raise


def given(guest: Guest, side: UpstreamSide) -> Side:
    """Send the kernel what was kept, then join both ends; return the client's.

    Nothing is awaited here, so that no byte comes in between.
    """
    slow = guest.slow
    client, raw = guest.hand_over()
    client.join(side)
    side.join(client)
    side.write(raw)
    client.write(side.early())
    if side.transport is not None:
        side.transport.resume_reading()
    if slow:
        client.pause_writing()
    return client


async def deliver(upstream: EnterpriseGateway, kernel_id: str, raw: bytes, timeout: float) -> None:
    """Send the kernel what a client that has gone has left: its cells run, as those of any client that goes away."""
    if not raw:
        return
    try:
        side = await called(upstream, kernel_id, secrets.token_hex(16), timeout)
    except PublicError as error:
        log.warning("What clients left for kernel=%s did not reach it: %s", kernel_id, error)
        return
    side.join(Side("to_kernel"))  # nobody listens
    try:
        side.write(raw)
        if side.transport is not None:
            side.transport.resume_reading()
        await asyncio.wait({side.closed}, timeout=PASSING_ON)
        side.write(frames.as_client(frames.close_frame(frames.NORMAL)))
        await asyncio.wait({side.closed}, timeout=READING)
    finally:
        side.abort()
