"""Numbers in words: durations, shares, counts."""

from collections.abc import Sequence
from datetime import datetime

#: From these shares on a meter is drawn as busy and as full.
BUSY_PERCENT = 75.0
FULL_PERCENT = 90.0
#: Stands where there is nothing to tell.
NOTHING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"


def duration(seconds: float) -> str:
    """Write a duration with at most two units: ``40 s``, ``12 min``, ``2 h 10 min``, ``3 d 4 h``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60 % 60, whole // 3600 % 24, whole // 86400
    if whole < 3600:
        return f"{minutes} min"
    if whole < 86400:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{days} d {hours} h" if hours else f"{days} d"


def since(then: datetime | None, now: datetime) -> str:
    """Write how long ago `then` was; a dash when that is not known."""
    return duration((now - then).total_seconds()) if then else NOTHING


def count(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun: ``1 node``, ``2 nodes``, ``5,000 nodes``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(part: float, whole: float) -> float:
    """Return a share in percent, 0 to 100, with one decimal; 0 of nothing is 0."""
    return round(min(100.0, max(0.0, 100.0 * part / whole)), 1) if whole > 0 else 0.0


def level(share: float) -> str:
    """Return how full something is: ``free``, ``busy`` or ``full``. Each has a colour and, in the page, a word."""
    if share >= FULL_PERCENT:
        return "full"
    return "busy" if share >= BUSY_PERCENT else "free"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Write names in a row, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
