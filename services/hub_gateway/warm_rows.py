"""Kernels that are started before anybody asks for them, as the database has them. Every method is one transaction."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update

from hub_ext.clock import utc_now
from hub_ext.database import Database, Kernel, WarmStart
from hub_ext.limits.kernels import ENDED, ENDING, RUNNING, USABLE, usable

#: Another gateway's clock may be behind by so much: what waits to be used there is not ended here.
CLOCKS_DIFFER = timedelta(seconds=10)
#: Over by every clock. Who lets a kernel go ends it, and has a minute for that.
LET_GO, MINUTE = timedelta(days=1), timedelta(minutes=1)
#: How the reasons begin of kernels that have ended before they ran.
NEVER_RAN = ("start failed", "interrupted while it was starting", "its start was broken off")


class WarmRows:
    """Who wants their last kernel started in advance, and which kernels wait to be used.

    A kernel waits until its `warm_until`: before then it can be taken, afterwards it can only be ended, so that of
    those who would take it and those who would end it only one does.

    Parameters
    ----------
    database : Database
        With an up-to-date schema.
    now : callable
        The clock, UTC.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now

    async def wanted(self, owner: str) -> bool:
        """Say whether somebody has switched it on."""
        async with self._database.reading() as session:
            found = await session.get(WarmStart, owner)
        return found is not None and found.wanted

    async def want(self, owner: str, wanted: bool) -> None:
        """Switch it on or off for somebody."""
        async with self._database.transaction(lock=f"user:{owner}") as session:
            await session.merge(WarmStart(owner=owner, wanted=wanted))

    async def last_used(self, owner: str) -> str:
        """Return the kernelspec of the kernel that somebody used last, of those that are remembered; empty for none.

        One that could not start was not used.
        """
        ran = or_(Kernel.state == RUNNING, and_(Kernel.state == ENDED, *map(_reason_is_not, NEVER_RAN)))
        query = (
            select(Kernel.kernelspec)
            .where(Kernel.owner == owner, Kernel.warm_until.is_(None), ran)
            .order_by(Kernel.started_at.desc())
            .limit(1)
        )
        async with self._database.reading() as session:
            return (await session.scalar(query)) or ""

    async def any_of(self, owner: str) -> bool:
        """Say whether a kernel of somebody waits; `Admission.use_warm` hands it out."""
        query = select(Kernel.id).where(Kernel.owner == owner, *usable(self._now())).limit(1)
        async with self._database.reading() as session:
            return await session.scalar(query) is not None

    async def waits(self, kernel_id: str) -> bool:
        """Say whether nobody has used a kernel that was started in advance, also one that has ended."""
        async with self._database.reading() as session:
            kernel = await session.get(Kernel, kernel_id)
        return kernel is not None and kernel.warm_until is not None

    async def put_back(self, kernel_id: str, until: datetime) -> None:
        """Let a kernel wait again whose taker could not be told of it."""
        again = update(Kernel).where(Kernel.id == kernel_id, Kernel.state.in_(USABLE)).values(warm_until=until)
        async with self._database.transaction() as session:
            await session.execute(again)

    async def let_go(self, owner: str) -> list[Kernel]:
        """Have the waiting kernels of somebody wait no longer; return those that nobody else takes from now on."""
        query = select(Kernel).where(Kernel.owner == owner, Kernel.warm_until.is_not(None), Kernel.state.in_(USABLE))
        async with self._database.transaction(lock=f"user:{owner}") as session:
            found = list((await session.scalars(query)).all())
            for kernel in found:
                kernel.warm_until = self._now() - LET_GO
        return found

    async def ending(self, owner: str) -> set[str]:
        """Return the ids of those kernels that somebody is ending just now."""
        query = select(Kernel.id).where(Kernel.owner == owner, Kernel.warm_until.is_not(None), Kernel.state == ENDING)
        async with self._database.reading() as session:
            return set((await session.scalars(query)).all())

    async def unused(self) -> list[Kernel]:
        """Return the kernels that have waited for long enough."""
        now = self._now()
        over = and_(Kernel.warm_until <= now - CLOCKS_DIFFER, Kernel.warm_until > now - LET_GO)
        left = Kernel.warm_until <= now - LET_GO - MINUTE
        query = select(Kernel).where(or_(over, left), Kernel.state.in_(USABLE))
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())


def _reason_is_not(beginning: str) -> ColumnElement[bool]:
    return ~Kernel.end_reason.startswith(beginning, autoescape=True)
