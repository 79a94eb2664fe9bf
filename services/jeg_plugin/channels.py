"""The websocket of a kernel, for clients that give a connection up as soon as they have it.

JupyterLab opens every websocket twice and drops the first at once. The stock handler then still waits for the
kernel's first words on that connection (its "nudge"), and when they come, stops listening to the very streams that
the second connection has taken over: the notebook never hears from its kernel again.
"""

import asyncio
from typing import Any

from enterprise_gateway.services.kernels.handlers import ZMQChannelsHandler

from .actions import KernelActionHandler

#: Seconds in which the event loop gets to what ends a nudge.
SETTLE = 0.05


class ChannelsHandler(ZMQChannelsHandler):
    """Ends what it has begun before its streams go to somebody else."""

    _nudging: asyncio.Future[Any] | None = None

    def nudge(self) -> "asyncio.Future[Any]":
        """Wait for the kernel's first words, of one that is free: a busy one would answer beside its cell."""
        if self._is_silent():
            answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            answered.set_result(None)
            return answered
        self._nudging = super().nudge()
        return self._nudging

    def _is_silent(self) -> bool:
        """Say whether nobody knows what the kernel does and it has not answered the question that cells come before."""
        kernel = self.kernel_manager.get_kernel(self.kernel_id)
        asked = getattr(kernel, "_kernel_info_future", None)
        return kernel.execution_state == "starting" and asked is not None and asked.done() and not asked.result()

    def create_stream(self) -> None:
        """Connect to the kernel, and note that its ports are these.

        They are noted else at its start alone. Who comes back after a restart would be given new streams beside those
        that were kept for them, with the same names: the kernel answers neither of two that have one name.
        """
        super().create_stream()
        self.kernel_manager.ports_changed(self.kernel_id)

    def on_close(self) -> None:
        """Hand the streams over, after the nudge has let go of them."""
        if self._nudging is None or self._nudging.done():
            super().on_close()
            return
        self._nudging.set_result(None)
        asyncio.get_running_loop().call_later(SETTLE, super().on_close)


def request_handlers(stock: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Put our handlers in place of the stock ones, and leave out sessions, which nobody may use."""
    ours = {ZMQChannelsHandler.__name__: ChannelsHandler, KernelActionHandler.__name__: KernelActionHandler}
    return [
        (pattern, ours.get(handler.__name__, handler), *more)
        for pattern, handler, *more in stock
        if "/api/sessions" not in pattern
    ]
