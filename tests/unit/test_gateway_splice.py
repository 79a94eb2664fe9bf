"""The splice between real sockets."""

import asyncio
import resource

import pytest
import uvloop
from prometheus_client import REGISTRY
from tornado.httputil import HTTPHeaders

from hub_ext.errors import PublicError
from hub_gateway.handlers.channels import splice
from hub_gateway.handshake import UpstreamSide, answer_head, check_upgrade, request_head
from hub_gateway.splice import Side, until_closed

MEGABYTE = 1024 * 1024


class Relay:
    """A listening socket whose connections are spliced to another one."""

    def __init__(self):
        self.watchers = []
        self._server = None

    async def start(self, port):
        self._target = port
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, limit=1)
        loop = asyncio.get_running_loop()
        self._server.close()
        self._server = await loop.create_server(self._side, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    def _side(self):
        client = Side("to_kernel")
        self.watchers.append(asyncio.get_running_loop().create_task(self._join(client)))
        return client

    async def _join(self, client):
        await asyncio.sleep(0)  # connection_made runs first
        client.transport.pause_reading()
        _, upstream = await asyncio.get_running_loop().create_connection(
            lambda: Side("from_kernel"), "127.0.0.1", self._target
        )
        client.join(upstream)
        upstream.join(client)
        client.transport.resume_reading()
        await until_closed(client, upstream)

    async def _accepted(self, reader, writer):
        writer.close()

    async def stop(self):
        if self._server is not None:
            self._server.close()
        for watcher in self.watchers:
            watcher.cancel()
        await asyncio.gather(*self.watchers, return_exceptions=True)


def on_both_loops(test):
    """Run a test on asyncio's loop and on uvloop, which the gateway takes where it is installed."""

    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
    def both(run):
        async def with_relay():
            relay = Relay()
            try:
                await test(relay)
            finally:
                await relay.stop()

        run(with_relay())

    return both


async def server(handler):
    listening = await asyncio.start_server(handler, "127.0.0.1", 0)
    return listening, listening.sockets[0].getsockname()[1]


@on_both_loops
async def test_bytes_pass_unchanged_both_ways_at_once(relay):
    async def upper(reader, writer):
        while data := await reader.read(1000):
            writer.write(data.upper())
            await writer.drain()
        writer.close()

    listening, port = await server(upper)
    reader, writer = await asyncio.open_connection("127.0.0.1", await relay.start(port))
    sent = bytes(range(97, 123)) * 40_000

    async def send():
        writer.write(sent)
        await writer.drain()
        writer.write_eof()

    received, _ = await asyncio.wait_for(asyncio.gather(reader.read(), send()), 30)
    assert received == sent.upper()
    writer.close()
    listening.close()


@on_both_loops
async def test_one_side_may_finish_after_the_other_has_said_its_last_word(relay):
    async def answers_after_eof(reader, writer):
        question = await reader.read()
        await asyncio.sleep(0.2)
        writer.write(b"got " + question)
        await writer.drain()
        writer.close()

    listening, port = await server(answers_after_eof)
    reader, writer = await asyncio.open_connection("127.0.0.1", await relay.start(port))
    writer.write(b"hello")
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 5) == b"got hello"
    await asyncio.wait_for(asyncio.gather(*relay.watchers), 5)
    listening.close()


async def test_giving_up_a_splice_leaves_others_that_wait_for_its_end_alone():
    one, two = Side("to_kernel"), Side("from_kernel")
    waiting = asyncio.ensure_future(asyncio.shield(one.closed))
    watching = asyncio.create_task(until_closed(one, two))
    await asyncio.sleep(0)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert not one.closed.cancelled()
    one.connection_lost(None)
    await asyncio.wait_for(waiting, 1)


async def test_frames_that_come_before_the_client_is_joined_are_kept():
    side = UpstreamSide()
    side.data_received(b"HTTP/1.1 101 x\r\n\r\nfirst ")
    side.data_received(b"second")
    assert (await side.head).endswith(b"\r\n\r\n")
    assert side.early() == b"first second"


@on_both_loops
async def test_a_dropped_end_closes_the_other(relay):
    closed = asyncio.Event()

    async def waits(reader, writer):
        await reader.read()
        closed.set()
        writer.close()

    listening, port = await server(waits)
    _, writer = await asyncio.open_connection("127.0.0.1", await relay.start(port))
    writer.write(b"x")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.transport.abort()
    await asyncio.wait_for(closed.wait(), 5)
    await asyncio.wait_for(asyncio.gather(*relay.watchers), 5)
    listening.close()


