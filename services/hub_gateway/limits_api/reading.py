"""What is asked without changing anything: users, groups, the default, what a change would mean."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping

from hub_ext.database import Kernel
from hub_ext.errors import PublicError
from hub_ext.limits.model import Edit, Subject

from ..registry import Registry
from . import asked, shown
from .advice import Adviser
from .answers import Counts, GroupsAnswer, KernelUse, PreviewAnswer, SubjectLimits, UserDetail, UsersAnswer
from .state import State
from .table import Question, Table

#: Gives the display names of kernelspecs; empty when Enterprise Gateway does not tell them.
DisplayNames = Callable[[], Awaitable[Mapping[str, str]]]
SHOWN_NAMES = 20


class Reading:
    """Answers about limits as they are."""

    def __init__(self, state: State, registry: Registry, adviser: Adviser, display_names: DisplayNames) -> None:
        self._state = state
        self._registry = registry
        self._adviser = adviser
        self._display_names = display_names

    async def users(self, query: asked.UsersQuery) -> UsersAnswer:
        """Return a page of the table of users."""
        table = await self._state.table()
        part = table.part(
            Question(
                search=query.search,
                sort=query.sort,
                descending=query.order == "desc",
                filter=query.filter,
                page=query.page,
                per_page=query.per_page,
            )
        )
        return UsersAnswer(
            users=[shown.user_row(table, member) for member in part.members],
            total=part.total,
            counts=Counts(**part.counts),
            page=query.page,
            per_page=query.per_page,
        )

    async def user(self, name: str, groups: Collection[str] | None = None) -> UserDetail:
        """Return one user; with their `groups`, as callers themselves have them, also one who is new."""
        table = await self._state.some([name], {} if groups is None else {name: groups})
        member = table.member(name)
        if member is None:
            raise unknown(Subject("user", name))
        kernels = await self.kernels(name)
        row = shown.user_limits(table, member)
        return UserDetail(**dict(row), kernels=kernels)

    async def kernels(self, owner: str) -> list[KernelUse]:
        """Return what `owner`'s live kernels hold."""
        kernels: list[Kernel] = await self._registry.alive(owner)
        names = await self._display_names() if kernels else {}
        return [shown.kernel_use(kernel, names) for kernel in kernels]

    async def groups(self) -> GroupsAnswer:
        """Return all groups that have a member or a value."""
        table = await self._state.table()
        sizes = Counter(group for member in table.members for group in member.groups)
        names = sizes.keys() | _groups_with_values(table)
        return GroupsAnswer(groups=[shown.group_row(table, name, sizes[name]) for name in sorted(names, key=_by_name)])

    async def subject(self, subject: Subject) -> SubjectLimits:
        """Return the default or a group."""
        table = await self._state.table()
        if not is_known(table, subject):
            raise unknown(subject)
        return shown.subject_limits(table, subject)

    async def preview(self, body: asked.Preview) -> PreviewAnswer:
        """Return whom a change would concern."""
        table = await self._state.table()
        found, warnings = await self._adviser.look(table, [Edit(Subject(body.scope, body.name), body.values)])
        return PreviewAnswer(
            affected=len(found.affected),
            unchanged=len(found.unchanged),
            names=found.affected[:SHOWN_NAMES],
            personal=found.personal[:SHOWN_NAMES],
            over=found.newly_over[:SHOWN_NAMES],
            warnings=warnings,
        )


def _by_name(name: str) -> tuple[str, str]:
    return name.casefold(), name


def _groups_with_values(table: Table) -> set[str]:
    limits = table.resolver.all
    stored = {name for name, group in limits.groups.items() if group.values}
    return stored | set(limits.configured.groups)


def is_known(table: Table, subject: Subject) -> bool:
    """Say whether a user or group has been seen, or has values."""
    if subject.scope == "default":
        return True
    if subject.scope == "user":
        return table.member(subject.name) is not None
    return subject.name in _groups_with_values(table) or shown.members(table, subject) > 0


def unknown(subject: Subject) -> PublicError:
    return PublicError(
        "no-such-subject",
        f"There is no {subject.scope} named '{subject.name}'.",
        remedy="Names are written as the Hub has them, capitals included.",
    )
