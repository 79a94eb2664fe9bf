"""Where drivers report to: Enterprise Gateway's response manager, served by the event loop.

The stock one polls its socket ten thousand times a second, reads one connection at a time without a timeout (a
single idle one stops all starts), and also takes reports that are encrypted with nothing but the kernel's id.
"""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

from enterprise_gateway.services.processproxies.processproxy import ResponseManager
from tornado.ioloop import IOLoop

from .metrics import REPORTS
from .remote_kernel_requests import FROM_DRIVER, Inspection, RequestError

REPORT_BYTES = 64 * 1024
REPORT_TIMEOUT = 10.0
#: Characters of a signature, which a line feed follows; no encrypted report has one there.
SIGNATURE = 64
ACCEPTED = b"accepted\n"
#: A driver that reads this ends itself: nobody waits for it any more.
UNKNOWN_KERNEL = b"unknown-kernel\n"


class Reports(ResponseManager):
    """Takes each driver's report once, from the kernels that are being waited for.

    It becomes *the* response manager when its `instance()` is asked for before any other.
    """

    def _start_response_manager(self) -> None:
        self._prepare_response_socket()
        self._response_socket.setblocking(False)
        self._server: asyncio.AbstractServer | None = None
        self._listeners: dict[str, tuple[Inspection, Callable[[dict[str, Any]], None]]] = {}
        # Kernels of an earlier run are loaded before the loop runs; the socket queues until then.
        IOLoop.current().add_callback(self._serve)

    async def _serve(self) -> None:
        self._server = await asyncio.start_server(self._handle, sock=self._response_socket, limit=REPORT_BYTES)

    @property
    def served(self) -> bool:
        """True while the port is open."""
        return self._server is not None and self._server.is_serving()

    def stop_response_manager(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            content = await asyncio.wait_for(_all_of(reader), REPORT_TIMEOUT)
            taken = self._heed(content) if content[SIGNATURE : SIGNATURE + 1] == b"\n" else self._take(content)
            writer.write(ACCEPTED if taken else UNKNOWN_KERNEL)
            await asyncio.wait_for(writer.drain(), REPORT_TIMEOUT)
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            self.log.warning("A connection to the response port brought no report: %s", type(error).__name__)
        finally:
            writer.close()

    def _heed(self, content: bytes) -> bool:
        """Take what a connected kernel's driver tells, signed with the kernel's key."""
        try:
            kernel_id = json.loads(content[SIGNATURE:]).get("kernel_id")
            inspection, listener = self._listeners[kernel_id]
            message = inspection.request_in(content)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            why = str(error) if isinstance(error, RequestError) else "of no kernel here"
            self.log.warning("A driver's message to the response port is ignored: %s.", why)
            return False
        listener(message)
        return True

    def _take(self, content: bytes) -> bool:
        try:
            info = self._decode_payload(content)
        except (ValueError, KeyError, TypeError) as error:
            # Also a driver whose gateway was killed and started again: that one had another key.
            self.log.warning("A report to the response port can't be read: %s", type(error).__name__)
            REPORTS.labels(outcome="unreadable").inc()
            return False
        waiting = self._response_registry.get(info.get("kernel_id"))
        if waiting is None or waiting.is_set():
            self.log.warning("A driver reported for a kernel that is not being started.")
            REPORTS.labels(outcome="unknown").inc()
            return False
        REPORTS.labels(outcome="accepted").inc()
        waiting.response = info
        return True

    def _decode_payload(self, data: bytes) -> dict[str, Any]:
        if json.loads(base64.b64decode(data)).get("version") != 1:
            raise ValueError("not a version 1 report")
        info = super()._decode_payload(data)
        if not isinstance(info, dict):
            raise ValueError("not an object")
        return info

    async def report_of(self, kernel_id: str) -> dict[str, Any]:
        """Wait for the report of a kernel that was registered."""
        waiting = self._response_registry[kernel_id]
        await waiting.wait()
        return dict(waiting.response)

    def listen(self, kernel_id: str, key: bytes, listener: Callable[[dict[str, Any]], None]) -> None:
        """Hand on what the driver of a connected kernel tells, until `unlisten`."""
        self._listeners[kernel_id] = (Inspection(key, FROM_DRIVER), listener)

    def unlisten(self, kernel_id: str) -> None:
        """Heed this kernel's driver no more."""
        self._listeners.pop(kernel_id, None)

    def forget(self, kernel_id: str) -> None:
        """Take no report for this kernel any more."""
        self._response_registry.pop(kernel_id, None)


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while chunk := await reader.read(REPORT_BYTES):
        content += chunk
        if len(content) > REPORT_BYTES:
            raise ValueError("too long")
    return content
