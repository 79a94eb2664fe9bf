import asyncio
import time

import pytest
from jupyter_server.gateway.connections import GatewayWebSocketConnection
from jupyter_server.gateway.gateway_client import GatewayClient
from tornado import web, websocket
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from hub_ext.singleuser_messages import MOST, mend_messages


class Mended(GatewayWebSocketConnection):
    """Jupyter Server's own, mended here alone."""

    kernel_id = "k"
    session_id = None


mend_messages(Mended)


class Channels(websocket.WebSocketHandler):
    """A kernel's websocket at a gateway that can be away."""

    got: list[str] = []  # noqa: RUF012 (emptied by the fixture)
    open_ones: list[websocket.WebSocketHandler] = []  # noqa: RUF012 (so is this)
    is_away = False

    async def prepare(self):
        if self.is_away:
            raise web.HTTPError(503)

    def open(self, *_):
        self.open_ones.append(self)

    def on_message(self, message):
        self.got.append(message)


@pytest.fixture
async def gateway():
    Channels.got, Channels.open_ones, Channels.is_away = [], [], False
    socket, port = bind_unused_port()
    server = HTTPServer(web.Application([(r"/api/kernels/.*", Channels)]))
    server.add_socket(socket)
    GatewayClient.clear_instance()
    client = GatewayClient.instance(url=f"http://127.0.0.1:{port}", gateway_retry_interval=0.02)
    client.gateway_retry_interval_max, client.gateway_retry_max = 0.05, 1000
    yield Channels
    GatewayClient.clear_instance()
    server.stop()
    await server.close_all_connections()


async def until(question):
    deadline = time.monotonic() + 15
    while not question():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_what_is_sent_while_the_gateway_is_away_arrives_in_order_when_it_is_back(gateway):
    connection = Mended()
    await connection.connect()
    connection.handle_incoming_message("1")
    await until(lambda: gateway.got == ["1"])
    gateway.is_away = True
    for one in gateway.open_ones:
        one.close()
    await until(lambda: connection.ws is None or connection.ws.close_code is not None)
    connection.handle_incoming_message("2")
    await until(lambda: connection.ws is None)
    connection.handle_incoming_message("3")
    await until(lambda: connection.ws is None and connection.ws_future.done())
    connection.handle_incoming_message("4")
    assert gateway.got == ["1"]
    gateway.is_away = False
    await until(lambda: len(gateway.got) == 4)
    connection.handle_incoming_message("5")
    await until(lambda: gateway.got == ["1", "2", "3", "4", "5"])
    connection.disconnect()


async def test_what_nobody_listens_to_any_more_is_not_kept_and_not_without_end(gateway):
    connection = Mended()
    for number in range(MOST + 5):
        connection.handle_incoming_message(str(number))
    assert len(connection.__dict__["_kept_messages"]) == MOST
    closed = Mended()
    closed.disconnect()
    closed.handle_incoming_message("1")
    assert "_kept_messages" not in closed.__dict__
