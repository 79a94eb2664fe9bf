"""How much passes through the gateway's real chain, and that the gateway keeps none of it."""

import json
import threading
import time
import uuid
from contextlib import closing

import pytest
import websocket

from tests.processes import MB, PeakMemory, service_process

#: Enterprise Gateway takes messages up to 10 MiB.
QUESTION, QUESTIONS, AT_ONCE = 8 * MB, 64, 8
ANSWER, ANSWERS = 64 * MB, 8
GROWTH = 40 * MB


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
