"""Websocket frames, taken apart without losing a byte. Pure. https://www.rfc-editor.org/rfc/rfc6455#section-5

A library of websockets hands over messages, and keeps for itself where in the stream of bytes the last one ended. Just
that is needed here: when the kernel comes, what was read and kept goes to it as it came, and the stream goes on behind
it.
"""

import struct
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
#: Close codes: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
NORMAL, GOING_AWAY, PROTOCOL_ERROR, TOO_LARGE = 1000, 1001, 1002, 1009
MASK_BYTES = 4
SHORT, MEDIUM = 126, 127


class FrameError(Exception):
    """What came is no websocket traffic, or more than is taken; `code` is the close code for it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Received:
    """A whole message or a control frame. `raw` is how it came, without control frames in between."""

    opcode: int
    payload: bytes
    raw: bytes


class FrameReader:
    """Takes a client's bytes and gives messages.

    Parameters
    ----------
    maximum : int
        Bytes that a message may have, its frames' heads included: also pieces of nothing come to an end.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._buffer = bytearray()
        self._opcode = 0
        # Of the message that is under way: its payload, and how it came.
        self._payload = bytearray()
        self._raw = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Received | None:
        """Return what is complete, in order; None when more bytes are needed.

        Raises
        ------
        FrameError
            The connection has to be closed.
        """
        while True:
            frame = self._frame()
            if frame is None:
                return None
            final, opcode, payload, raw = frame
            if opcode >= CLOSE:
                return Received(opcode, payload, raw)
            self._check_order(opcode)
            self._opcode = opcode or self._opcode
            self._payload += payload
            self._raw += raw
            if final:
                whole = Received(self._opcode, bytes(self._payload), bytes(self._raw))
                self._payload.clear()
                self._raw.clear()
                return whole

    def rest(self) -> bytes:
        """Give what was received of messages that are not complete, and forget it."""
        data = bytes(self._raw + self._buffer)
        for one in (self._payload, self._raw, self._buffer):
            one.clear()
        return data

    def _check_order(self, opcode: int) -> None:
        if opcode not in (CONTINUATION, TEXT, BINARY) or (opcode == CONTINUATION) != bool(self._raw):
            raise FrameError(PROTOCOL_ERROR, "a frame out of order")

    def _frame(self) -> tuple[bool, int, bytes, bytes] | None:
        """Take the next frame out of the buffer: whether it is the last of its message, opcode, payload, all of it."""
        head = self._head()
        if head is None:
            return None
        start, length = head
        end = start + MASK_BYTES + length
        if len(self._buffer) < end:
            return None
        raw = bytes(self._buffer[:end])
        del self._buffer[:end]
        payload = masked(raw[start + MASK_BYTES :], raw[start : start + MASK_BYTES])
        return bool(raw[0] & 0x80), raw[0] & 0x0F, payload, raw

    def _head(self) -> tuple[int, int] | None:
        """Return where the mask stands and how long the payload is."""
        if len(self._buffer) < 2:
            return None
        first, length, start = self._buffer[0], self._buffer[1] & 0x7F, 2
        if first & 0x70 or not self._buffer[1] & 0x80:
            raise FrameError(PROTOCOL_ERROR, "a frame without a mask, or with an extension that was not agreed")
        if first & 0x08 and (length >= SHORT or not first & 0x80):
            raise FrameError(PROTOCOL_ERROR, "a control frame that is too long or in pieces")
        if length >= SHORT:
            size = 2 if length == SHORT else 8
            if len(self._buffer) < 2 + size:
                return None
            length, start = int.from_bytes(self._buffer[2 : 2 + size], "big"), 2 + size
        if len(self._raw) + start + MASK_BYTES + length > self._maximum and not first & 0x08:
            raise FrameError(TOO_LARGE, "a message larger than what is taken")
        return start, length


def masked(payload: bytes, mask: bytes) -> bytes:
    """Put the mask on, or take it off."""
    key = (mask * (len(payload) // MASK_BYTES + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")


def frame(opcode: int, payload: bytes) -> bytes:
    """Write a server's frame: in one piece, without a mask."""
    length = len(payload)
    if length < SHORT:
        head = struct.pack("!BB", 0x80 | opcode, length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, SHORT, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, MEDIUM, length)
    return head + payload


def text_frame(text: str) -> bytes:
    return frame(TEXT, text.encode())


def close_frame(code: int) -> bytes:
    return frame(CLOSE, struct.pack("!H", code))


def as_client(short: bytes) -> bytes:
    """Turn a short frame of ours into a client's, which has a mask; that of zeros changes nothing."""
    return short[:1] + bytes([short[1] | 0x80]) + bytes(MASK_BYTES) + short[2:]
