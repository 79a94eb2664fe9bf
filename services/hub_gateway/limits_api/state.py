"""Everything the table is made of, read from the database; what has not changed since is not read again."""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from hub_ext.database import Database, Kernel, LimitChange, Person, Setting
from hub_ext.limits.kernels import ENDED
from hub_ext.limits.model import DEFAULT, AllLimits, Subject
from hub_ext.limits.rows import CONFIGURED, chunks, subject_of
from hub_ext.limits.store import LimitStore

from .answers import Use
from .table import Member, Resolver, Table, in_order

#: Seconds after which everything is read again, whatever the versions say.
MAXIMUM_AGE = 60.0
#: Subjects that are read on their own rather than all.
FEW = 200

_PEOPLE = select(Person.name, Person.groups, Person.last_kernel_at)


@dataclass(frozen=True)
class _Kept:
    """Something that was read, the version it was read at, and until when it counts at most."""

    version: Any
    value: Any
    until: float

    def is_over(self) -> bool:
        """Tell whether it may be too old; a clock that was set back says so too."""
        return not self.until - MAXIMUM_AGE <= time.time() < self.until


@dataclass(frozen=True)
class _LimitsVersion:
    """The last change of values, and what the Hub's configuration gives."""

    change: int
    configured: Any


class State:
    """All limits, users and use as of now.

    Every question asks the database first for the versions of what is kept, so that a change made through another
    process is seen by the next question.
    """

    def __init__(self, database: Database, store: LimitStore) -> None:
        self._database = database
        self._store = store
        self._limits = _Kept(None, None, 0.0)
        self._people = _Kept(None, None, 0.0)
        self._reading = asyncio.Lock()

    async def table(self) -> Table:
        """Return the table of all users."""
        async with self._reading:
            # The versions first: what is read after them is at least as new.
            async with self._database.reading() as session:
                limits_version = await _limits_version(session)
                people_version = await _people_version(session)
                use = await _use(session)
                people = await self._current_people(session, people_version)
            resolver = await self._current_limits(limits_version)
        return _table(people, resolver, use)

    async def some(self, names: Collection[str], groups: Mapping[str, Collection[str]] | None = None) -> Table:
        """Return a table of these users alone, by reading what concerns them only.

        Parameters
        ----------
        names : collection of str
            Who; whom nobody knows of is left out.
        groups : mapping, optional
            The groups of some of them, where they are better known than the table of people has them. They are
            users, known or not.
        """
        given = groups or {}
        async with self._database.reading() as session:
            people = {name: Member(name, tuple(given.get(name, ()))) for name in given}
            for chunk in chunks(sorted(names)):
                rows = await session.execute(_PEOPLE.where(Person.name.in_(chunk)))
                people |= {name: Member(name, tuple(given.get(name, of) or ()), last) for name, of, last in rows}
            use: dict[str, Use] = {}
            for chunk in chunks(sorted(names)):
                use |= await _use(session, Kernel.owner.in_(chunk))
            of_groups = {Subject("group", group) for member in people.values() for group in member.groups}
            of_users = {Subject("user", name) for name in names}
            limits = await self._store.some({DEFAULT, *of_groups, *of_users}, session)
        return _table(_people(people), Resolver(limits), use)

    async def changed_by(self, batch: str) -> int:
        """Return how many subjects a change really changed."""
        lines = select(LimitChange.scope, LimitChange.name).where(LimitChange.batch == batch).distinct()
        async with self._database.reading() as session:
            return await session.scalar(select(func.count()).select_from(lines.subquery())) or 0

    async def _current_limits(self, version: "_LimitsVersion") -> Resolver:
        if self._limits.is_over():
            await self._read_limits(version)
        elif self._limits.version != version:
            await self._read_changed(version)
        resolver: Resolver = self._limits.value
        return resolver

    async def _read_limits(self, version: "_LimitsVersion") -> None:
        limits = await self._store.everything()
        self._limits = _Kept(version, Resolver(limits), min(time.time() + MAXIMUM_AGE, _next_end(limits)))

    async def _read_changed(self, version: "_LimitsVersion") -> None:
        """Read whose values the history has changes of, if these are few: every change leaves lines there."""
        known: _LimitsVersion = self._limits.version
        async with self._database.reading() as session:
            query = select(LimitChange.scope, LimitChange.name).where(LimitChange.id > known.change).distinct()
            rows = (await session.execute(query.limit(FEW + 1))).all()
            few = len(rows) <= FEW and version.configured == known.configured and version.change > known.change
            subjects = [subject_of(scope, name) for scope, name in rows]
            changed = await self._store.some(subjects, session) if few else None
        if changed is None:
            await self._read_limits(version)
            return
        limits = self._limits.value.all.with_subjects([changed.of(subject) for subject in subjects])
        self._limits = _Kept(version, Resolver(limits), min(self._limits.until, _next_end(changed)))

    async def _current_people(self, session: AsyncSession, version: Any) -> "_People":
        if self._people.version != version or self._people.is_over():
            self._people = _Kept(version, await _everyone(session), time.time() + MAXIMUM_AGE)
        people: _People = self._people.value
        return people


@dataclass(frozen=True)
class _People:
    members: dict[str, Member]
    ordered: list[Member]
    sought_in: dict[str, str]


async def _limits_version(session: AsyncSession) -> _LimitsVersion:
    change = await session.scalar(select(func.max(LimitChange.id)))
    configured = await session.scalar(select(Setting.value).where(Setting.key == CONFIGURED))
    return _LimitsVersion(change or 0, configured)


async def _people_version(session: AsyncSession) -> Any:
    query = select(func.count(), func.max(Person.seen_at), func.max(Person.last_kernel_at))
    return tuple((await session.execute(query)).one())


async def _everyone(session: AsyncSession) -> _People:
    rows = (await session.execute(_PEOPLE)).all()
    return _people({name: Member(name, tuple(groups or ()), last) for name, groups, last in rows})


def _people(members: dict[str, Member]) -> _People:
    return _People(members, in_order(members.values()), {name: one.sought_in for name, one in members.items()})


async def _use(session: AsyncSession, which: ColumnElement[bool] | None = None) -> dict[str, Use]:
    query = (
        select(Kernel.owner, func.count(), func.sum(Kernel.memory_mb), func.sum(Kernel.cores))
        .where(Kernel.state != ENDED, true() if which is None else which)
        .group_by(Kernel.owner)
    )
    rows = (await session.execute(query)).all()
    return {owner: Use(kernels=count, memory_mb=int(memory), cores=int(cores)) for owner, count, memory, cores in rows}


def _next_end(limits: AllLimits) -> float:
    """Return when the next value ends by itself, in seconds since the epoch."""
    subjects = (limits.default, *limits.groups.values(), *limits.users.values())
    ends = (own.until.timestamp() for subject in subjects for own in subject.values.values() if own.until)
    return min(ends, default=float("inf"))


def _table(people: _People, resolver: Resolver, use: dict[str, Use]) -> Table:
    """Put people and limits together; who has a kernel or own values counts as a user, known to the Hub or not."""
    others = {name for name in (*use, *resolver.all.users) if name not in people.members}
    unknown = [Member(name) for name in others if name in use or resolver.has_own(name)]
    members = in_order([*people.ordered, *unknown]) if unknown else people.ordered
    return Table(members, resolver, use, people.sought_in)
