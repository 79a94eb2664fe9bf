"""Frames against an independent implementation: the websocket-client package."""

import random
import time

import pytest
from websocket import ABNF

from hub_gateway.waiting.frames import (
    BINARY,
    CLOSE,
    PING,
    PROTOCOL_ERROR,
    TEXT,
    TOO_LARGE,
    FrameError,
    FrameReader,
    as_client,
    close_frame,
    frame,
)

LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 70000]


def sent(payload, opcode=ABNF.OPCODE_TEXT, fin=1):
    return ABNF.create_frame(payload, opcode, fin).format()


def everything(reader):
    found = []
    while (one := reader.next()) is not None:
        found.append(one)
    return found


@pytest.mark.parametrize("length", LENGTHS)
def test_a_message_of_any_length_is_read_and_kept_as_it_came(length):
    reader, raw = FrameReader(1 << 20), sent("x" * length)
    reader.feed(raw)
    (one,) = everything(reader)
    assert (one.opcode, one.payload, one.raw) == (TEXT, b"x" * length, raw)
    assert reader.rest() == b""


def test_whatever_the_pieces_are_every_byte_is_either_in_a_message_or_left_over():
    chance = random.Random(3)  # noqa: S311 (the same bytes every time)
    messages = [sent("a" * chance.choice([0, 5, 126, 3000])) for _ in range(30)]
    fragments = [sent("one", fin=0), sent("two", ABNF.OPCODE_CONT, fin=0), sent("three", ABNF.OPCODE_CONT)]
    stream = b"".join([*messages, *fragments, sent("end")])
    for _ in range(50):
        reader, found, at = FrameReader(1 << 20), [], 0
        end = chance.randrange(len(stream))
        while at < end:
            step = min(chance.randrange(1, 4000), end - at)
            reader.feed(stream[at : at + step])
            found += everything(reader)
            at += step
        assert b"".join(one.raw for one in found) + reader.rest() == stream[:end]


def test_a_ping_within_a_message_in_pieces_is_apart_from_it():
    reader = FrameReader(1000)
    first, last = sent("one", ABNF.OPCODE_BINARY, fin=0), sent("two", ABNF.OPCODE_CONT)
    reader.feed(first + sent(b"p", ABNF.OPCODE_PING) + last)
    ping, whole = everything(reader)
    assert (ping.opcode, ping.payload) == (PING, b"p")
    assert (whole.opcode, whole.payload, whole.raw) == (BINARY, b"onetwo", first + last)


UNMASKED = frame(TEXT, b"x")
COMPRESSED = bytes([sent("x")[0] | 0x40]) + sent("x")[1:]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (UNMASKED, PROTOCOL_ERROR),
        (COMPRESSED, PROTOCOL_ERROR),
        (sent("x", ABNF.OPCODE_CONT), PROTOCOL_ERROR),
        (sent("x", fin=0) + sent("y"), PROTOCOL_ERROR),
        (bytes([0x83]) + sent("x")[1:], PROTOCOL_ERROR),
        (bytes([0x09, 0x80]), PROTOCOL_ERROR),
        (bytes([0x89, 0xFE, 0, 126]), PROTOCOL_ERROR),
        (sent("x" * 1001), TOO_LARGE),
        (sent("x" * 600, fin=0) + sent("x" * 600, ABNF.OPCODE_CONT), TOO_LARGE),
        (sent("", fin=0) + sent("", ABNF.OPCODE_CONT, fin=0) * 1000, TOO_LARGE),
        (bytes([0x81, 0xFF]) + b"\xff" * 8, TOO_LARGE),
    ],
    # Masks are random, and every run has to have the same names.
    ids=[
        "unmasked",
        "compressed",
        "continues nothing",
        "begins within another",
        "opcode of nothing",
        "ping in pieces",
        "ping too long",
        "one too large",
        "pieces too large",
        "pieces too many",
        "length without end",
    ],
)
def test_what_is_not_allowed_closes_the_connection_with_its_code(data, code):
    reader = FrameReader(1000)
    reader.feed(data)
    with pytest.raises(FrameError) as refused:
        everything(reader)
    assert refused.value.code == code


def test_a_message_in_very_many_pieces_takes_no_longer_for_each_of_them():
    number = 50_000
    reader = FrameReader(1 << 20)
    reader.feed(sent("x", fin=0) + sent("y", ABNF.OPCODE_CONT, fin=0) * number + sent("z", ABNF.OPCODE_CONT))
    began = time.process_time()
    (one,) = everything(reader)
    assert one.payload == b"x" + b"y" * number + b"z"
    assert time.process_time() - began < 5  # the square of the number takes minutes


@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_written_can_be_read_by_a_client(length):
    from websocket._abnf import frame_buffer

    data = bytearray(frame(TEXT, b"y" * length))

    def take(size):
        taken = bytes(data[:size])
        del data[:size]
        return taken

    got = frame_buffer(take, skip_utf8_validation=False).recv_frame()
    assert (got.opcode, bytes(got.data), got.fin, data) == (ABNF.OPCODE_TEXT, b"y" * length, 1, b"")


def test_a_goodbye_of_ours_is_a_clients_once_it_has_a_mask():
    reader = FrameReader(1000)
    reader.feed(as_client(close_frame(1000)))
    (one,) = everything(reader)
    assert (one.opcode, one.payload) == (CLOSE, b"\x03\xe8")
