"""What the gateway says to requests that no well-behaved client sends, on the real chain."""

import socket
import time
from urllib.parse import urlparse

import pytest
import requests

from tests.processes import MB, PeakMemory, service_process
from tests.support import bearer


@pytest.fixture(scope="module")
def kernel(alice):
    started = alice.start("python_yarn")
    yield started
    started.delete()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nosuch", "no-such-kernelspec"),
        ("../spark_python", "no-such-kernelspec"),
        ("..", "no-such-kernelspec"),
        ("/etc/passwd", "no-such-kernelspec"),
        ("spark_python\n", "no-such-kernelspec"),
        ("x" * 5000, "no-such-kernelspec"),
        ({"a": 1}, "bad-request"),
        (7, "bad-request"),
    ],
)
def test_a_kernel_name_that_is_none_is_refused_with_a_sentence(platform, alice, name, code):
    token, _ = alice.token()
    answer = requests.post(
        f"{platform.gateway}/user/alice/api/kernels", headers=bearer(token), json={"name": name}, timeout=30
    )
    assert answer.json()["code"] == code
    assert answer.json()["message"].startswith("\n\n")
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(platform, alice, body):
    token, _ = alice.token()
    answer = requests.post(f"{platform.gateway}/user/alice/api/kernels", headers=bearer(token), data=body, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


def test_a_body_of_100_mb_is_refused_and_not_kept(platform, alice):
    token, _ = alice.token()
    with PeakMemory(service_process(platform, "hub_gateway")) as memory:
        answer = requests.post(
            f"{platform.gateway}/user/alice/api/kernels", headers=bearer(token), data=b"x" * (100 * MB), timeout=60
        )
    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")
    assert memory.samples >= 1
    assert memory.growth < 40 * MB


@pytest.mark.parametrize("path", ["/api/sessions", "/api/sessions/x", "/api/sessions/x/y"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_sessions_are_closed(platform, alice, path, method):
    token, _ = alice.token()
    answer = requests.request(
        method, f"{platform.gateway}/user/alice{path}", headers=bearer(token), json={}, timeout=30
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "sessions-closed")


@pytest.mark.parametrize("missing", ["Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"])
def test_half_a_handshake_gets_an_answer(platform, alice, kernel, missing):
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **bearer(alice.token()[0]),
    }
    del headers[missing]
    answer = requests.get(
        f"{platform.gateway}/user/alice/api/kernels/{kernel.kernel_id}/channels", headers=headers, timeout=30
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "not-a-websocket")


def test_a_request_that_stalls_in_its_head_is_closed(platform):
    address = urlparse(platform.gateway)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(b"GET /services/gateway/user/alice/api/kernels HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()
        assert connection.recv(100) == b""
        assert time.monotonic() - began < 20 + 10  # header_timeout of the tests' platform, and a busy machine
