"""A client's websocket while the kernel starts."""

import asyncio
import uuid
from collections.abc import Callable, Iterable
from typing import Any, cast

from hub_ext.errors import PublicError

from ..keepalive import keep_alive
from ..splice import HIGH_WATER, Side
from . import frames, tiny_kernel
from .frames import FrameError, FrameReader, Received
from .kept import MAXIMUM_BYTES, MAXIMUM_MESSAGES, Kept
from .messages import Message, read, write
from .tiny_kernel import CLEAR, Answer, Deed, Failure, Said

#: Told when a client wants the start ended or begun anew.
Wish = Callable[[Deed], None]

TOO_MUCH = tiny_kernel.failure_of(
    PublicError(
        "request-too-large",
        f"Of a kernel that is starting, {MAXIMUM_MESSAGES} cells with {MAXIMUM_BYTES >> 20} MiB together wait at most.",
        remedy="Run this cell again when the kernel is there.",
    ),
    headline="This cell was not kept.",
)


class Guest(asyncio.Protocol):
    """Answers a client in the kernel's place.

    Parameters
    ----------
    language : str
        The kernel's, as its kernelspec tells it.
    wish : callable
        See `Wish`.
    kept : Kept
        What an earlier connection of the same client has left here.
    greeting : bytes
        The handshake's answer.
    """

    def __init__(self, language: str, wish: Wish, kept: Kept, greeting: bytes) -> None:
        self.kept = kept
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._language = language
        self._wish = wish
        self._greeting = greeting
        self._reader = FrameReader(MAXIMUM_BYTES)
        self._session = uuid.uuid4().hex
        self._failure: Failure | None = None
        self._slow = False
        self._over = False

    # -- the connection --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        keep_alive(transport.get_extra_info("socket"))
        self.transport.write(self._greeting)
        self._say_starting()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while not self._over and (received := self._reader.next()) is not None:
                self._received(received)
        except FrameError as error:
            self.close(error.code)

    def pause_writing(self) -> None:
        self._slow = True
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._slow = False
        if self.transport is not None:
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def abort(self) -> None:
        """Drop the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def close(self, code: int = frames.NORMAL) -> None:
        """Say goodbye; nothing is answered any more."""
        if not self._over and self.transport is not None:
            self._over = True
            self._write(frames.close_frame(code))
            self.transport.close()

    @property
    def slow(self) -> bool:
        """Whether more waits to be written to it than it should be."""
        return self._slow

    @property
    def gone(self) -> bool:
        return self.transport is None or self.transport.is_closing()

    # -- what it says ----------------------------------------------------------------------------

    def show(self, html: str, text: str) -> None:
        """Say in the first cell that waits where the start is; nothing when none waits, or the client is slow."""
        kept = self.kept
        if kept.shown_in is None or self._slow or self.gone or self._failure is not None:
            return
        self._say(tiny_kernel.display(kept.display_id, html, text, again=kept.shown), kept.shown_in)
        kept.shown = True

    def ping(self) -> None:
        """Keep what is between us and a silent client from closing the connection."""
        if not self.gone and not self._slow:
            self._write(frames.frame(frames.PING, b""))

    def clear(self) -> None:
        """Take the words about the wait away."""
        if self.kept.shown and self.kept.shown_in is not None:
            self._say(CLEAR, self.kept.shown_in)
            self.kept.shown = False

    def fail(self, failure: Failure) -> None:
        """Answer every cell that waits, and those that come, with what went wrong."""
        self.clear()
        self._failure = failure
        for header in self.kept.cells:
            self._say_all(tiny_kernel.failed(failure), header)
        self._say_idle()
        self.kept.forget()

    def begin_anew(self) -> None:
        """Wait again, for a kernel that could not start before."""
        self._failure = None
        self._say_starting()

    def forget(self) -> None:
        """Forget the cells that wait: their owner restarts the kernel."""
        self.clear()
        for header in self.kept.cells:
            self._say_all(tiny_kernel.aborted(), header)
        self.kept.forget()
        self._say_starting()

    # -- what it hears ---------------------------------------------------------------------------

    def _received(self, received: Received) -> None:
        if received.opcode == frames.CLOSE:
            self.close()
        elif received.opcode == frames.PING:
            self._write(frames.frame(frames.PONG, received.payload))
        elif received.opcode in (frames.TEXT, frames.BINARY):
            message = read(received.payload, binary=received.opcode == frames.BINARY)
            if message is not None:
                self._asked(message, received.raw)

    def _asked(self, message: Message, raw: bytes) -> None:
        if self._failure is not None:
            answer = tiny_kernel.answer_of_none(message, self._failure, self._language)
        else:
            answer = tiny_kernel.answer(message, self._language)
        if answer.deed == "keep" and not self.kept.add(raw):
            answer = Answer((*answer.said, *tiny_kernel.failed(TOO_MUCH)) if tiny_kernel.is_cell(message) else ())
        elif answer.deed == "keep" and tiny_kernel.is_cell(message):
            self.kept.add_cell(message.header, shown=tiny_kernel.is_shown(message))
        self._say_all(answer.said, message.header)
        if answer.deed in ("interrupt", "stop", "restart"):
            self._wish(answer.deed)
        elif answer.said and not self.kept.cells:
            self._say_starting()

    # -- the hand-over ---------------------------------------------------------------------------

    def hand_over(self) -> tuple[Side, bytes]:
        """Give the connection away.

        Returns
        -------
        tuple
            The client's end for the splice, and what the kernel has to hear first: the messages that were kept, and
            what was read of the next ones. From now on nothing of the client is read here.
        """
        assert self.transport is not None  # noqa: S101 (a guest is given away after it has come)
        self.clear()
        self._say_idle()
        self._over = True
        raw = self.kept.all() + self._reader.rest()
        self.kept.forget()
        client = Side("to_kernel")
        client.closed.add_done_callback(lambda _: self.connection_lost(None))
        # Not written to from here any more: it could be in the midst of a frame of the kernel's.
        transport, self.transport = self.transport, None
        transport.set_protocol(client)
        client.connection_made(transport)
        transport.resume_reading()
        return client, raw

    # -- writing ---------------------------------------------------------------------------------

    def _say_starting(self) -> None:
        # Nothing that another client can bring about again and again is written to one that does not read.
        if self._failure is None and not self._slow:
            self._say_all((tiny_kernel.status("starting", about_request=False),), {})

    def _say_idle(self) -> None:
        """Take the word that it is starting back, where no cell waits for an answer."""
        if not self.kept.cells:
            self._say_all((tiny_kernel.status("idle", about_request=False),), {})

    def _say(self, said: Said, parent: dict[str, Any]) -> None:
        self._say_all((said,), parent)

    def _say_all(self, said: Iterable[Said], parent: dict[str, Any]) -> None:
        for one in said:
            text = write(self._session, one.kind, one.content, parent if one.about_request else {}, one.channel)
            self._write(frames.text_frame(text))

    def _write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)
