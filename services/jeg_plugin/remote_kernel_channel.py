"""How a driver in a YARN container tells Enterprise Gateway where it is.

The driver reports its ports and its signing key once, encrypted with the gateway's public key, in the form that
Enterprise Gateway's response manager reads (payload version 1: the connection information as JSON under AES-128-ECB,
that key under RSA PKCS#1 v1.5, everything base64). Afterwards the gateway sends requests to the driver's own port: see
`remote_kernel_requests`.

This file goes into the container beside ``driver.py``: only the standard library and pycryptodomex.
"""

import base64
import ipaddress
import json
import random
import secrets
import socket
from collections.abc import Mapping
from typing import Any

PAYLOAD_VERSION = 1
CONNECT_TIMEOUT = 20.0
#: What our own gateway answers when it does not wait for this kernel (any more).
REFUSED = b"unknown-kernel"


class KernelRefusedError(RuntimeError):
    """The gateway does not know this kernel: whoever asked for it is gone, so it must not stay."""


def own_address(response_address: str, environ: Mapping[str, str]) -> str:
    """Return the address of this node on which the gateway looks for the kernel.

    It is the NodeManager's own host name, which YARN also tells the gateway. Where a node resolves its name to
    loopback while the gateway is elsewhere, it is the address that the way to the gateway starts from.
    """
    gateway = socket.gethostbyname(response_address.rpartition(":")[0])
    try:
        address = socket.gethostbyname(environ.get("NM_HOST", ""))
    except OSError:
        address = ""
    usable = address and not ipaddress.ip_address(address).is_unspecified
    if usable and (not ipaddress.ip_address(address).is_loopback or ipaddress.ip_address(gateway).is_loopback):
        return address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Connecting a datagram socket sends nothing; it only chooses the local address.
        probe.connect((gateway, 9))
        return str(probe.getsockname()[0])


def choose_ports(address: str, port_range: str, count: int) -> list[int]:
    """Choose ports within ``low..high``; zeros, for "any free one", when the range is empty.

    Raises
    ------
    OSError
        Fewer than `count` ports of the range are free on this node.
    """
    low, high = (int(part) for part in port_range.split(".."))
    if low == high:
        return [0] * count
    chosen: list[int] = []
    for port in random.sample(range(low, high + 1), high - low + 1):
        if len(chosen) == count:
            break
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        chosen.append(port)
    if len(chosen) < count:
        raise OSError(f"Fewer than {count} free ports within {port_range} on {address}.")
    return chosen


def encrypted(public_key: str, info: Mapping[str, Any]) -> bytes:
    """Return the payload for Enterprise Gateway; `public_key` is base64 DER without header and footer."""
    # Enterprise Gateway and the kernel's environment have it, the one that checks types does not.
    from Cryptodome.Cipher import AES, PKCS1_v1_5  # type: ignore[import-not-found]  # see above
    from Cryptodome.PublicKey import RSA  # type: ignore[import-not-found]  # see above
    from Cryptodome.Util.Padding import pad  # type: ignore[import-not-found]  # see above

    key = secrets.token_bytes(16)
    message = AES.new(key, AES.MODE_ECB).encrypt(pad(json.dumps(info).encode(), AES.block_size))
    wrapped_key = PKCS1_v1_5.new(RSA.import_key(base64.b64decode(public_key))).encrypt(key)
    payload = {
        "version": PAYLOAD_VERSION,
        "key": base64.b64encode(wrapped_key).decode(),
        "conn_info": base64.b64encode(message).decode(),
    }
    return base64.b64encode(json.dumps(payload).encode())


def report(response_address: str, public_key: str, info: Mapping[str, Any]) -> None:
    """Send the connection information to the gateway and wait until it took it.

    Raises
    ------
    KernelRefusedError
        The gateway answers and does not wait for this kernel.
    OSError
        The gateway can't be reached.
    """
    # An unmodified gateway closes without an answer, which is fine.
    if send(response_address, encrypted(public_key, info)).strip() == REFUSED:
        raise KernelRefusedError("Enterprise Gateway does not wait for this kernel.")


def send(response_address: str, content: bytes) -> bytes:
    """Send something to the gateway's response port and return its answer.

    Raises
    ------
    OSError
        The gateway can't be reached.
    """
    host, _, port = response_address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(64)
