"""From wishes to what is written: new values, and the lines that tell of them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .fields import Value, checked
from .history import HistoryLine
from .model import Edit, OwnValue, Subject
from .rows import Stored

NOTHING = OwnValue(None)


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
