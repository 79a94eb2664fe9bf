"""From wishes to what is written: new values, and the lines that tell of them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .fields import Value, checked
from .history import HistoryLine
from .model import DEFAULT, Edit, OwnValue, Subject
from .rows import Stored

NOTHING = OwnValue(None)
#: Under this name the history has which of several groups' values counts; otherwise it is the most generous.
OF_SEVERAL_GROUPS = "of_several_groups"


@dataclass(frozen=True)
class Plan:
    """What edits come to: the values that differ from those stored, and a line for each step."""

    values: Mapping[tuple[Subject, str], OwnValue]
    lines: Sequence[HistoryLine]


def planned(edits: Sequence[Edit], current: Stored) -> Plan:
    """Return what `edits`, one after the other, make of `current`, which has nothing whose time is over."""
    values: dict[tuple[Subject, str], OwnValue] = {}
    lines: list[HistoryLine] = []
    for edit in edits:
        for name, raw in edit.values.items():
            key = (edit.subject, name)
            before = values.get(key) or current.get(edit.subject, {}).get(name, NOTHING)
            for after in _steps(edit, name, checked(name, raw), before):
                if (after.value, after.until) != (before.value, before.until):
                    lines.append(_line(edit.subject, name, before, after))
                values[key] = before = after
    return Plan({key: own for key, own in values.items() if own != _stored(current, key)}, lines)


def configured_lines(before: Any, after: Any) -> list[HistoryLine]:
    """Return a line for each value that the Hub's configuration, as it is stored, gives differently now."""
    old, new = _configured_values(before), _configured_values(after)
    return [
        HistoryLine(subject, name, old.get((subject, name)), new.get((subject, name)))
        for subject, name in sorted(old.keys() | new.keys())
        if old.get((subject, name)) != new.get((subject, name))
    ]


def _configured_values(stored: Any) -> dict[tuple[Subject, str], Value]:
    if not isinstance(stored, dict):
        return {}
    of_whom = {
        DEFAULT: {**(stored.get("default") or {})},
        **{Subject("group", name): values for name, values in (stored.get("groups") or {}).items()},
        **{Subject("user", name): values for name, values in (stored.get("users") or {}).items()},
    }
    if stored.get("most_restrictive_group"):
        of_whom[DEFAULT][OF_SEVERAL_GROUPS] = ("the most restrictive",)
    return {
        (subject, name): tuple(value) if isinstance(value, list) else value
        for subject, values in of_whom.items()
        for name, value in values.items()
        if value is not None
    }


def _steps(edit: Edit, name: str, value: Value, before: OwnValue) -> list[OwnValue]:
    """Return what the field becomes: with an end, first what counts afterwards, where that is not so already."""
    if edit.until is None or value is None:
        return [OwnValue(value)]
    under = before.value_after if before.until is not None else before.value
    if name not in edit.afterwards:
        return [OwnValue(value, edit.until, under)]
    wanted = checked(name, edit.afterwards[name])
    granted = OwnValue(value, edit.until, wanted)
    return [granted] if wanted == under else [OwnValue(wanted), granted]


def _line(subject: Subject, name: str, before: OwnValue, after: OwnValue) -> HistoryLine:
    return HistoryLine(subject, name, before.value, after.value, before.until, after.until)


def _stored(current: Stored, key: tuple[Subject, str]) -> OwnValue:
    subject, name = key
    return current.get(subject, {}).get(name, NOTHING)
