import hashlib
import hmac
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from jeg_plugin import remote_kernel_requests as module
from jeg_plugin.remote_kernel_requests import CLOCK_SECONDS, FROM_DRIVER, Inspection, RequestError, Requests, signed

KEY = b"key-of-this-kernel"


@pytest.fixture
def served(caplog):
    caplog.set_level(logging.WARNING, "remote_kernel.requests")
    interrupted = []
    requests = Requests("127.0.0.1", 0, on_interrupt=lambda: interrupted.append(True))
    requests.interrupted = interrupted
    requests.start(KEY)
    yield requests
    send(requests.port, signed(KEY, {"shutdown": 1}), missing_ok=True)


def send(port, content, missing_ok=False):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(content)
    except ConnectionRefusedError:
        if not missing_ok:
            raise


def until(question, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def assert_the_owner_is_heard(requests):
    """An interrupt of the kernel's own gateway still arrives, and soon."""
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it may come at any moment from here on
        send(requests.port, signed(KEY, {"signum": 2}))
        time.sleep(30)
    assert time.monotonic() - began < 10
    until(lambda: requests.interrupted == [True], "the callback is called")


def test_an_interrupt_reaches_the_main_thread(served):
    threading.Timer(0.2, send, (served.port, signed(KEY, {"signum": 2}))).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        time.sleep(10)
    assert time.monotonic() - began < 5
    until(lambda: served.interrupted == [True], "the callback is called")


def by_hand(request, key=KEY, purpose=module.PURPOSE):
    """Sign without the function under test: the protocol as it is written down."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return hmac.new(key, purpose + body, hashlib.sha256).hexdigest().encode() + b"\n" + body


def fresh(**request):
    return {"nonce": os.urandom(8).hex(), "time": time.time(), **request}


def test_the_protocol_is_as_written_down():
    assert Inspection(KEY).request_in(by_hand(fresh(signum=2)))["signum"] == 2
    signature, _, body = signed(KEY, {"signum": 2}).partition(b"\n")
    assert by_hand(body).partition(b"\n")[0] == signature


STRANGERS = {
    "unsigned interrupt": lambda: b'{"signum": 2}',
    "unsigned kill": lambda: b'{"signum": 9}',
    "unsigned end of listening": lambda: b'{"shutdown": 1}',
    "another kernel's key": lambda: signed(b"key-of-another-kernel", {"signum": 9}),
    "no key": lambda: by_hand(fresh(signum=9), key=b""),
    "a signature for another purpose": lambda: by_hand(fresh(signum=9), purpose=b""),
    "a signature of something else": lambda: signed(KEY, {"signum": 0}).partition(b"\n")[0] + b'\n{"signum": 9}',
    "cut off": lambda: signed(KEY, {"signum": 9})[:-1],
    "something added": lambda: signed(KEY, {"signum": 9}) + b" ",
    "no signature": lambda: b"\n" + signed(KEY, {"signum": 9}).partition(b"\n")[2],
    "letters beyond ASCII": lambda: "ü\nü".encode(),
    "nothing": lambda: b"",
    "half of JSON": lambda: b"{",
    "oversized": lambda: b"x" * 10_000,
    "oversized and signed": lambda: by_hand(fresh(signum=9, more="x" * 5000)),
    "old": lambda: by_hand(fresh(signum=9, time=time.time() - CLOCK_SECONDS - 5)),
    "of the future": lambda: by_hand(fresh(signum=9, time=time.time() + CLOCK_SECONDS + 5)),
    "of no time": lambda: by_hand(b'{"signum": 9, "nonce": "a", "time": NaN}'),
    "of an impossible time": lambda: by_hand(b'{"signum": 9, "nonce": "a", "time": 1' + b"0" * 400 + b"}"),
    "without time": lambda: by_hand({"signum": 9, "nonce": "a"}),
    "without nonce": lambda: by_hand({"signum": 9, "time": time.time()}),
    "signed, not JSON": lambda: by_hand(b"{"),
    "signed, not an object": lambda: by_hand([1]),
    "signed, deeply nested": lambda: by_hand(b"[" * 4000),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_strangers_request_is_logged_and_does_nothing(served, caplog, kind):
    send(served.port, STRANGERS[kind]())
    until(lambda: "A request is ignored" in caplog.text, "it is logged")
    assert KEY.decode() not in caplog.text
    assert served.interrupted == []
    assert_the_owner_is_heard(served)


def test_a_recorded_request_counts_once(served, caplog):
    recorded = signed(KEY, {"signum": 2})
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it may come at any moment from here on
        send(served.port, recorded)
        time.sleep(10)
    until(lambda: served.interrupted == [True], "the callback is called")
    served.interrupted.clear()
    for _ in range(3):
        send(served.port, recorded)
    until(lambda: caplog.text.count("it was sent before") == 3, "each is logged")
    assert served.interrupted == []
    assert_the_owner_is_heard(served)


def test_what_a_driver_tells_is_no_request_and_a_request_is_nothing_that_it_tells():
    told = signed(KEY, {"spark_ready": 1}, FROM_DRIVER)
    assert Inspection(KEY, FROM_DRIVER).request_in(told)["spark_ready"] == 1
    for inspection, content in ((Inspection(KEY), told), (Inspection(KEY, FROM_DRIVER), signed(KEY, {"signum": 9}))):
        with pytest.raises(RequestError, match="not signed"):
            inspection.request_in(content)


def test_a_request_stays_known_until_it_is_too_old(monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    inspection, recorded = Inspection(KEY), signed(KEY, {"signum": 2})
    inspection.request_in(recorded)
    for later in (1, CLOCK_SECONDS - 1):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        inspection.request_in(signed(KEY, {"signum": 0}))
        with pytest.raises(RequestError, match="before"):
            inspection.request_in(recorded)
    monkeypatch.setattr(time, "time", lambda: now + CLOCK_SECONDS + 1)
    inspection.request_in(signed(KEY, {"signum": 0}))
    with pytest.raises(RequestError, match="old"):
        inspection.request_in(recorded)
    # What is too old to be obeyed is not kept.
    assert len(inspection._seen) == 3


@pytest.mark.parametrize("request_", [{"signum": "2"}, {"signum": 10}, {"signum": 0}, {"signum": None}, {}])
def test_other_requests_of_the_gateway_do_nothing_and_end_nothing(served, request_):
    send(served.port, signed(KEY, request_))
    assert_the_owner_is_heard(served)


def test_nobody_who_says_nothing_keeps_the_owner_waiting(served, monkeypatch):
    monkeypatch.setattr(module, "REQUEST_TIMEOUT", 60.0)
    idle = [socket.create_connection(("127.0.0.1", served.port), timeout=2) for _ in range(2 * module.CALLERS)]
    try:
        assert_the_owner_is_heard(served)
    finally:
        for connection in idle:
            connection.close()


def test_a_slow_caller_is_dropped_however_often_it_says_something(served, monkeypatch, caplog):
    monkeypatch.setattr(module, "REQUEST_TIMEOUT", 0.5)
    with socket.create_connection(("127.0.0.1", served.port), timeout=2) as slow:
        began = time.monotonic()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 - at one of these it is over
            while time.monotonic() - began < 5:
                slow.sendall(b"x")
                time.sleep(0.1)
    assert "too slow" in caplog.text
    assert_the_owner_is_heard(served)


def test_after_a_shutdown_nothing_listens(served):
    send(served.port, signed(KEY, {"shutdown": 1}))

    def refused():
        try:
            send(served.port, b"{}")
        except OSError as error:
            return isinstance(error, ConnectionRefusedError)
        return False

    until(refused, "it still listens")


def test_a_termination_ends_the_process():
    program = (
        "import time; from jeg_plugin.remote_kernel_requests import Requests;"
        f"r = Requests('127.0.0.1', 0, lambda: None); r.start({KEY!r}); print(r.port, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        port = int(process.stdout.readline())
        send(port, b'{"signum": 15}')
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        send(port, signed(KEY, {"signum": 15}))
        assert process.wait(10) == -signal.SIGTERM
    finally:
        process.kill()
        process.stdout.close()


def test_without_a_key_nothing_is_signed_and_nothing_is_served():
    with pytest.raises(ValueError, match="no key"):
        signed(b"", {"signum": 2})
    with pytest.raises(ValueError, match="no key"):
        Requests("127.0.0.1", 0, lambda: None).start(b"")
