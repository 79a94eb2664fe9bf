"""The time, where tests may put another one in its place."""

from datetime import datetime, timezone


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)
