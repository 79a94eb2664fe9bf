"""What people type as limits, and the change that it asks for."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from hub_ext.errors import PublicError
from hub_ext.limits.fields import FIELDS, LARGEST, NAMES_AT_MOST, UNLIMITED
from hub_ext.limits.text import end_of_day

from ..limits_models import OwnValue, Value
from .limits import DAY, HOUR, INHERIT, KIB, MINUTE, NO_LIMIT, VALUE, unit

MAXIMUM_TEXT = 4000
MAXIMUM_REASON = 500

_SIZES = {"": 1, "M": 1, "MB": 1, "MIB": 1, "G": KIB, "GB": KIB, "GIB": KIB, "T": KIB**2, "TB": KIB**2, "TIB": KIB**2}
_TIMES = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hour", "hours"), HOUR),
    **dict.fromkeys(("d", "day", "days"), DAY),
}
_NUMBER_AND_UNIT = re.compile(r"([0-9]{1,15}(?:[.,][0-9]{1,6})?)\s*([A-Za-z]*)")
#: Some write 64,000 for sixty-four thousand, others for sixty-four.
_THOUSANDS = re.compile(r"[0-9],[0-9]{3}(?![0-9])")


def parse_value(name: str, text: str) -> Value:
    """Read what a person typed for a field.

    Raises
    ------
    ValueError
        With a sentence that says what can be typed.
    """
    typed = text.strip()
    if not typed:
        raise ValueError("Write a value, or choose inherit or unlimited.")
    kind = unit(name)
    if kind == "names":
        return _names(typed)
    if _THOUSANDS.search(typed):
        raise ValueError("Write numbers without a comma for thousands: 64000, or 1.5 with a point.")
    if kind == "MiB":
        return _memory(typed)
    if kind == "seconds":
        return _time(typed)
    if not re.fullmatch(r"[0-9]{1,15}", typed) or int(typed) > LARGEST:
        raise ValueError("Write a whole number, for example 4.")
    return int(typed)


def _names(typed: str) -> tuple[str, ...]:
    if typed == "0":
        return ()
    found = tuple(dict.fromkeys(one for one in re.split(r"[,\s]+", typed) if one))
    if any(one.lower() == UNLIMITED for one in found):
        raise ValueError("Write names of queues, or choose unlimited in the list before it.")
    if not found or len(found) > NAMES_AT_MOST:
        raise ValueError("Write names with commas between them, or 0 for none.")
    return found


def _memory(typed: str) -> int:
    found = _NUMBER_AND_UNIT.fullmatch(typed)
    size = _SIZES.get(found[2].upper()) if found else None
    amount = float(found[1].replace(",", ".")) * size if found and size else 0.0
    if size is None or amount != int(amount) or amount > LARGEST:
        raise ValueError("Write a size like 64 GB, 1.5 GB or 512 MB; a number alone is MB.")
    return int(amount)


def _time(typed: str) -> int:
    if typed == "0":
        return 0
    parts = _NUMBER_AND_UNIT.findall(typed)
    spaces = re.sub(r"\s+", "", typed) == "".join(f"{number}{word}" for number, word in parts)
    if not parts or not spaces or any(word.lower() not in _TIMES for _, word in parts):
        raise ValueError("Write a time with its unit: 30 min, 2 h or 1 d.")
    seconds = sum(float(number.replace(",", ".")) * _TIMES[word.lower()] for number, word in parts)
    if seconds != int(seconds) or seconds > LARGEST:
        raise ValueError("Write a time with its unit: 30 min, 2 h or 1 d.")
    return int(seconds)


def read_day(text: str, now: datetime) -> datetime | None:
    """Read the last day of a value; it ends with that day in UTC.

    Raises
    ------
    ValueError
        With a sentence for the person who typed it.
    """
    if not text.strip():
        return None
    try:
        end = end_of_day(date.fromisoformat(text.strip()))
    except (ValueError, OverflowError) as error:
        raise ValueError("Write a day like 2026-12-01.") from error
    if end <= now:
        raise ValueError("This day is over. Choose a later one.")
    return end


@dataclass(frozen=True)
class Typed:
    """What a person sent. `values` has what can be read, `errors` a sentence for each field that can't."""

    choices: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    was: Mapping[str, Value] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    until_text: str = ""
    until: datetime | None = None
    until_error: str = ""
    #: Fields whose value stays as it is and loses its end.
    kept: frozenset[str] = frozenset()
    reason: str = ""
    revision: int | None = None
    #: Which warnings the person has seen and answered with "anyway": their digest.
    seen: str = ""

    @property
    def changes(self) -> dict[str, Value]:
        """Only what differs from what the person saw."""
        return {name: value for name, value in self.values.items() if value != self.was.get(name) or name in self.kept}

    @property
    def wrong(self) -> bool:
        """Whether something can't be read."""
        return bool(self.errors or self.until_error)


