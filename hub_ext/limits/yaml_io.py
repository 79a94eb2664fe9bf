"""Limits as a YAML file that can be kept in git: written, read, and compared with what is stored."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import yaml

from .checks import invalid
from .fields import Value
from .model import AllLimits, Edit, OwnValue, Subject, SubjectLimits
from .resolve import plain
from .rows import chunks
from .text import write_end, write_value
from .yaml_nodes import read_file

HEADER = """\
# Limits of remote kernels: those in the table, without what the Hub's configuration gives.
# Memory is MiB (or 64G, 512M), times are seconds (or 2h, 30m), queues are a list of names.
# A value can be 0, a number or 'unlimited'; a limit that is not here is inherited.
# A value for a time: {value: 10, until: '2026-12-31T18:00:00+00:00', afterwards: 3}
# Check with 'hub-ext limits import FILE --dry-run', then import without --dry-run.
"""
#: The last line of an export: without it, a file that begins as one was cut off.
END = "..."
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
AT_ONCE = 200
_NOTHING = OwnValue(None)


@dataclass(frozen=True)
class PlannedEdit(Edit):
    """An edit that makes a difference, with what is in force before it."""

    before: Mapping[str, OwnValue] = field(default_factory=dict)


def export_yaml(limits: AllLimits) -> str:
    """Write the values in the table: sorted, so that two exports of the same limits are the same text."""
    parts = [
        _dumped("default", _written(limits.default)),
        *_section("groups", _all_written(limits.groups)),
        *_section("users", _all_written(limits.users)),
    ]
    return f"{HEADER}{''.join(parts)}{END}\n"


def parse_yaml(text: str, merge: bool = False) -> list[Edit]:
    """Read a file that `export_yaml` or a person wrote; strictly, because a slip could give everything to everybody.

    Parameters
    ----------
    text : str
        The file.
    merge : bool
        Whether it may be a part: values that it does not name stay. A whole one has all sections.

    Raises
    ------
    PublicError
        ``limits-invalid``, with the line and the field.
    """
    if text.startswith(HEADER.partition("\n")[0]) and not text.rstrip().endswith(f"\n{END}"):
        raise invalid(f"The file begins as an export and does not end as one, with '{END}': a part of it is missing.")
    edits = []
    for subject, values in read_file(text, whole=not merge).items():
        # One edit for each end: an edit has only one.
        grouped: dict[datetime | None, dict[str, OwnValue]] = defaultdict(dict)
        for name, own in values.items():
            grouped[own.until][name] = own
        edits += [_edit(subject, until, found) for until, found in grouped.items()] or [Edit(subject, {})]
    return edits


def import_plan(
    limits: AllLimits, wanted: Sequence[Edit], merge: bool = False, now: datetime | None = None
) -> list[Edit]:
    """Return the edits that turn `limits` into what a file wants, without those that change nothing.

    They carry the revisions of `limits`: applied later, they are refused if somebody has changed the same meanwhile.

    Parameters
    ----------
    limits : AllLimits
        As it is now.
    wanted : sequence of Edit
        From `parse_yaml`.
    merge : bool
        Whether values that the file does not mention stay. Without it they are removed.
    now : datetime, optional
        The time: of a value whose end has passed since the file was written, what comes afterwards is taken.
    """
    moment = now or datetime.now(timezone.utc)
    current = [_in_force(edit, moment) for edit in wanted]
    edits = current if merge else [*current, *_removals(limits, wanted)]
    return [planned for edit in edits if (planned := _difference(limits, edit)) is not None]


def describe(plan: Iterable[Edit]) -> list[str]:
    """Return a line for each difference: ``user alice: kernels 3 → 5``."""
    lines = []
    for edit in plan:
        before = edit.before if isinstance(edit, PlannedEdit) else {}
        for name, value in sorted(edit.values.items()):
            after = _own(edit, name, value)
            was = _told(name, before.get(name, _NOTHING))
            lines.append(f"{edit.subject}: {name} {was} → {_told(name, after)}")
    return sorted(lines)


def _section(name: str, subjects: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines of a section, some at a time: between two of them others can go on, if this is in a thread."""
    if not subjects:
        yield _dumped(name, {})
        return
    yield f"{name}:\n"
    for chunk in chunks(subjects.items(), AT_ONCE):
        yield _dumped(name, dict(chunk)).partition("\n")[2]


def _dumped(name: str, values: Mapping[str, Any]) -> str:
    style: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "default_flow_style": None, "width": 120}
    text: str = yaml.dump({name: values}, Dumper=DUMPER, **style)
    return text


def _written(own: SubjectLimits | None) -> dict[str, Any]:
    return {name: _value(one) for name, one in sorted(own.values.items())} if own else {}


def _all_written(subjects: Mapping[str, SubjectLimits]) -> dict[str, Any]:
    return {name: _written(own) for name, own in sorted(subjects.items()) if own.values}


def _value(own: OwnValue) -> Any:
    if own.until is None:
        return plain(own.value)
    granted = {"value": plain(own.value), "until": own.until.isoformat()}
    return granted if own.value_after is None else {**granted, "afterwards": plain(own.value_after)}


def _edit(subject: Subject, until: datetime | None, found: Mapping[str, OwnValue]) -> Edit:
    values = {name: own.value for name, own in found.items()}
    afterwards = {name: own.value_after for name, own in found.items()} if until else {}
    return Edit(subject, values, until, afterwards=afterwards)


def _in_force(edit: Edit, now: datetime) -> Edit:
    if edit.until is None or edit.until > now:
        return edit
    return Edit(edit.subject, {name: edit.afterwards.get(name) for name in edit.values}, revision=edit.revision)


def _removals(limits: AllLimits, wanted: Sequence[Edit]) -> list[Edit]:
    mentioned: dict[Subject, set[str]] = defaultdict(set)
    for edit in wanted:
        mentioned[edit.subject].update(edit.values)
    subjects = [limits.default, *limits.groups.values(), *limits.users.values()]
    return [
        Edit(own.subject, {name: None for name in own.values if name not in mentioned[own.subject]})
        for own in sorted(subjects, key=lambda one: one.subject)
    ]


def _difference(limits: AllLimits, edit: Edit) -> PlannedEdit | None:
    current = limits.of(edit.subject).values
    values = {
        name: value for name, value in edit.values.items() if _own(edit, name, value) != current.get(name, _NOTHING)
    }
    if not values:
        return None
    before = {name: current[name] for name in values if name in current}
    afterwards = {name: value for name, value in edit.afterwards.items() if name in values}
    return PlannedEdit(edit.subject, values, edit.until, limits.of(edit.subject).revision, afterwards, before)


def _own(edit: Edit, name: str, value: Value) -> OwnValue:
    if edit.until is None or value is None:
        return OwnValue(value)
    return OwnValue(value, edit.until, edit.afterwards.get(name))


def _told(name: str, own: OwnValue) -> str:
    text = write_value(name, own.value)
    if own.until is None:
        return text
    after = "" if own.value_after is None else f", then {write_value(name, own.value_after)}"
    return f"{text} (until {write_end(own.until)}{after})"
