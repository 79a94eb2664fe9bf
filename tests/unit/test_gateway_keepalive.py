import asyncio
import socket

import pytest

from hub_gateway.keepalive import INTERVAL_S, QUESTIONS, keep_alive
from hub_gateway.splice import Side, until_closed

REPAIR = 19  # TCP_REPAIR of tcp(7): a socket that is closed in this mode says nothing to its other end


def options(connection):
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
    return [connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]


async def a_side(server):
    """Return one end of a splice, and the socket at the other end of its connection."""
    far = socket.create_connection(server.getsockname())
    near, _ = server.accept()
    near.setblocking(False)
    loop = asyncio.get_running_loop()
    _, side = await loop.connect_accepted_socket(lambda: Side("to_kernel"), near)
    return side, far


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


async def test_kernel_traffic_asks_silent_ends_whether_they_are_there(server):
    side, far = await a_side(server)
    connection = side.transport.get_extra_info("socket")
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert options(connection) == [60, INTERVAL_S, QUESTIONS, 120_000]
    side.abort()
    far.close()


async def test_an_end_that_vanished_without_a_word_is_found_and_the_other_one_told(server):
    client, browser = await a_side(server)
    upstream, kernel = await a_side(server)
    client.join(upstream)
    upstream.join(client)
    began = asyncio.get_running_loop().time()
    keep_alive(client.transport.get_extra_info("socket"), idle=1, interval=1, questions=1)
    try:
        browser.setsockopt(socket.IPPROTO_TCP, REPAIR, 1)
    except OSError as error:
        pytest.skip(f"only root can let a connection vanish: {error}")
    browser.close()
    await asyncio.wait_for(until_closed(client, upstream), 20)
    assert asyncio.get_running_loop().time() - began > 0.5
    kernel.settimeout(5)
    assert kernel.recv(1) == b""
    kernel.close()


def test_other_kinds_of_sockets_are_left_alone():
    one, other = socket.socketpair()
    keep_alive(one)
    assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
    one.close()
    other.close()
