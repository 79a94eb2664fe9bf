import socket
import threading

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
