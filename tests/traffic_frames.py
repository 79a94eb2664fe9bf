"""Websocket frames of one size, made once and counted by their bytes: neither end of a measurement has to parse any."""

import base64
import hashlib

#: Every client of a measurement has the same one.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEAD_END = b"\r\n\r\n"
MASK = b"\x00\x00\x00\x00"
BINARY = 0x82
HANDSHAKE_TIMEOUT = 30


def server_frame(size):
    """Return a whole binary message of `size` bytes as a server sends it."""
    return bytes([BINARY]) + _length(size, 0) + b"y" * size


def client_frame(size):
    """Return the same as a client sends it; the mask of zeros leaves the payload as it is."""
    return bytes([BINARY]) + _length(size, 0x80) + MASK + b"x" * size


def _length(size, masked):
    if size < 126:
        return bytes([masked | size])
    if size < 65536:
        return bytes([masked | 126]) + size.to_bytes(2, "big")
    return bytes([masked | 127]) + size.to_bytes(8, "big")


def accept_key(key):
    """Return what a server answers to a client's key, https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2."""
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode())  # noqa: S324 (the RFC's own)
    return base64.b64encode(digest.digest()).decode()
