"""What a change of limits would mean, before it is made. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hub_ext.limits import Value
from hub_ext.limits.model import Subject

from .table import Member, Resolver, Table, exceeded


@dataclass
class Effect:
    """Who would be concerned: names of users, in the table's order."""

    affected: list[str] = field(default_factory=list)
    #: Members for whom nothing changes.
    unchanged: list[str] = field(default_factory=list)
    #: Those of them, or of the affected, whose own value stays.
    personal: list[str] = field(default_factory=list)
    #: Users who would be over a limit that they are not over now.
    newly_over: list[str] = field(default_factory=list)


def effect(table: Table, subjects: Iterable[Subject], values: Mapping[str, Value]) -> Effect:
    """Return whom it would concern if `subjects` got these values of their own."""
    wanted = list(subjects)
    limits = table.resolver.all
    for subject in wanted:
        limits = limits.with_values(subject, values)
    after = Resolver(limits)
    found = Effect()
    for member in concerned(table, wanted):
        _note(found, table, member, after, values, personal=_keeps_own(table, member, wanted, values))
    return found


def concerned(table: Table, subjects: Iterable[Subject]) -> list[Member]:
    """Return the users to whom one of the subjects' values can apply."""
    groups, users = set[str](), set[str]()
    for subject in subjects:
        if subject.scope == "default":
            return list(table.members)
        (groups if subject.scope == "group" else users).add(subject.name)
    return [member for member in table.members if member.name in users or groups.intersection(member.groups)]


def _keeps_own(table: Table, member: Member, subjects: list[Subject], values: Mapping[str, Value]) -> bool:
    own = table.resolver.all.users.get(member.name)
    by_others = any(subject.scope != "user" for subject in subjects)
    return by_others and own is not None and any(name in own.values for name in values)


def _note(
    found: Effect, table: Table, member: Member, after: Resolver, values: Mapping[str, Value], *, personal: bool
) -> None:
    old, new = table.limits(member), after.limits(member.name, member.groups)
    changed = any(old[name].value != new[name].value for name in values)
    (found.affected if changed else found.unchanged).append(member.name)
    if personal:
        found.personal.append(member.name)
    if member.name in table.use and set(exceeded(new, table.used(member))) - set(table.over(member)):
        found.newly_over.append(member.name)
