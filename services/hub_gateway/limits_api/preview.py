"""What a change of limits would mean, before it is made. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from hub_ext.limits.model import Edit, Subject

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


def effect(table: Table, edits: Sequence[Edit]) -> Effect:
    """Return whom these edits would concern."""
    subjects = {edit.subject for edit in edits}
    names = {name for edit in edits for name in edit.values}
    by_others = {name for edit in edits if edit.subject.scope != "user" for name in edit.values}
    after = Resolver(table.resolver.all.with_edits(edits))
    found = Effect()
    for member in concerned(table, subjects):
        _note(found, table, member, after, names, personal=_has_own(table, member, by_others))
    return found


def concerned(table: Table, subjects: Iterable[Subject]) -> list[Member]:
    """Return the users to whom one of the subjects' values can apply."""
    groups, users = set[str](), set[str]()
    for subject in subjects:
        if subject.scope == "default":
            return list(table.members)
        (groups if subject.scope == "group" else users).add(subject.name)
    return [member for member in table.members if member.name in users or groups.intersection(member.groups)]


def _has_own(table: Table, member: Member, names: Collection[str]) -> bool:
    own = table.resolver.all.users.get(member.name)
    return own is not None and any(name in own.values for name in names)


def _note(
    found: Effect, table: Table, member: Member, after: Resolver, names: Collection[str], *, personal: bool
) -> None:
    old, new = table.limits(member), after.limits(member.name, member.groups)
    changed = any(old[name].value != new[name].value for name in names)
    (found.affected if changed else found.unchanged).append(member.name)
    if personal:
        found.personal.append(member.name)
    if member.name in table.use and set(exceeded(new, table.used(member))) - set(table.over(member)):
        found.newly_over.append(member.name)
