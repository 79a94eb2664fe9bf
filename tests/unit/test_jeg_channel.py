import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from jeg_plugin import remote_kernel_channel as channel


@pytest.mark.parametrize(
    ("node", "gateway", "expected"),
    [
        ("127.0.0.2", "127.0.0.1:8877", "127.0.0.2"),
        ("127.0.0.3", "localhost:8877", "127.0.0.3"),
        ("", "127.0.0.1:8877", "127.0.0.1"),
        ("no.such.host.invalid", "127.0.0.1:8877", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1:8877", "127.0.0.1"),  # noqa: S104 - that it isn't used is what the test is for
    ],
)
def test_the_address_of_the_node(node, gateway, expected):
    assert channel.own_address(gateway, {"NM_HOST": node}) == expected


def test_a_node_that_calls_itself_loopback_is_not_believed_by_a_gateway_elsewhere(monkeypatch):
    gateway = "192.0.2.77"
    addresses = {"gateway": gateway, "node1": "127.0.1.1"}
    monkeypatch.setattr(socket, "gethostbyname", addresses.__getitem__)
    try:
        address = channel.own_address("gateway:8877", {"NM_HOST": "node1"})
    except OSError:
        pytest.skip("this machine has no way to other networks")
    assert address != "127.0.1.1"


def test_ports():
    assert channel.choose_ports("127.0.0.1", "0..0", 6) == [0] * 6
    ports = channel.choose_ports("127.0.0.1", "40000..41000", 6)
    assert len(set(ports)) == 6
    assert all(40000 <= port <= 41000 for port in ports)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="free ports"):
            channel.choose_ports("127.0.0.1", f"{port}..{port + 1}", 2)


@pytest.fixture
def requests():
    served = channel.Requests("127.0.0.1", 0, on_interrupt=lambda: interrupted.append(True))
    interrupted = []
    served.interrupted = interrupted
    served.start()
    return served


def send(port, content):
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(content)


def test_an_interrupt_reaches_the_main_thread(requests):
    threading.Timer(0.2, send, (requests.port, b'{"signum": 2}')).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        time.sleep(10)
    assert time.monotonic() - began < 5
    time.sleep(0.2)
    assert requests.interrupted == [True]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b"x" * 10_000, b'{"signum": "2"}', b'{"signum": 10}', b'{"signum": 0}', b"{}"],
)
def test_other_requests_do_nothing_and_end_nothing(requests, content):
    send(requests.port, content)
    send(requests.port, b'{"signum": 0}')
    time.sleep(0.1)
    assert requests.interrupted == []


def test_an_idle_connection_does_not_block_for_long(requests, monkeypatch):
    monkeypatch.setattr(channel, "REQUEST_TIMEOUT", 0.3)
    with socket.create_connection(("127.0.0.1", requests.port)):
        time.sleep(0.1)
        threading.Timer(0.1, send, (requests.port, b'{"signum": 2}')).start()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(10)


def test_after_a_shutdown_nothing_listens(requests):
    send(requests.port, json.dumps({"shutdown": 1}).encode())
    deadline = time.monotonic() + 5
    while True:
        try:
            send(requests.port, b"{}")
        except ConnectionRefusedError:
            break
        assert time.monotonic() < deadline, "it still listens"
        time.sleep(0.05)


def test_a_termination_ends_the_process():
    program = (
        "import time; from jeg_plugin.remote_kernel_channel import Requests;"
        "r = Requests('127.0.0.1', 0, lambda: None); r.start(); print(r.port, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        send(int(process.stdout.readline()), b'{"signum": 15}')
        assert process.wait(10) == -signal.SIGTERM
    finally:
        process.kill()
        process.stdout.close()


def test_a_refused_report_is_an_error(monkeypatch):
    monkeypatch.setattr(channel, "encrypted", lambda *_: b"payload")
    received = []

    def answer(server, text):
        connection, _ = server.accept()
        with connection:
            while chunk := connection.recv(100):
                received.append(chunk)
            connection.sendall(text)

    for text, refused in ((b"unknown-kernel\n", True), (b"accepted\n", False), (b"", False)):
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=answer, args=(server, text), daemon=True).start()
            address = f"127.0.0.1:{server.getsockname()[1]}"
            if refused:
                with pytest.raises(channel.KernelRefusedError):
                    channel.report(address, "key", {})
            else:
                channel.report(address, "key", {})
    assert received == [b"payload"] * 3
