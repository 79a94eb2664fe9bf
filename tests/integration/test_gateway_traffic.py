"""How much passes through the gateway's real chain, and that the gateway keeps none of it."""

import json
import threading
import time
import uuid
from contextlib import closing, contextmanager

import pytest
import websocket

from tests import traffic_site
from tests.processes import MB, PeakMemory, service_process
from tests.support import wait_for
from tests.traffic_client import measure
from tests.traffic_frames import client_frame, server_frame

pytestmark = pytest.mark.alone

#: Enterprise Gateway takes messages up to 10 MiB.
QUESTION, QUESTIONS, AT_ONCE = 8 * MB, 64, 8
ANSWER, ANSWERS = 64 * MB, 8
GROWTH = 40 * MB
#: Before stand-ins, which are faster than anything real.
SOCKETS, SOCKET_KIB = 500, 64
SLOW, SLOW_FRAMES = 20, 32
FRAMES = 1024


@pytest.fixture(scope="module")
def kernel(alice):
    started = alice.start("python_yarn")
    yield started
    started.delete()


def test_a_large_output_passes_at_flat_memory(platform, kernel):
    kernel.wait_idle()
    with PeakMemory(service_process(platform, "hub_gateway")) as memory:
        output, error = kernel.execute("for i in range(60):\n    print('x' * 1_000_000)\n", timeout=120)
    assert error is None
    assert len(output.text) == 60 * 1_000_001
    assert memory.samples > 5
    assert memory.growth < GROWTH


class Channels:
    """A kernel's websocket with as little work on this side as possible."""

    def __init__(self, kernel):
        self._session = uuid.uuid4().hex
        url = kernel.base_url.replace("http", "ws", 1)
        self._socket = websocket.create_connection(
            f"{url}/api/kernels/{kernel.kernel_id}/channels?session_id={self._session}",
            header=kernel.headers,
            timeout=120,
            skip_utf8_validation=True,
        )
        self.sent = self.received = 0

    def close(self):
        self._socket.close()

    def ask(self, padding, answer=0):
        """Send so many bytes, and ask for so many."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "session": self._session,
            "username": "",
            "version": "5.3",
        }
        message = {
            "header": header,
            "parent_header": {},
            "metadata": {"padding": "x" * padding},
            "content": {"code": "", "silent": True, "user_expressions": {"a": f"'y' * {answer}"}},
            "channel": "shell",
            "buffers": [],
        }
        self.sent += self._socket.send(json.dumps(message))

    def answer(self):
        """Wait for the next reply."""
        while True:
            text = self._socket.recv()
            self.received += len(text)
            if json.loads(text)["msg_type"] == "execute_reply":
                return


def test_a_gigabyte_passes_through_one_socket_at_flat_memory(platform, alice, kernel):
    """Half of it in each direction; now and then an end does not read, and the gateway has to stop the other."""
    gateway, upstream = service_process(platform, "hub_gateway"), service_process(platform, "jeg_plugin")
    with closing(Channels(kernel)) as channels, PeakMemory(gateway) as memory:
        began = time.monotonic()
        for number in range(QUESTIONS // AT_ONCE):
            if number == 1:
                upstream.suspend()
                threading.Timer(2, upstream.resume).start()
            for _ in range(AT_ONCE):
                channels.ask(QUESTION)
            for _ in range(AT_ONCE):
                channels.answer()
        for number in range(ANSWERS):
            channels.ask(0, ANSWER)
            if number == 1:
                time.sleep(4)
            channels.answer()
        seconds = time.monotonic() - began
    total = channels.sent + channels.received
    print(f"{total / MB:.0f} MB in {seconds:.1f} s, {memory.samples} samples, grew by {memory.growth / MB:.1f} MB")
    assert channels.sent >= 512 * MB
    assert channels.received >= 512 * MB
    assert memory.samples > 20
    assert memory.growth < GROWTH


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A gateway of its own: the real process with a database, before stand-ins for the Hub and Enterprise Gateway.

    It finds fewer open files allowed than it needs.
    """
    folder = tmp_path_factory.mktemp("traffic")
    with (
        traffic_site.upstream() as upstream,
        traffic_site.gateway(folder, upstream, open_files=SOCKETS) as started,
    ):
        yield started


