"""Where a limit comes from and when it ends, in words that every refusal and page shares. Pure."""

from datetime import datetime, timedelta, timezone

from ..sizes import human_mb
from .resolve import DEFAULT_SOURCE, USER_SOURCE, ResolvedLimit

#: Who sets a user's own value, by whether it stands in the Hub's configuration.
PLACE = {True: "in the Hub's configuration", False: "by an administrator"}


def source_words(limit: ResolvedLimit, default: str = "the default") -> str:
    """Say to the person themselves where a limit comes from, and until when it counts.

    Parameters
    ----------
    limit : ResolvedLimit
        The limit in force.
    default : str
        What is said of one that everyone has.
    """
    words = origin_words(limit.source, limit.configured, default)
    return f"{words} until {end_words(limit.until)}" if limit.until else words


def origin_words(source: str, configured: bool, default: str) -> str:
    """Say where a limit comes from: ``set for you by an administrator``, ``from group analytics``."""
    if source == USER_SOURCE:
        return f"set for you {PLACE[configured]}"
    if source == DEFAULT_SOURCE:
        return default
    groups = source.removeprefix("group ")
    return f"from {'groups' if ', ' in groups else 'group'} {groups}"


def memory_words(memory_mb: int) -> str:
    """Write a limit of memory (MiB) as short as is exact: ``64 GB``, ``1.5 GB``, ``6500 MB``."""
    for size, word in ((1024**2, "TB"), (1024, "GB")):
        if memory_mb >= size and memory_mb * 4 % size == 0:
            return f"{memory_mb / size:g} {word}"
    return f"{memory_mb} MB"


def used_memory_words(memory_mb: int) -> str:
    """Write memory that is in use (MiB): as a limit where that is short, else rounded."""
    exact = memory_words(memory_mb)
    return "0" if not memory_mb else human_mb(memory_mb) if exact.endswith("MB") else exact


def end_words(until: datetime) -> str:
    """Write when something ends: ``31 Dec 2026`` for the end of that day (UTC), else with the time."""
    day = last_day(until)
    text = f"{day.day} {day:%b %Y}"
    moment = until.astimezone(timezone.utc)
    whole = (moment + timedelta(seconds=1)).date() > day.date()
    return text if whole else f"{text}, {moment:%H:%M} UTC"


def last_day(until: datetime) -> datetime:
    """Return the last moment that still counts: what ends at midnight counts to the end of the day before."""
    return until.astimezone(timezone.utc) - timedelta(microseconds=1)
