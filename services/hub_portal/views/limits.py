"""Limits in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub_ext.limits.fields import FIELDS, UNLIMITED
from hub_ext.limits.words import last_day, memory_words, origin_words, used_memory_words

from ..limits_models import Limit, Value
from .words import NOTHING, count

KIB: Final = 1024
MINUTE, HOUR, DAY = 60, 3600, 86400

#: What stands before a value in a form: the three things that must not be mixed up, and "leave it" for many at once.
INHERIT, VALUE, NO_LIMIT, KEEP = "inherit", "value", UNLIMITED, "keep"

LABELS: dict[str, str] = {name: field.label for name, field in FIELDS.items()}

#: Limits of what these pages can't do yet: nobody should set, or ask for, what has no effect.
NOT_YET = ("kernel_definitions", "environments_disk_mb")
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("All kernels together", ("kernels", "memory_mb", "cores", "queues")),
    ("One kernel", ("driver_memory_mb", "driver_cores", "executors", "executor_memory_mb", "executor_cores")),
    ("Time", ("idle_timeout", "lifetime")),
    ("Notebook server", ("server_memory_mb", "server_cores")),
)


@dataclass(frozen=True)
class Badge:
    """Where a value comes from: short words, a kind that gives the colour, and a longer text."""

    text: str
    kind: str
    title: str


def label(name: str) -> str:
    """Return a field's name for people."""
    return LABELS.get(name, name.replace("_", " "))


def unit(name: str) -> str:
    """Return what a field counts in: ``MiB``, ``seconds``, ``names`` or nothing in particular."""
    field = FIELDS.get(name)
    if field is None:
        return ""
    return "names" if field.is_list else field.unit


def time_text(seconds: int) -> str:
    """Write seconds as short as is exact: ``30 min``, ``2 h``, ``90 s``."""
    for size, word in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {word}"
    return f"{seconds} s"


def value_text(name: str, value: Value) -> str:
    """Write a value as it can be typed again; empty when there is none."""
    if value is None or value == UNLIMITED:
        return ""
    if isinstance(value, tuple):
        return ", ".join(value) if value else "0"
    if not isinstance(value, int) or value == 0:
        return str(value)
    return {"MiB": memory_words, "seconds": time_text}.get(unit(name), str)(value)


def value_words(name: str, value: Value) -> str:
    """Write a value so that none, 0 and unlimited can't be mixed up."""
    if value is None:
        return NOTHING
    if value == UNLIMITED:
        return "any" if unit(name) == "names" else "unlimited"
    if value in (0, ()):
        return "0 (none)"
    if isinstance(value, int) and unit(name) not in ("MiB", "seconds"):
        return f"{value:,}"
    return value_text(name, value)


def used_words(name: str, number: int) -> str:
    """Write how much of a field is in use."""
    if unit(name) == "MiB":
        return used_memory_words(number)
    return f"{number:,}"


def day_words(until: datetime, now: datetime) -> str:
    """Write the last day on which something counts: ``1 Dec``, with its year unless that is this one."""
    day = last_day(until)
    text = f"{day.day} {day:%b}"
    return text if day.year == now.year else f"{text} {day.year}"


def badge(limit: Limit, now: datetime) -> Badge:
    """Say for administrators where a value comes from."""
    kind = limit.source.split(" ", 1)[0] or "default"
    until = f" until {day_words(limit.until, now)}" if limit.until else ""
    place = "from the Hub's configuration file" if limit.configured else ""
    return Badge(f"{limit.source or 'default'}{until}", kind, place)


def source_words(limit: Limit, now: datetime) -> str:
    """Say to the person themselves where a value comes from."""
    everyone = "for everyone" if limit.value != UNLIMITED else "no limit is set"
    words = origin_words(limit.source or "default", limit.configured, everyone)
    return f"{words} until {day_words(limit.until, now)}" if limit.until else words


def inherited_words(name: str, limit: Limit | None, subject: str = "") -> str:
    """Say what holds without an own value: ``200 GB (group analytics)``.

    What the configuration file sets for the very `subject` (``group NAME``, ``user``) or as default says so.
    """
    if limit is None or limit.value is None:
        return "unlimited (nothing is set)"
    in_file = limit.configured and limit.source in ("default", subject)
    place = "configuration" if in_file else limit.source or "default"
    return f"{value_words(name, limit.value)} ({place})"


def choice_of(value: Value) -> str:
    """Return which of the three things a value is."""
    if value is None:
        return INHERIT
    return NO_LIMIT if value == UNLIMITED else VALUE


def hint(name: str) -> str:
    """Say by example what can be typed."""
    return {"MiB": "64 GB", "seconds": "30 min", "names": "notebooks, night"}.get(unit(name), "4")


def names_words(names: Iterable[str], more: int = 0) -> str:
    """Write names in a row and how many there are besides."""
    row = list(names)
    text = ", ".join(row)
    return f"{text} and {count(more, 'other')}" if more > 0 else text
