"""A client or kernel that was halted: its system answers for it, and nothing takes the bytes that wait for it."""

import asyncio
import socket

from hub_gateway.keepalive import keep_alive
from tests.unit.test_gateway_keepalive import a_side


async def test_an_end_that_takes_no_bytes_is_given_up_too():
    server = socket.create_server(("127.0.0.1", 0))
    client, halted = await a_side(server)
    keep_alive(client.transport.get_extra_info("socket"), idle=1, interval=1, questions=1)
    client.write(b"x" * (1 << 24))
    await asyncio.wait_for(client.closed, 30)
    halted.close()
    server.close()
