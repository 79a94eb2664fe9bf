"""What an interrupt does to the kernel: it ends a cell, also one whose code does not run yet, and nothing else.

ipykernel drops an interrupt between a cell's "busy" and its handler. In the handler, before and after the cell's own
code, an interrupt takes the cell's reply with it; at its very end it stops the kernel from reading any further. Code
that awaits hears of it with the next message. So an interrupt that comes before the cell's code is kept for it, one
that comes after it leaves the reply alone, and one that comes in between wakes whatever waits.

This file goes into the container beside ``driver.py``.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ipykernel.ipkernel import IPythonKernel

Handler = Callable[[int, FrameType | None], Any]
#: Stands in for a cell whose interrupt came before its code.
INTERRUPTED = compile("raise KeyboardInterrupt", "<interrupt>", "exec")


def ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: no cell runs. Unlike SIG_IGN not passed on to programs that the kernel starts."""


class Kept:
    """A signal handler that keeps the interrupt for code which is about to run.

    Attributes
    ----------
    came : bool
        Whether there was one.
    then : callable
        The handler for when the code runs, and for a second interrupt: something before the code may hang.
    """

    def __init__(self, then: Handler = ignore, came: bool = False) -> None:
        self.then = then
        self.came = came

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take the signal."""
        if self.came:
            self.then(number, frame)
        self.came = True


class InterruptibleKernel(IPythonKernel):
    """The usual kernel, whose cells can be interrupted from their "busy" on and are always answered."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # No class of our own: libraries go by the shell's class name to find out that they are in a notebook.
        shell: Any = self.shell
        self._run_piece = shell.run_code
        shell.run_code = self._run_code

    async def _run_code(self, code_obj: Any, result: Any = None, *, async_: bool = False) -> bool:
        """Run a piece of a cell, or raise the interrupt that was kept for it in its place."""
        handler = signal.getsignal(signal.SIGINT)
        if isinstance(handler, Kept) and _in_main_thread():
            signal.signal(signal.SIGINT, handler.then)
            if handler.came:
                code_obj, async_ = INTERRUPTED, False
        return bool(await self._run_piece(code_obj, result, async_=async_))

    async def dispatch_shell(self, *args: Any, **kwargs: Any) -> None:
        """Handle a message on the shell channel."""
        if not _in_main_thread():
            return await super().dispatch_shell(*args, **kwargs)
        signal.signal(signal.SIGINT, Kept())
        try:
            await super().dispatch_shell(*args, **kwargs)
        finally:
            signal.signal(signal.SIGINT, ignore)

    def pre_handler_hook(self) -> None:
        """Let an interrupt end the handler at once, except a cell's, which keeps it for the code."""
        if self.get_parent("shell")["header"]["msg_type"] != "execute_request":
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def post_handler_hook(self) -> None:
        """The handler is over."""
        signal.signal(signal.SIGINT, ignore)

    async def do_execute(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run a cell."""
        handler = signal.getsignal(signal.SIGINT)
        if isinstance(handler, Kept):
            handler.then = signal.default_int_handler
        try:
            return dict(await super().do_execute(*args, **kwargs))
        except KeyboardInterrupt:
            return self._interrupted()
        finally:
            if _in_main_thread():
                signal.signal(signal.SIGINT, ignore)

    def _interrupted(self) -> dict[str, Any]:
        """Return the answer for a cell that was interrupted outside of its own code."""
        shell: Any = self.shell
        shell.showtraceback()
        return {
            "status": "error",
            "ename": "KeyboardInterrupt",
            "evalue": "",
            "traceback": shell._last_traceback or [],
            "execution_count": shell.execution_count,
            "user_expressions": {},
            "payload": [],
        }

    @contextmanager
    def _cancel_on_sigint(self, future: Any) -> Iterator[None]:
        """Cancel code that awaits; what has not begun is not cancelled, which would end ipykernel's queue."""
        kept, loop = signal.getsignal(signal.SIGINT), asyncio.get_running_loop()
        with super()._cancel_on_sigint(future):
            cancel = signal.getsignal(signal.SIGINT)
            if isinstance(kept, Kept) and callable(cancel):
                signal.signal(signal.SIGINT, Kept(_waking(loop, cancel), kept.came))
            yield


def _waking(loop: asyncio.AbstractEventLoop, cancel: Handler) -> Handler:
    """Have the loop look again after `cancel`, which in the loop's own thread does not wake it."""

    def handle(number: int, frame: FrameType | None) -> None:
        cancel(number, frame)
        loop.call_soon_threadsafe(lambda: None)

    return handle


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
