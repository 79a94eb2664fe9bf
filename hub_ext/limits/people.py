"""Hub users and their groups, as the gateway last learned of them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..clock import utc_now
from ..database import Database, Kernel, LimitValue, Person
from .rows import chunks

LOCK = "people"
#: Who was seen this recently may be newer than the list that they are missing from.
NEW = timedelta(minutes=10)


@dataclass(frozen=True)
class PersonRow:
    """A Hub user."""

    name: str
    groups: tuple[str, ...]
    seen_at: datetime
    last_kernel_at: datetime | None


class People:
    """The people table. Every method is one transaction.

    Parameters
    ----------
    database : Database
        With an up-to-date schema.
    now : callable
        The clock; tests have their own.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now

    async def seen(self, name: str, groups: Collection[str]) -> None:
        """Note that a user is there, in these groups."""
        async with self._database.transaction(lock=LOCK) as session:
            person = await session.get(Person, name)
            if person is None:
                session.add(Person(name=name, groups=sorted(groups), seen_at=self._now()))
                return
            person.groups, person.seen_at = sorted(groups), self._now()

    async def sync(self, people: Mapping[str, Collection[str]]) -> None:
        """Take over the Hub's list of users with their groups.

        Only what differs is written. Who is not in the list any more is forgotten, unless they have kernels or values
        of their own, or were seen a moment ago.
        """
        async with self._database.transaction(lock=LOCK) as session:
            known = {name: tuple(groups) for name, groups in await session.execute(select(Person.name, Person.groups))}
            wanted = {name: tuple(sorted(groups)) for name, groups in people.items()}
            new = [name for name in wanted if name not in known]
            changed = [name for name in wanted if name in known and wanted[name] != known[name]]
            await self._write(session, wanted, new, changed)
            await self._forget(session, known.keys() - wanted.keys())

    async def groups_of(self, name: str) -> tuple[str, ...]:
        """Return the groups of a user; nobody knows of any for a user who is not known."""
        async with self._database.reading() as session:
            person = await session.get(Person, name)
        return tuple(person.groups) if person is not None else ()

    async def everyone(self) -> list[PersonRow]:
        """Return all, by name."""
        query = select(Person.name, Person.groups, Person.seen_at, Person.last_kernel_at).order_by(Person.name)
        async with self._database.reading() as session:
            rows = (await session.execute(query)).all()
        return [PersonRow(name, tuple(groups), seen_at, last) for name, groups, seen_at, last in rows]

    async def kernel_started(self, name: str) -> None:
        """Note that a user has started a kernel."""
        async with self._database.transaction(lock=LOCK) as session:
            person = await session.get(Person, name)
            if person is None:
                session.add(Person(name=name, groups=[], seen_at=self._now(), last_kernel_at=self._now()))
                return
            person.last_kernel_at = self._now()

    async def _write(
        self, session: AsyncSession, wanted: Mapping[str, tuple[str, ...]], new: list[str], changed: list[str]
    ) -> None:
        now, connection = self._now(), await session.connection()
        if new:
            rows = [{"name": name, "groups": list(wanted[name]), "seen_at": now} for name in new]
            await connection.execute(insert(Person), rows)
        if changed:
            change = update(Person).where(Person.__table__.c.name == bindparam("of_name"))
            sets = [{"of_name": name, "in_groups": list(wanted[name]), "at": now} for name in changed]
            await connection.execute(change.values(groups=bindparam("in_groups"), seen_at=bindparam("at")), sets)

    async def _forget(self, session: AsyncSession, names: Collection[str]) -> None:
        before = self._now() - NEW
        for chunk in chunks(sorted(names)):
            kernels = select(Kernel.owner).where(Kernel.owner.in_(chunk))
            values = select(LimitValue.name).where(LimitValue.scope == "user", LimitValue.name.in_(chunk))
            kept = {*(await session.scalars(kernels)).all(), *(await session.scalars(values)).all()}
            gone = [name for name in chunk if name not in kept]
            await session.execute(delete(Person).where(Person.name.in_(gone), Person.seen_at < before))
