"""From default, group and user values to one answer per field, with where it came from. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .fields import FIELDS, UNLIMITED, Value, checked

DEFAULT_SOURCE = "default"
USER_SOURCE = "user"


@dataclass(frozen=True)
class Given:
    """A value with more about it: until when it counts, and whether the Hub's configuration gives it."""

    value: Value
    until: datetime | None = None
    configured: bool = False


@dataclass(frozen=True)
class ResolvedLimit:
    """A limit in force. `source` is ``default``, ``user`` or ``group NAME``; nothing set anywhere is unlimited.

    `until` is when it ends, for a value that was given for a time. `configured` says that it comes from the Hub's
    configuration, where administrators of limits can't change it but can set another over it.
    """

    value: Value
    source: str
    until: datetime | None = None
    configured: bool = False


def resolve(
    default: Mapping[str, Any],
    groups: Mapping[str, Mapping[str, Any]],
    user: Mapping[str, Any],
    *,
    most_restrictive: bool = False,
) -> dict[str, ResolvedLimit]:
    """Resolve every field on its own: the user's value, else that of the groups, else the default.

    Parameters
    ----------
    default, user : mapping
        Field name to value, or to a `Given`; a missing or None value is inherited.
    groups : mapping
        Group name to such a mapping, for the groups this person is in.
    most_restrictive : bool
        Which of several groups counts: the one that allows least instead of the one that allows most.

    Returns
    -------
    dict
        One `ResolvedLimit` for every name in `FIELDS`.
    """
    return {name: _field(name, default, groups, user, most_restrictive) for name in FIELDS}


def _field(
    name: str,
    default: Mapping[str, Any],
    groups: Mapping[str, Mapping[str, Any]],
    user: Mapping[str, Any],
    most_restrictive: bool,
) -> ResolvedLimit:
    own = _given(name, user)
    if own is not None:
        return _limit(own, USER_SOURCE)
    candidates = ((group, _given(name, values)) for group, values in groups.items())
    given = sorted(((group, one) for group, one in candidates if one is not None), key=lambda pair: pair[0])
    if given:
        return _of_groups(given, most_restrictive)
    return _limit(_given(name, default) or Given(UNLIMITED), DEFAULT_SOURCE)


def _given(name: str, values: Mapping[str, Any]) -> Given | None:
    found = values.get(name)
    if found is None:
        return None
    given = found if isinstance(found, Given) else Given(found)
    value = checked(name, given.value)
    return None if value is None else Given(value, given.until, given.configured)


def _limit(given: Given, source: str) -> ResolvedLimit:
    return ResolvedLimit(given.value, source, given.until, given.configured)


def _of_groups(given: Sequence[tuple[str, Given]], most_restrictive: bool) -> ResolvedLimit:
    lists = [(group, one) for group, one in given if isinstance(one.value, tuple)]
    if lists and (most_restrictive or len(lists) == len(given)):
        return _of_lists(lists, most_restrictive)
    pick = min if most_restrictive else max
    group, one = pick(given, key=lambda pair: _size(pair[1].value))
    return _limit(one, f"group {group}")


def _of_lists(given: Sequence[tuple[str, Given]], most_restrictive: bool) -> ResolvedLimit:
    sets = [set(one.value) for _, one in given if isinstance(one.value, tuple)]
    merged = set.intersection(*sets) if most_restrictive else set.union(*sets)
    return ResolvedLimit(
        tuple(sorted(merged)),
        "group " + ", ".join(group for group, _ in given),
        min((one.until for _, one in given if one.until is not None), default=None),
        all(one.configured for _, one in given),
    )


def _size(value: Value) -> float:
    """Order values by what they allow; a list of names allows less than no limit at all."""
    if isinstance(value, tuple):
        return len(value)
    return value if isinstance(value, int) else float("inf")


def as_json(limits: Mapping[str, ResolvedLimit]) -> dict[str, dict[str, Any]]:
    """Return plain JSON: field to ``{"value": …, "source": …, "until": …, "configured": …}``."""
    return {
        name: {
            "value": plain(limit.value),
            "source": limit.source,
            "until": limit.until.isoformat() if limit.until else None,
            "configured": limit.configured,
        }
        for name, limit in limits.items()
    }


def plain(value: Value) -> int | str | list[str] | None:
    """Return a value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def number(limit: ResolvedLimit) -> int | None:
    """Return the limit as a number, or None when it is unlimited."""
    return limit.value if isinstance(limit.value, int) else None
