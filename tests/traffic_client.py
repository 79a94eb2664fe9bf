"""Many kernel websockets at once, with as little work on this side as possible."""

import select
import socket
import time
from dataclasses import dataclass

from tests.traffic_frames import HANDSHAKE_TIMEOUT, HEAD_END, KEY, client_frame, server_frame

READ_BYTES = 256 * 1024
PATIENCE_S = 30


class HandshakeError(Exception):
    """The handshake was answered with something else than 101."""


def connect(port, path, token):
    """Open a kernel's websocket; `path` with the session id, see `traffic_upstream`."""
    sock = socket.create_connection(("127.0.0.1", port), HANDSHAKE_TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: token {token}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode()
    )
    head = b""
    while HEAD_END not in head:
        byte = sock.recv(1)
        if not byte:
            raise HandshakeError("closed")
        head += byte
    if not head.startswith(b"HTTP/1.1 101"):
        sock.close()
        raise HandshakeError(head.decode("latin-1").splitlines()[0])
    return sock


@dataclass
class Passed:
    """What came back in a time."""

    size: int
    received: int
    seconds: float

    @property
    def messages(self):
        return self.received // len(server_frame(self.size))

    @property
    def per_second(self):
        return self.messages / self.seconds

    @property
    def mb_per_second(self):
        return self.received / self.seconds / 1e6


def measure(socks, size, seconds, *, in_flight=0, warm_up=0.2):
    """Read from all sockets for some seconds.

    Parameters
    ----------
    in_flight
        Messages that each socket has under way; each answer is followed by another question. 0: what the other end
        sends without being asked again.
    """
    question, unit = client_frame(size), len(server_frame(size))
    rest = {sock.fileno(): 0 for sock in socks}
    by_number = {sock.fileno(): sock for sock in socks}
    buffer = memoryview(bytearray(READ_BYTES))
    poll = select.epoll()
    for sock in socks:
        sock.setblocking(False)
        poll.register(sock, select.EPOLLIN)
        sock.send(question * max(1, in_flight))
    began, received = None, 0
    end = time.perf_counter() + warm_up
    while True:
        now = time.perf_counter()
        if now >= end:
            if began is not None:
                poll.close()
                return Passed(size, received, now - began)
            began, received, end = now, 0, now + seconds
        events = poll.poll(PATIENCE_S)
        if not events:
            raise TimeoutError("nothing comes")
        for number, _ in events:
            sock = by_number[number]
            count = sock.recv_into(buffer)
            if not count:
                raise ConnectionError("closed")
            received += count
            if in_flight:
                whole, rest[number] = divmod(rest[number] + count, unit)
                sock.send(question * whole)