def read_form(arguments: Mapping[str, str], now: datetime) -> Typed:
    """Read what was sent. Nothing is trusted: unknown fields and choices are left out."""
    names = [name for name in FIELDS if arguments.get(f"choice.{name}") in (INHERIT, VALUE, NO_LIMIT)]
    choices = {name: arguments[f"choice.{name}"] for name in names}
    texts = {name: arguments.get(f"text.{name}", "").strip()[:MAXIMUM_TEXT] for name in FIELDS}
    values, errors = read_values(choices, texts)
    until_text = arguments.get("until", "").strip()[:20]
    until, until_error = read_until(until_text, now)
    kept = frozenset(name for name, value in values.items() if f"kept.{name}" in arguments and value is not None)
    if kept and until:
        until_error = "Values with “no end” ticked can't get a last day as well: leave one of the two out."
    return Typed(
        choices=choices,
        texts=texts,
        was={name: as_seen(arguments.get(f"was.{name}", "null")) for name in FIELDS},
        values=values,
        errors=errors,
        until_text=until_text,
        until=until,
        until_error=until_error,
        kept=kept,
        reason=arguments.get("reason", "").strip()[:MAXIMUM_REASON],
        revision=read_revision(arguments.get("revision", "")),
        seen=arguments.get("confirmed", "")[:100],
    )


def read_revision(text: str) -> int | None:
    """Read which state of the values a form was made of."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def read_values(choices: Mapping[str, str], texts: Mapping[str, str]) -> tuple[dict[str, Value], dict[str, str]]:
    """Return the values that can be read, and a sentence for each field that can't."""
    values: dict[str, Value] = {}
    errors: dict[str, str] = {}
    for name, choice in choices.items():
        try:
            values[name] = _value(name, choice, texts[name])
        except ValueError as error:
            errors[name] = str(error)
    return values, errors


def _value(name: str, choice: str, text: str) -> Value:
    if choice == NO_LIMIT:
        return "unlimited"
    return parse_value(name, text) if choice == VALUE else None


def read_until(text: str, now: datetime) -> tuple[datetime | None, str]:
    """Return the end of the last day, or a sentence why there is none."""
    try:
        return read_day(text, now), ""
    except ValueError as error:
        return None, str(error)


def as_seen(text: str) -> Value:
    """Read a value that a form carries as JSON; anything else is no value."""
    try:
        found = json.loads(text[:MAXIMUM_TEXT])
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list):
        return tuple(str(one) for one in found)
    return found if found == "unlimited" or (isinstance(found, int) and not isinstance(found, bool)) else None


def change_body(typed: Typed, own: Mapping[str, OwnValue]) -> dict[str, Any]:
    """Make what the API gets.

    Raises
    ------
    PublicError
        ``nothing-changed``: an end date alone moves the end of values that have one, and there is none.
    """
    values = typed.changes
    if not values and typed.until:
        values = {name: one.value for name, one in own.items() if one.until and one.value is not None}
    if not values:
        raise PublicError(
            "nothing-changed",
            "Nothing has been changed.",
            remedy="Choose “own value” or “unlimited” for a limit and write a value; an end date goes with the values "
            "that you change.",
        )
    return {
        "values": values,
        "until": typed.until,
        "revision": typed.revision,
        "reason": typed.reason,
    }


def field_error(error: PublicError, names: Iterable[str]) -> tuple[str, str] | None:
    """Return the field that the gateway refused and its words, so that they stand beside it."""
    named = str(error.numbers.get("field", ""))
    if error.code != "limits-invalid" or named not in set(names):
        return None
    return named, " ".join(error.lines())


def with_error(typed: Typed, name: str, text: str) -> Typed:
    """Add a refusal to what was typed."""
    return replace(typed, errors={**typed.errors, name: text})
