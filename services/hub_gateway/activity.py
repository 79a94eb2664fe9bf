"""What a kernel does at the moment, from Enterprise Gateway's model of it. Pure.

Enterprise Gateway hears what its kernels say, with or without a client, and notes the last state and the time. Until a
kernel has said anything the state is ``starting``: so it is for a kernel that nobody has used yet, and for every one
after Enterprise Gateway itself was restarted, the busy ones too.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

#: A kernel whose last sign of life is no later than this after its start has not been used.
UNUSED = timedelta(minutes=2)


@dataclass(frozen=True)
class Activity:
    """`idle_since` is None while it is busy, and while `known` is False: then the kernel has to be asked."""

    idle_since: datetime | None
    known: bool = True


def activity_of(model: dict[str, Any], confirmed_at: datetime) -> Activity:
    """Read a kernel's model.

    Parameters
    ----------
    model : dict
        As Enterprise Gateway's kernel API gives it.
    confirmed_at : datetime
        When its start was asked for.
    """
    last, state = moment(model.get("last_activity")), model.get("execution_state")
    if last is None or state == "busy":
        return Activity(None, known=last is not None)
    if state != "idle" and last - confirmed_at > UNUSED:
        return Activity(None, known=False)
    return Activity(last)


def moment(text: Any) -> datetime | None:
    """Read a time in ISO 8601; None for anything else. Without a zone it is UTC."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
