"""From default, group and user values to one answer per field, with where it came from. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .fields import FIELDS, UNLIMITED, Value, checked

DEFAULT_SOURCE = "default"
USER_SOURCE = "user"


@dataclass(frozen=True)
class ResolvedLimit:
    """A limit in force. `source` is ``default``, ``user`` or ``group NAME``; nothing set anywhere is unlimited."""

    value: Value
    source: str


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
        Field name to value; a missing or None value is inherited.
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
    own = checked(name, user.get(name))
    if own is not None:
        return ResolvedLimit(own, USER_SOURCE)
    candidates = {group: checked(name, values.get(name)) for group, values in groups.items()}
    given: list[tuple[str, Value]] = sorted(
        ((group, value) for group, value in candidates.items() if value is not None), key=lambda pair: pair[0]
    )
    if given:
        return _of_groups(given, most_restrictive)
    fallback = checked(name, default.get(name))
    return ResolvedLimit(UNLIMITED if fallback is None else fallback, DEFAULT_SOURCE)


def _of_groups(given: Sequence[tuple[str, Value]], most_restrictive: bool) -> ResolvedLimit:
    lists = [(group, value) for group, value in given if isinstance(value, tuple)]
    if lists and (most_restrictive or len(lists) == len(given)):
        return _of_lists(lists, most_restrictive)
    pick = min if most_restrictive else max
    group, value = pick(given, key=lambda pair: _size(pair[1]))
    return ResolvedLimit(value, f"group {group}")


def _of_lists(given: Sequence[tuple[str, Value]], most_restrictive: bool) -> ResolvedLimit:
    sets = [set(value) for _, value in given if isinstance(value, tuple)]
    merged = set.intersection(*sets) if most_restrictive else set.union(*sets)
    return ResolvedLimit(tuple(sorted(merged)), "group " + ", ".join(group for group, _ in given))


def _size(value: Value) -> float:
    """Order values by what they allow; a list of names allows less than no limit at all."""
    if isinstance(value, tuple):
        return len(value)
    return value if isinstance(value, int) else float("inf")


def as_json(limits: Mapping[str, ResolvedLimit]) -> dict[str, dict[str, Any]]:
    """Return plain JSON: field to ``{"value": …, "source": …}``."""
    return {
        name: {
            "value": list(limit.value) if isinstance(limit.value, tuple) else limit.value,
            "source": limit.source,
        }
        for name, limit in limits.items()
    }


def number(limit: ResolvedLimit) -> int | None:
    """Return the limit as a number, or None when it is unlimited."""
    return limit.value if isinstance(limit.value, int) else None


def merged_groups(all_groups: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Keep the groups in `names` that have limits."""
    return {name: all_groups[name] for name in names if name in all_groups}
