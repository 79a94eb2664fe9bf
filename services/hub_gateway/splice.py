"""Kernel traffic: bytes from one connection to another and back, without looking at them.

Each side reads only while the other can write, so memory stays flat whatever the speed of either. When one side has
said its last word, the other is told so and may still finish its own.
"""

import asyncio
from collections.abc import Iterator
from typing import cast

from prometheus_client import REGISTRY, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from .keepalive import keep_alive

SOCKETS = Gauge("hub_gateway_kernel_sockets", "Open kernel websockets")

#: Bytes that may wait for a slow side before the other one is not read any more.
HIGH_WATER = 256 * 1024

#: Bytes that have passed, by direction. Plain numbers: a prometheus counter costs as much as the passing itself.
_passed = {"to_kernel": 0, "from_kernel": 0}


class _Passed(Collector):
    """Tells `_passed` to whoever asks for metrics."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        found = CounterMetricFamily(
            "hub_gateway_kernel_bytes", "Bytes of kernel traffic, by direction", labels=["direction"]
        )
        for direction, count in _passed.items():
            found.add_metric([direction], count)
        yield found


REGISTRY.register(_Passed())


class Side(asyncio.Protocol):
    """One end of a splice. Nothing is read until `join` has given it its other end."""

    def __init__(self, direction: str) -> None:
        self.transport: asyncio.Transport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._other: Side | None = None
        self._direction = direction
        self._ended = False

    def join(self, other: "Side") -> None:
        """Join with the other end; one that has gone already takes this one with it."""
        self._other = other
        if other.closed.done() and self.transport is not None:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # of a stream; uvloop's has no such base
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        _passed[self._direction] += len(data)
        if self._other is not None:
            self._other.write(data)

    def write(self, data: bytes) -> None:
        """Send; nothing when this end is closed."""
        # Asked here, because uvloop's transports raise where asyncio's say nothing.
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        other = self._other
        if other is None or other.transport is None or other.transport.is_closing():
            return False
        if other._ended or not other.transport.can_write_eof():
            other.transport.close()
            return False
        other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        if self._other is not None and self._other.transport is not None:
            self._other.transport.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self.transport is not None:
            self.transport.abort()


async def until_closed(client: Side, upstream: Side) -> None:
    """Wait until both ends are closed; on cancellation drop both."""
    SOCKETS.inc()
    try:
        # Not gather: cancelling that would cancel the futures, for which others wait too.
        await asyncio.wait({client.closed, upstream.closed})
    finally:
        SOCKETS.dec()
        client.abort()
        upstream.abort()
