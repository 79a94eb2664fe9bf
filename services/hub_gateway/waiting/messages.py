"""Jupyter messages as JSON, as a kernel's websocket carries them without a subprotocol. Pure.

https://jupyter-client.readthedocs.io/en/stable/messaging.html
"""

import json
import struct
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

PROTOCOL = "5.3"
IOPUB = "iopub"
#: What is kept of a request's header, and repeated in each answer to it; more could be as large as the request itself.
HEADER_FIELDS = ("msg_id", "msg_type", "session", "username", "date", "version", "subshell_id")
MAXIMUM_FIELD = 200


@dataclass(frozen=True)
class Message:
    """What a client sent."""

    kind: str
    channel: str
    header: dict[str, Any]
    content: dict[str, Any] = field(default_factory=dict)


def read(payload: bytes, *, binary: bool) -> Message | None:
    """Read a message; None for anything else. One with buffers comes as a binary frame, its JSON at the front."""
    try:
        value = json.loads(_json_part(payload) if binary else payload)
        header, content = value["header"], value.get("content") or {}
        kind, channel = header["msg_type"], value.get("channel") or "shell"
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError):
        return None
    if not (
        isinstance(kind, str) and isinstance(channel, str) and isinstance(content, dict) and isinstance(header, dict)
    ):
        return None
    return Message(kind, channel, _bounded(header), content)


def _bounded(header: dict[str, Any]) -> dict[str, Any]:
    """Return what clients go by in a header."""
    return {
        name: value
        for name in HEADER_FIELDS
        if isinstance(value := header.get(name), str) and len(value) <= MAXIMUM_FIELD
    }


def _json_part(payload: bytes) -> bytes:
    """Return the JSON of a binary frame: a number of parts, their offsets, the parts."""
    (count,) = struct.unpack_from("!I", payload)
    offsets = struct.unpack_from(f"!{min(count, 2)}I", payload, 4)
    return payload[offsets[0] : offsets[1] if count > 1 else len(payload)]


def write(session: str, kind: str, content: dict[str, Any], parent: dict[str, Any], channel: str = IOPUB) -> str:
    """Write a message of ours. `parent` is the header of the request that it belongs to, `session` names the sender."""
    message_id = uuid.uuid4().hex
    header = {
        "msg_id": message_id,
        "msg_type": kind,
        "username": "hub-gateway",
        "session": session,
        "date": datetime.now(timezone.utc).isoformat(),
        "version": PROTOCOL,
    }
    whole = {
        "header": header,
        "msg_id": message_id,
        "msg_type": kind,
        "parent_header": parent,
        "metadata": {},
        "content": content,
        "buffers": [],
        "channel": channel,
    }
    return json.dumps(whole)
