"""Whose limits there are and what they are at one moment: plain data and pure functions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from .fields import Value, checked
from .resolve import USER_SOURCE, Given, ResolvedLimit, resolve

Scope = Literal["default", "group", "user"]
SCOPES: tuple[Scope, ...] = ("default", "group", "user")


@dataclass(frozen=True, order=True)
class Subject:
    """Whose limits: everybody's default, a group's or a user's."""

    scope: Scope
    name: str = ""

    def __str__(self) -> str:
        return f"{self.scope} {self.name}".strip()


DEFAULT = Subject("default")


@dataclass(frozen=True)
class OwnValue:
    """A value that a subject has of its own; with `until`, `value_after` counts from then on (None: inherited)."""

    value: Value
    until: datetime | None = None
    value_after: Value = None

    def at(self, now: datetime) -> "OwnValue":
        """Return what is in force at `now`."""
        return OwnValue(self.value_after) if self.until is not None and self.until <= now else self


@dataclass(frozen=True)
class SubjectLimits:
    """A subject's own values in force; `revision` grows with each change of them."""

    subject: Subject
    values: Mapping[str, OwnValue] = field(default_factory=dict)
    revision: int = 0


@dataclass(frozen=True)
class Configured:
    """What the Hub's configuration gives; the table of limits stands over it, field by field."""

    default: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    users: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    most_restrictive_group: bool = False

    def of(self, subject: Subject) -> Mapping[str, Any]:
        """Return what is configured for `subject`."""
        if subject.scope == "default":
            return self.default
        return (self.groups if subject.scope == "group" else self.users).get(subject.name, {})

    def check(self) -> None:
        """Refuse values that are none.

        Raises
        ------
        ValueError
            With whose value it is, and what the field takes.
        """
        for of_whom, values in self._all():
            for name, value in values.items():
                try:
                    checked(name, value)
                except ValueError as error:
                    raise ValueError(f"In the limits of {of_whom}: {error}") from None

    def _all(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        yield "everybody", self.default
        yield from ((f"group {name}", values) for name, values in self.groups.items())
        yield from ((f"user {name}", values) for name, values in self.users.items())


@dataclass(frozen=True)
class Edit:
    """A wish to change values of one subject; None removes the subject's own value.

    `until` is when the values end; afterwards those before them count again, unless `afterwards` has others.
    `revision` is what the editor saw; None means that it does not matter.
    """

    subject: Subject
    values: Mapping[str, Value]
    until: datetime | None = None
    revision: int | None = None
    afterwards: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class AllLimits:
    """Everything at one moment: for tables, previews, exports."""

    configured: Configured = field(default_factory=Configured)
    default: SubjectLimits = field(default_factory=lambda: SubjectLimits(DEFAULT))
    groups: Mapping[str, SubjectLimits] = field(default_factory=dict)
    users: Mapping[str, SubjectLimits] = field(default_factory=dict)
    #: Most people differ in nothing but their groups: what each set of groups gives is computed once.
    _known: dict[frozenset[str], dict[str, ResolvedLimit]] = field(default_factory=dict, repr=False, compare=False)

    def of(self, subject: Subject) -> SubjectLimits:
        """Return the own values of `subject`; one that has none has an empty mapping and revision 0."""
        if subject.scope == "default":
            return self.default
        own = (self.groups if subject.scope == "group" else self.users).get(subject.name)
        return own or SubjectLimits(subject)

    def resolved(self, user: str, groups: Iterable[str]) -> dict[str, ResolvedLimit]:
        """Return the limits in force for a user who is in `groups`."""
        own = self.users.get(user)
        of_user = {name: _own_limit(one) for name, one in own.values.items()} if own else {}
        return {**self.inherited(user, groups), **of_user}

    def resolved_one(self, name: str, user: str, groups: Iterable[str]) -> ResolvedLimit:
        """Return one of the limits in force, for whoever needs that of many users."""
        own = self.users.get(user)
        if own is not None and name in own.values:
            return _own_limit(own.values[name])
        if user in self.configured.users:
            return self.inherited(user, groups)[name]
        return self._of_groups(frozenset(groups))[name]

    def inherited(self, user: str, groups: Iterable[str]) -> dict[str, ResolvedLimit]:
        """Return what would be in force had the table no value for this very user."""
        configured = {
            name: ResolvedLimit(checked(name, value), USER_SOURCE, configured=True)
            for name, value in self.configured.users.get(user, {}).items()
            if value is not None
        }
        return {**self._of_groups(frozenset(groups)), **configured}

    def inherited_by(self, subject: Subject, groups: Iterable[str] = ()) -> dict[str, ResolvedLimit]:
        """Return what would be in force for `subject` had it no values of its own in the table."""
        if subject.scope == "user":
            return self.inherited(subject.name, groups)
        values = {name: Given(value, configured=True) for name, value in self.configured.of(subject).items()}
        if subject.scope == "default":
            return resolve(values, {}, {})
        return resolve(self._given(DEFAULT), {subject.name: values}, {})

    def with_values(self, subject: Subject, values: Mapping[str, Value], until: datetime | None = None) -> "AllLimits":
        """Return how it would be with these values; None removes one."""
        return self.with_edits([Edit(subject, values, until)])

    def with_edits(self, edits: Iterable[Edit]) -> "AllLimits":
        """Return how it would be after all of `edits`."""
        changed: dict[Subject, SubjectLimits] = {}
        for edit in edits:
            own = changed.get(edit.subject) or self.of(edit.subject)
            values = {**own.values, **{name: OwnValue(value, edit.until) for name, value in edit.values.items()}}
            kept = {name: one for name, one in values.items() if one.value is not None}
            changed[edit.subject] = replace(own, values=kept)
        return self.with_subjects(changed.values())

    def with_subjects(self, changed: Iterable[SubjectLimits]) -> "AllLimits":
        """Return the same with others in the place of those subjects."""
        default = self.default
        groups: dict[str, SubjectLimits] = {}
        users: dict[str, SubjectLimits] = {}
        for own in changed:
            if own.subject.scope == "default":
                default = own
            else:
                (groups if own.subject.scope == "group" else users)[own.subject.name] = own
        known = self._known if default is self.default and not groups else {}
        return replace(
            self, default=default, groups={**self.groups, **groups}, users={**self.users, **users}, _known=known
        )

    def _of_groups(self, groups: frozenset[str]) -> dict[str, ResolvedLimit]:
        known = self._known.get(groups)
        if known is None:
            of_groups = {name: self._given(Subject("group", name)) for name in groups}
            restrictive = self.configured.most_restrictive_group
            known = resolve(self._given(DEFAULT), of_groups, {}, most_restrictive=restrictive)
            self._known[groups] = known
        return known

    def _given(self, subject: Subject) -> dict[str, Given]:
        configured = {name: Given(value, configured=True) for name, value in self.configured.of(subject).items()}
        own = {name: Given(one.value, one.until) for name, one in self.of(subject).values.items()}
        return {**configured, **own}


def in_force(
    configured: Configured,
    stored: Mapping[Subject, Mapping[str, OwnValue]],
    revisions: Mapping[Subject, int],
    now: datetime,
) -> AllLimits:
    """Put together what is stored, as it is at `now`."""
    limits = AllLimits(configured)
    groups: dict[str, SubjectLimits] = {}
    users: dict[str, SubjectLimits] = {}
    for subject in stored.keys() | revisions.keys():
        current = ((name, own.at(now)) for name, own in stored.get(subject, {}).items())
        values = {name: own for name, own in current if own.value is not None}
        one = SubjectLimits(subject, values, revisions.get(subject, 0))
        if subject.scope == "default":
            limits = replace(limits, default=one)
        else:
            (groups if subject.scope == "group" else users)[subject.name] = one
    return replace(limits, groups=groups, users=users)


def _own_limit(own: OwnValue) -> ResolvedLimit:
    return ResolvedLimit(own.value, USER_SOURCE, own.until)
