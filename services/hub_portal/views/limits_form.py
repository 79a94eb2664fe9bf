"""The form in which values are changed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hub_ext.errors import PublicError
from hub_ext.limits.fields import FIELDS

from ..limits_models import Limit, OwnValue, Value
from .limits import (
    GROUPS,
    KEEP,
    choice_of,
    day_words,
    hint,
    inherited_words,
    label,
    value_text,
    value_words,
)
from .limits_typed import Typed, as_seen


@dataclass(frozen=True)
class FieldForm:
    """One field. `was` is the value that the person saw before they typed, as JSON."""

    name: str
    label: str
    hint: str
    choice: str
    text: str
    was: str
    inherited: str
    until: str
    error: str = ""
    meanwhile: str = ""
    kept: bool = False


@dataclass(frozen=True)
class FieldGroup:
    """Fields that belong together."""

    title: str
    fields: tuple[FieldForm, ...]


@dataclass(frozen=True)
class Editor:
    """Everything that the form shows besides its fields."""

    scope: str
    name: str
    key: str
    groups: tuple[FieldGroup, ...]
    until: str = ""
    until_error: str = ""
    reason: str = ""
    revision: int | None = None
    problem: PublicError | None = None
    warnings: tuple[str, ...] = ()
    conflict_error: PublicError | None = None
    affects_others: bool = False

    @property
    def seen(self) -> str:
        """What "Save anyway" confirms: these warnings, and no others that came with another value."""
        return warnings_digest(self.warnings)

    @property
    def is_typed(self) -> bool:
        """Whether it shows what somebody typed and has not been saved."""
        return bool(self.wrong or self.problem or self.warnings or self.conflict_error)

    @property
    def wrong(self) -> bool:
        """Whether a field has to be corrected."""
        return bool(self.until_error) or any(one.error for group in self.groups for one in group.fields)


def field_groups(
    own: Mapping[str, OwnValue],
    inherited: Mapping[str, Limit],
    typed: Typed | None,
    now: datetime,
    *,
    subject: str = "",
    conflict: bool = False,
) -> tuple[FieldGroup, ...]:
    """Make the fields.

    Parameters
    ----------
    own, inherited : mapping
        The values as they are now.
    typed : Typed, optional
        What was typed and has to be looked at again.
    now : datetime
        The time, UTC.
    subject : str
        Whose values they are, as a source names it: ``user``, ``group NAME`` or ``default``.
    conflict : bool
        Somebody else has changed values meanwhile: what this person has not touched becomes the current value,
        what they have touched stays, and both say what happened.
    """
    fields = {name: _current(name, own.get(name), inherited.get(name), now, subject) for name in FIELDS}
    if typed is not None:
        again = _after_conflict if conflict else _as_typed
        fields = {name: again(shown, typed) if name in typed.choices else shown for name, shown in fields.items()}
    return tuple(FieldGroup(title, tuple(fields[name] for name in names)) for title, names in GROUPS)


def _current(name: str, own: OwnValue | None, inherited: Limit | None, now: datetime, subject: str) -> FieldForm:
    value = own.value if own else None
    return FieldForm(
        name=name,
        label=label(name),
        hint=hint(name),
        choice=choice_of(value),
        text=value_text(name, value),
        was=json.dumps(value),
        inherited=inherited_words(name, inherited, subject),
        until=day_words(own.until, now) if own and own.until else "",
    )


def _as_typed(shown: FieldForm, typed: Typed) -> FieldForm:
    name = shown.name
    return replace(
        shown,
        choice=typed.choices[name],
        text=typed.texts.get(name, ""),
        was=json.dumps(typed.was.get(name)),
        error=typed.errors.get(name, ""),
        kept=name in typed.kept,
    )


def _after_conflict(shown: FieldForm, typed: Typed) -> FieldForm:
    value = as_seen(shown.was)
    meanwhile = "" if typed.was.get(shown.name) == value else f"meanwhile: {_words(shown.name, value)}"
    if shown.name not in typed.changes:
        return replace(shown, meanwhile=meanwhile)
    return replace(
        shown,
        choice=typed.choices[shown.name],
        text=typed.texts.get(shown.name, ""),
        meanwhile=meanwhile,
        kept=shown.name in typed.kept,
    )


def _words(name: str, value: Value) -> str:
    return "inherits" if value is None else value_words(name, value)


def blank_groups(typed: Typed | None = None) -> tuple[FieldGroup, ...]:
    """Make the fields for several people at once: nothing changes unless it is chosen."""
    return tuple(FieldGroup(title, tuple(_blank(name, typed) for name in names)) for title, names in GROUPS)


def _blank(name: str, typed: Typed | None) -> FieldForm:
    return FieldForm(
        name=name,
        label=label(name),
        hint=hint(name),
        choice=typed.choices.get(name, KEEP) if typed else KEEP,
        text=typed.texts.get(name, "") if typed else "",
        was="null",
        inherited="",
        until="",
        error=typed.errors.get(name, "") if typed else "",
    )


def warnings_digest(warnings: Sequence[str]) -> str:
    """Return a short text that stands for exactly these warnings."""
    return hashlib.sha256("\n".join(warnings).encode()).hexdigest()[:32]
