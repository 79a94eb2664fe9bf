"""``python -m tests.traffic_upstream``: Enterprise Gateway and the Hub, as far as open kernel websockets need them.

As fast as Python can: frames are made once and counted by their bytes. The session id of a websocket says what it does:
``echo_SIZE_…`` answers each message of SIZE bytes with another one, ``flood_SIZE_COUNT_…`` sends COUNT messages
(0: for ever) once the client has sent something.
"""

import contextlib
import json
import os
import re
import select
import socket
import sys

from tests.traffic_frames import HEAD_END, accept_key, client_frame, server_frame

READ_BYTES = 256 * 1024
#: Frames that are sent by one call, in bytes.
BLOCK_BYTES = 64 * 1024
USER = {
    "kind": "user",
    "name": "alice",
    "groups": [],
    "admin": False,
    "scopes": ["access:services!service=gateway"],
}
PARENT_LOOK_S = 2.0


class Connection:
    """A client: first a request's head, then frames."""

    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.head = b""
        self.is_socket = False
        self._rest = self._unit = self._left = 0
        self._block = self._waiting = memoryview(b"")
        self._endless = self._begun = False

    def readable(self):
        count = self.sock.recv_into(self.server.buffer)
        if not count:
            raise ConnectionError
        if self.is_socket:
            self._frames(count)
            return
        self.head += bytes(self.server.buffer[:count])
        while not self.is_socket and HEAD_END in self.head:
            head, _, self.head = self.head.partition(HEAD_END)
            self._request(head.decode("latin-1"))

    def writable(self):
        """Send on: one block at most, so that every connection gets its turn."""
        if len(self._waiting) or self._next():
            with contextlib.suppress(BlockingIOError):
                self._waiting = self._waiting[self.sock.send(self._waiting) :]
        more = len(self._waiting) or self._left
        self.server.watch(self, select.EPOLLIN | select.EPOLLOUT if more else select.EPOLLIN)

    def _next(self):
        if self._left >= len(self._block) > 0:
            self._waiting = self._block
        elif self._left > 0:
            self._waiting = self._block[: self._left]
        self._left -= len(self._waiting)
        if self._endless:
            self._left = len(self._block)
        return len(self._waiting) > 0

    def _frames(self, count):
        if self._unit:
            whole, self._rest = divmod(self._rest + count, self._unit)
            self._left += whole * self._answer
        elif not self._begun:
            self._begun = True
            self._left = self._total
        if self._left and not len(self._waiting):
            self.writable()

    def _request(self, head):
        path = head.split(" ", 2)[1]
        key = re.search(r"^sec-websocket-key: *(\S+)\r?$", head, re.IGNORECASE | re.MULTILINE)
        if key and "/channels" in path:
            self._upgrade(path, key.group(1))
            return
        self._answer_json(self.server.answer(path))

    def _answer_json(self, value):
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self.sock.sendall(head.encode() + HEAD_END + body)

    def _upgrade(self, path, key):
        self.is_socket = True
        mode, size, *more = re.search(r"session_id=([A-Za-z0-9_-]*)", path).group(1).split("_")
        frame = server_frame(int(size))
        self._answer = len(frame)
        self._block = memoryview(frame * max(1, BLOCK_BYTES // len(frame)))
        if mode == "echo":
            self._unit = len(client_frame(int(size)))
        else:
            self._endless = more[0] == "0"
            self._total = len(self._block) if self._endless else len(frame) * int(more[0])
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + HEAD_END
        )


class Server:
    """All connections in one loop."""

    def __init__(self):
        self.buffer = memoryview(bytearray(READ_BYTES))
        self.poll = select.epoll()
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listening.setblocking(False)
        self.poll.register(self.listening, select.EPOLLIN)
        self.connections = {}
        self.events = {}

    @property
    def port(self):
        return self.listening.getsockname()[1]

    def answer(self, path):
        """Return what the Hub or Enterprise Gateway would say."""
        if path.startswith("/hub/api/users"):
            return {"items": [], "_pagination": {}}
        if path.startswith("/hub/api/user"):
            return USER
        return {"version": "3.3"} if path == "/api" else []

    def watch(self, connection, events):
        number = connection.sock.fileno()
        if self.events[number] != events:
            self.events[number] = events
            self.poll.modify(number, events)

    def run(self):
        """Serve until the process that started this one is gone."""
        parent = os.getppid()
        while os.getppid() == parent:
            for number, event in self.poll.poll(PARENT_LOOK_S):
                if number == self.listening.fileno():
                    self._accept()
                else:
                    self._serve(number, event)

    def _accept(self):
        sock, _ = self.listening.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections[sock.fileno()] = Connection(self, sock)
        self.events[sock.fileno()] = select.EPOLLIN
        self.poll.register(sock, select.EPOLLIN)

    def _serve(self, number, event):
        connection = self.connections[number]
        try:
            if event & ~select.EPOLLOUT:
                connection.readable()
            if event & select.EPOLLOUT:
                connection.writable()
        except BlockingIOError:
            return
        except OSError:
            self.poll.unregister(number)
            del self.connections[number], self.events[number]
            connection.sock.close()


if __name__ == "__main__":
    server = Server()
    print(server.port, flush=True)
    sys.stdout.close()
    server.run()
