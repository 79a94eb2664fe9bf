"""Enterprise Gateway's requests to a driver: interrupt, end, stop listening. Each is signed and counts once.

The one thing that a driver tells later, that Spark is ready, goes the other way in the same form.

A request is one connection: the signature in hex, a line feed, and a JSON object such as ``{"signum": 2}`` or
``{"shutdown": 1}`` with a ``nonce`` and the ``time`` at which it was sent. The signature is HMAC-SHA256 (RFC 2104)
under the key that signs the kernel's messages; the driver told it to the gateway, encrypted. Nothing is ever
answered. One message without a challenge, so that an interrupt also reaches a driver that is too busy to answer.

This file goes into the container beside ``driver.py``: only the standard library.
"""

import hashlib
import hmac
import json
import logging
import os
import secrets
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

REQUEST_BYTES = 4096
#: Seconds that a caller has for the whole of its request.
REQUEST_TIMEOUT = 2.0
#: Callers who may be in the midst of a request; one more, and the one who came first has to go.
CALLERS = 64
#: Seconds by which the clocks of gateway and node may differ. YARN's own container tokens allow for as much.
CLOCK_SECONDS = 600.0
#: Tells these signatures from those of the kernel's messages, which are made with the same key.
PURPOSE = b"remote-kernel-request\n"
#: The same for what the driver tells the gateway.
FROM_DRIVER = b"remote-kernel-report\n"

log = logging.getLogger("remote_kernel.requests")


class RequestError(ValueError):
    """A request that is not obeyed; the text says why."""


def signed(key: bytes, request: Mapping[str, Any], purpose: bytes = PURPOSE) -> bytes:
    """Return what to send so that the other side, which has this key, heeds `request`, once and soon.

    Raises
    ------
    ValueError
        The key is empty.
    """
    content = json.dumps({**request, "nonce": secrets.token_hex(16), "time": time.time()}).encode()
    return _signature(key, content, purpose) + b"\n" + content


def _signature(key: bytes, content: bytes, purpose: bytes) -> bytes:
    if not key:
        raise ValueError("there is no key to sign requests with")
    return hmac.new(key, purpose + content, hashlib.sha256).hexdigest().encode()


class Inspection:
    """Tells the gateway's requests from everybody else's, and remembers those it has seen.

    Parameters
    ----------
    key : bytes
        The kernel's signing key.
    purpose : bytes
        Which side's messages these are.
    """

    def __init__(self, key: bytes, purpose: bytes = PURPOSE) -> None:
        self._key = key
        self._purpose = purpose
        self._seen: dict[str, float] = {}

    def request_in(self, content: bytes) -> dict[str, Any]:
        """Return the request that a caller has sent.

        Raises
        ------
        RequestError
            It isn't signed with this key, is too old or too new, was seen before, or can't be read.
        """
        signature, separator, body = content.partition(b"\n")
        if not separator or not hmac.compare_digest(signature, _signature(self._key, body, self._purpose)):
            raise RequestError("it is not signed by this kernel's gateway")
        try:
            request = json.loads(body)
            nonce, sent = str(request["nonce"]), float(request["time"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise RequestError("it can't be read") from error
        now = time.time()
        # Also false for what is not a number
        if not abs(now - sent) <= CLOCK_SECONDS:
            raise RequestError("it is old, or the clocks of gateway and node differ")
        self._seen = {old: then for old, then in self._seen.items() if abs(now - then) <= CLOCK_SECONDS}
        if nonce in self._seen:
            raise RequestError("it was sent before")
        self._seen[nonce] = sent
        return dict(request)


@dataclass
class _Caller:
    content: bytearray = field(default_factory=bytearray)
    deadline: float = field(default_factory=lambda: time.monotonic() + REQUEST_TIMEOUT)


class Requests:
    """Serves the gateway's requests in a thread of the kernel's own process.

    A thread, not a child process: a child would be counted among the kernel's children at shutdown, and a signal
    that it sends to the process may be taken by any thread. This one is directed at the main thread. It waits for
    all callers at once, so that a stranger who says nothing doesn't keep the gateway waiting.

    Parameters
    ----------
    address : str
        Where to listen.
    port : int
        0 for any free one.
    on_interrupt : callable
        Called in this thread after the main thread was interrupted.
    """

    def __init__(self, address: str, port: int, on_interrupt: Callable[[], None]) -> None:
        self._on_interrupt = on_interrupt
        self._socket = socket.create_server((address, port), backlog=4 * CALLERS)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        # In the order in which they came
        self._callers: dict[socket.socket, _Caller] = {}
        self._over = False

    def start(self, key: bytes) -> None:
        """Begin to serve, in a daemon thread.

        Raises
        ------
        ValueError
            The key is empty.
        """
        if not key:
            raise ValueError("there is no key to check requests with")
        threading.Thread(target=self._serve, args=(Inspection(key),), name="gateway-requests", daemon=True).start()

    def _serve(self, inspection: Inspection) -> None:
        self._selector.register(self._socket, selectors.EVENT_READ)
        with self._selector, self._socket:
            while not self._over:
                for content in self._received():
                    try:
                        self._obey(inspection.request_in(content))
                    except RequestError as error:
                        log.warning("A request is ignored: %s.", error)
            for connection in list(self._callers):
                self._drop(connection)

    def _obey(self, request: Mapping[str, Any]) -> None:
        if request.get("shutdown"):
            self._over = True
            return
        number = request.get("signum")
        if number == signal.SIGINT:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            self._on_interrupt()
        elif number in (signal.SIGTERM, signal.SIGKILL):
            os.kill(os.getpid(), int(str(number)))

    def _received(self) -> list[bytes]:
        """Wait for something to happen; return the requests that are complete now."""
        complete = []
        for key, _ in self._selector.select(self._patience()):
            if key.fileobj is self._socket:
                self._admit()
                continue
            connection = key.fileobj
            # One that was dropped in this very round is not in the table any more.
            if isinstance(connection, socket.socket) and connection in self._callers:
                content = self._read(connection)
                if content is not None:
                    complete.append(content)
        now = time.monotonic()
        for connection in [one for one, caller in self._callers.items() if caller.deadline <= now]:
            self._drop(connection, "its sender is too slow")
        return complete

    def _patience(self) -> float | None:
        for caller in self._callers.values():
            return max(0.0, caller.deadline - time.monotonic())
        return None

    def _admit(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError as error:
            log.warning("A caller could not be let in: %s", error)
            # With no descriptor left the same caller is announced again at once.
            time.sleep(0.1)
            return
        connection.setblocking(False)
        if len(self._callers) >= CALLERS:
            self._drop(next(iter(self._callers)), "too many call at once")
        self._callers[connection] = _Caller()
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> bytes | None:
        caller = self._callers[connection]
        try:
            chunk = connection.recv(REQUEST_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            self._drop(connection, f"the connection broke ({type(error).__name__})")
            return None
        caller.content += chunk
        if len(caller.content) > REQUEST_BYTES:
            self._drop(connection, "it is too long")
            return None
        if chunk:
            return None
        self._drop(connection)
        return bytes(caller.content)

    def _drop(self, connection: socket.socket, why: str = "") -> None:
        if why:
            log.warning("A request is ignored: %s.", why)
        del self._callers[connection]
        self._selector.unregister(connection)
        connection.close()