def open_sockets(gateway):
    return gateway.metric("hub_gateway_kernel_sockets")


@contextmanager
def sockets(gateway, count, session_id):
    """Open many; what they do stands in the session id, see `tests.traffic_upstream`."""
    found, before = [], open_sockets(gateway)
    try:
        found += (gateway.connect(f"{session_id}_{number}") for number in range(count))
        yield found
    finally:
        for sock in found:
            sock.close()
        wait_for(lambda: open_sockets(gateway) <= before, every=0.1, what="an end of the sockets")


def passed(gateway):
    return gateway.metric("hub_gateway_kernel_bytes_total", direction="from_kernel")


def ask(sock, size):
    """Send a message and wait for the whole answer."""
    sock.sendall(client_frame(size))
    return read(sock, len(server_frame(size)))


def read(sock, count):
    parts, left = [], count
    while left:
        parts.append(sock.recv(min(left, MB)))
        assert parts[-1], "closed"
        left -= len(parts[-1])
    return b"".join(parts)


def test_five_hundred_sockets_are_open_at_little_memory_and_all_answer(gateway):
    before = gateway.process.memory_info().rss
    with sockets(gateway, SOCKETS, "echo_600") as socks:
        for _ in range(3):
            assert all(ask(sock, 600) == server_frame(600) for sock in socks)
        each = (gateway.process.memory_info().rss - before) / SOCKETS / 1024
        assert open_sockets(gateway) == SOCKETS
    print(f"{each:.1f} KiB a socket")
    assert each < SOCKET_KIB


def test_a_slow_reader_stalls_only_itself(gateway):
    """Kernels that write much to clients that do not read: they stop, and everyone else is served."""
    seen = []

    def stopped():
        seen.append(passed(gateway))
        return seen[-1] > SLOW * 100_000 and seen[-3:] == [seen[-1]] * 3

    with sockets(gateway, SLOW, f"flood_{MB}_{SLOW_FRAMES}") as slow, sockets(gateway, 5, "echo_600") as quick:
        with PeakMemory(gateway.process) as memory:
            for sock in slow:
                sock.sendall(client_frame(10))
            wait_for(stopped, every=0.2, what="an end of the flood")
            began = time.monotonic()
            for _ in range(200):
                for sock in quick:
                    assert ask(sock, 600) == server_frame(600)
            seconds = time.monotonic() - began
        for sock in slow:
            assert read(sock, SLOW_FRAMES * len(server_frame(MB))) == SLOW_FRAMES * server_frame(MB)
    print(
        f"{seen[-1] / MB:.0f} MB on the way to {SLOW} that do not read; the gateway grew by {memory.growth / MB:.1f} MB"
    )
    print(f"1000 answers beside them in {seconds:.2f} s")
    assert memory.growth < SLOW * MB


def test_a_gigabyte_of_output_passes_at_flat_memory(gateway):
    before, frame = passed(gateway), server_frame(MB)
    with sockets(gateway, 1, f"flood_{MB}_{FRAMES}") as (sock,), PeakMemory(gateway.process) as memory:
        began = time.monotonic()
        sock.sendall(client_frame(10))
        for _ in range(FRAMES):
            assert read(sock, len(frame)) == frame
        seconds = time.monotonic() - began
    print(f"{FRAMES} MB in {seconds:.2f} s, {memory.samples} samples, grew by {memory.growth / MB:.1f} MB")
    assert passed(gateway) - before == FRAMES * len(frame)
    assert memory.samples > 5
    assert memory.growth < 16 * MB


def test_small_messages_on_many_sockets_pass_whole(gateway):
    with sockets(gateway, 20, "echo_600") as socks:
        through = measure(socks, 600, 1.0, in_flight=16)
    print(f"{through.per_second:.0f} messages/s")
    assert through.messages > 1000
