"""What a kernel does at the moment, from Enterprise Gateway's model of it. Pure.

Enterprise Gateway hears what its kernels say, with or without a client, and notes the last state and the time. Until a
kernel has said anything the state is ``starting``: so it is for a kernel that nobody has used yet, and for every one
after Enterprise Gateway itself was restarted, the busy ones too.
"""

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True)
class Activity:
    """`idle_since` is None while it is busy, and while `known` is False: then the kernel has to be asked."""

    idle_since: datetime | None
    known: bool = True


def activity_of(model: dict[str, Any]) -> Activity:
    """Read a kernel's model, as Enterprise Gateway's kernel API gives it."""
    last, state = moment(model.get("last_activity")), model.get("execution_state")
    if last is None or state not in ("idle", "busy"):
        return Activity(None, known=False)
    return Activity(last if state == "idle" else None)


def moment(text: Any) -> datetime | None:
    """Read a time in ISO 8601; None for anything else. Without a zone it is UTC."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