@on_both_loops
async def test_much_to_a_slow_reader_passes_at_flat_memory(relay):
    total = 128 * MEGABYTE
    block = b"x" * MEGABYTE

    async def sends(reader, writer):
        for _ in range(total // len(block)):
            writer.write(block)
            await writer.drain()
        writer.close()

    listening, port = await server(sends)
    reader, writer = await asyncio.open_connection("127.0.0.1", await relay.start(port))
    await asyncio.sleep(0.2)  # nobody reads: everything has to stop, not to pile up
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    received = 0
    while data := await reader.read(MEGABYTE):
        received += len(data)
        if received < MEGABYTE:
            await asyncio.sleep(0.01)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert received == total
    assert grown_mb < 32
    writer.close()
    listening.close()


def counted(direction):
    return REGISTRY.get_sample_value("hub_gateway_kernel_bytes_total", {"direction": direction})


@on_both_loops
async def test_what_passes_is_counted_by_direction(relay):
    async def answers(reader, writer):
        writer.write(await reader.readexactly(5) * 3)
        await writer.drain()
        writer.close()

    to_kernel, from_kernel = counted("to_kernel"), counted("from_kernel")
    listening, port = await server(answers)
    reader, writer = await asyncio.open_connection("127.0.0.1", await relay.start(port))
    writer.write(b"hello")
    assert await asyncio.wait_for(reader.read(), 5) == b"hello" * 3
    assert (counted("to_kernel") - to_kernel, counted("from_kernel") - from_kernel) == (5, 15)
    writer.close()
    listening.close()


@on_both_loops
async def test_an_end_that_is_closed_takes_no_more_bytes(relay):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    listening, port = await server(silent)
    _, side = await asyncio.get_running_loop().create_connection(lambda: Side("to_kernel"), "127.0.0.1", port)
    side.abort()
    side.write(b"x")
    await asyncio.wait_for(side.closed, 5)
    side.write(b"x")
    listening.close()


@on_both_loops
async def test_an_end_that_went_before_it_was_joined_takes_the_other_with_it(relay):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    listening, port = await server(silent)
    connect = asyncio.get_running_loop().create_connection
    for gone in (0, 1):
        _, client = await connect(lambda: Side("to_kernel"), "127.0.0.1", port)
        _, upstream = await connect(UpstreamSide, "127.0.0.1", port)
        upstream.head.set_result(b"")
        lost = (client, upstream)[gone]
        lost.abort()
        await asyncio.wait_for(lost.closed, 5)
        splice(client, upstream, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        await asyncio.wait_for(until_closed(client, upstream), 5)
    listening.close()


COMPLETE = {
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def test_a_complete_handshake_is_accepted():
    check_upgrade(HTTPHeaders(COMPLETE))
    assert b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" in request_head("/x", "h:1", "token t", HTTPHeaders(COMPLETE))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Upgrade", None),
        ("Upgrade", "h2c"),
        ("Connection", "close"),
        ("Sec-WebSocket-Key", None),
        ("Sec-WebSocket-Key", "short"),
        ("Sec-WebSocket-Version", "8"),
    ],
)
def test_half_a_handshake_is_refused(header, value):
    headers = {k: v for k, v in {**COMPLETE, header: value}.items() if v is not None}
    with pytest.raises(PublicError) as refused:
        check_upgrade(HTTPHeaders(headers))
    assert refused.value.code == "not-a-websocket"


def test_only_the_handshakes_own_headers_go_upstream_and_back():
    head = request_head("/x", "h:1", "token ours", HTTPHeaders({**COMPLETE, "Cookie": "c", "X-Forwarded-For": "1"}))
    assert b"Cookie" not in head
    assert b"X-Forwarded" not in head
    back = answer_head(b"HTTP/1.1 101 x\r\nServer: T\r\nSec-Websocket-Accept: abc\r\nSet-Cookie: s\r\n\r\n")
    assert b"Sec-Websocket-Accept: abc" in back
    assert b"Set-Cookie" not in back
    assert back.endswith(b"\r\n\r\n")
