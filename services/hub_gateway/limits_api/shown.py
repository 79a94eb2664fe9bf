"""From what the domain knows to what the API answers. Pure."""

from collections.abc import Mapping
from typing import Any

from hub_ext.database import Kernel
from hub_ext.limits import ResolvedLimit
from hub_ext.limits.fields import checked
from hub_ext.limits.model import OwnValue, Subject
from hub_ext.limits.resolve import plain

from .answers import GroupRow, KernelUse, Limit, OwnLimit, SubjectLimits, UserLimits, UserRow
from .table import Member, Table


def limit(resolved: ResolvedLimit) -> Limit:
    return Limit(
        value=plain(resolved.value), source=resolved.source, until=resolved.until, configured=resolved.configured
    )


def limits(resolved: Mapping[str, ResolvedLimit]) -> dict[str, Limit]:
    return {name: limit(one) for name, one in resolved.items()}


def own_values(values: Mapping[str, OwnValue]) -> dict[str, OwnLimit]:
    return {
        name: OwnLimit(value=plain(own.value), until=own.until, value_after=plain(own.value_after))
        for name, own in sorted(values.items())
    }


def user_row(table: Table, member: Member) -> UserRow:
    """Return a user as the table shows them."""
    return UserRow(**_row(table, member))


def user_limits(table: Table, member: Member) -> UserLimits:
    """Return a user with what is inherited."""
    return UserLimits(**_user(table, member))


def _row(table: Table, member: Member) -> dict[str, Any]:
    stored = table.resolver.all.of(Subject("user", member.name))
    return {
        "name": member.name,
        "groups": sorted(member.groups),
        "limits": limits(table.limits(member)),
        "own": sorted(stored.values),
        "used": table.used(member),
        "over": table.over(member),
        "last_kernel_at": member.last_kernel_at,
        "revision": stored.revision,
    }


def _user(table: Table, member: Member) -> dict[str, Any]:
    stored = table.resolver.all.of(Subject("user", member.name))
    return {
        **_row(table, member),
        "inherited": limits(table.resolver.inherited(member.name, member.groups)),
        "own_values": own_values(stored.values),
    }


def subject_limits(table: Table, subject: Subject) -> SubjectLimits:
    """Return the default or a group."""
    return SubjectLimits(**_subject(table, subject))


def _subject(table: Table, subject: Subject) -> dict[str, Any]:
    stored = table.resolver.all.of(subject)
    return {
        "scope": subject.scope,
        "name": subject.name,
        "own_values": own_values(stored.values),
        "inherited": limits(table.resolver.all.inherited_by(subject)),
        "revision": stored.revision,
        "members": members(table, subject),
    }


def group_row(table: Table, name: str, count: int) -> GroupRow:
    stored = table.resolver.all.of(Subject("group", name))
    return GroupRow(
        name=name,
        members=count,
        own_values=own_values(stored.values),
        configured={
            field: plain(value)
            for field, given in table.resolver.all.configured.of(stored.subject).items()
            if (value := checked(field, given)) is not None
        },
        revision=stored.revision,
    )


def members(table: Table, subject: Subject) -> int:
    """Count the users to whom a subject's values can apply."""
    if subject.scope == "default":
        return len(table.members)
    return sum(subject.name in member.groups for member in table.members)


def kernel_use(kernel: Kernel, display_names: Mapping[str, str]) -> KernelUse:
    return KernelUse(
        id=kernel.id,
        kernelspec=kernel.kernelspec,
        display_name=display_names.get(kernel.kernelspec, kernel.kernelspec),
        state=kernel.state,
        memory_mb=kernel.memory_mb,
        cores=kernel.cores,
        queue=kernel.queue,
        started_at=kernel.started_at,
        gives_way=kernel.warm_until is not None,
    )
