"""Limits as people write and read them: ``64G``, ``2h``, ``unlimited``. Pure."""

import re
from datetime import date, datetime, time, timedelta, timezone

from .fields import FIELDS, UNLIMITED, Value, checked

INHERIT = "inherit"
#: What a list of names is called that has none: nothing is allowed.
NOTHING = "none"
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([MGT])i?B?", re.IGNORECASE | re.ASCII)
_MIB = {"M": 1, "G": 1024, "T": 1024 * 1024}
_DURATION = re.compile(
    r"(?:(\d+)\s*d)?\s*(?:(\d+)\s*h)?\s*(?:(\d+)\s*m(?:in)?)?\s*(?:(\d+)\s*s)?", re.IGNORECASE | re.ASCII
)
_SECONDS = (86400, 3600, 60, 1)
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def parse_value(name: str, text: str) -> Value:
    """Read what a person wrote for field `name`.

    Parameters
    ----------
    name : str
        A limit's name.
    text : str
        A number; ``unlimited``; ``inherit``; memory also as ``64G`` or ``512M``; durations also as ``2h``, ``30m`` or
        ``1d12h``; names separated by commas, or ``none``.

    Raises
    ------
    ValueError
        With a sentence that names the field and what it takes.
    """
    text = text.strip()
    if text.lower() in (INHERIT, ""):
        checked(name, None)
        return None
    if text.lower() == UNLIMITED:
        return checked(name, UNLIMITED)
    field = FIELDS.get(name)
    if field is None or (re.fullmatch(r"[0-9]{1,30}", text) and not field.is_list):
        return checked(name, int(text) if field else None)
    if field.is_list:
        names = [] if text.lower() == NOTHING else [one.strip() for one in text.split(",")]
        return checked(name, names)
    number = _in_unit(field.unit, text)
    return checked(name, text if number is None else number)


def write_value(name: str, value: Value) -> str:
    """Write a value so that people can read it and `parse_value` understands it; nothing is rounded."""
    if value is None:
        return INHERIT
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return ", ".join(value) or NOTHING
    unit = FIELDS[name].unit
    if unit == "MiB":
        return _memory(value)
    return _duration(value) if unit == "seconds" else str(value)


def parse_time(text: str) -> datetime:
    """Read the time until which something counts; a date alone means until the end of that day, in UTC.

    Raises
    ------
    ValueError
        With what was expected.
    """
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return end_of_day(date.fromisoformat(text))
        found = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
        if found.tzinfo is not None:
            return found.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"'{text}' is not a time: write 2026-12-31, or 2026-12-31T18:00Z with a time zone.")


def end_of_day(last: date) -> datetime:
    """Return when something ends whose last day is this one: with that day, in UTC.

    Raises
    ------
    OverflowError
        There is no day after it.
    """
    return datetime.combine(last, time(), timezone.utc) + timedelta(days=1)


def write_end(moment: datetime) -> str:
    """Write when something ends, as `parse_time` reads it: its last day alone, if it ends with that day."""
    last = (moment - timedelta(microseconds=1)).astimezone(timezone.utc)
    return f"{last:%Y-%m-%d}" if moment == end_of_day(last.date()) else write_time(moment)


def write_time(moment: datetime) -> str:
    """Write a moment for people."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _in_unit(unit: str, text: str) -> int | None:
    if unit == "MiB" and (found := _MEMORY.fullmatch(text)):
        mib = float(found[1]) * _MIB[found[2].upper()]
        return int(mib) if mib.is_integer() else None
    if unit == "seconds" and (found := _DURATION.fullmatch(text)):
        return sum(int(part or 0) * size for part, size in zip(found.groups(), _SECONDS, strict=True))
    return None


def _memory(mib: int) -> str:
    for unit in ("T", "G"):
        if mib and mib % _MIB[unit] == 0:
            return f"{mib // _MIB[unit]} {unit}B"
    return f"{mib} MB"


def _duration(seconds: int) -> str:
    for unit, size in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return "0 s"
