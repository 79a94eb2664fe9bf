"""Kernels that are started before anybody asks for them, as the database has them. Every method is one transaction."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from hub_ext.clock import utc_now
from hub_ext.database import Database, Kernel, WarmStart
from hub_ext.limits.admission import RUNNING, STARTING
from hub_ext.limits.ask import Ask

#: Another gateway's clock may be behind by so much: what waits to be used there is not ended here.
CLOCKS_DIFFER = timedelta(seconds=10)
#: States in which a kernel can be used by whoever asks for one of its kind.
USABLE = (STARTING, RUNNING)


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
        """Return the kernelspec of the kernel that somebody used last, of those that are remembered; empty for none."""
        query = (
            select(Kernel.kernelspec)
            .where(Kernel.owner == owner, Kernel.warm_until.is_(None))
            .order_by(Kernel.started_at.desc())
            .limit(1)
        )
        async with self._database.reading() as session:
            return (await session.scalar(query)) or ""

    async def take(self, ask: Ask, server: str | None) -> Kernel | None:
        """Give a waiting kernel of the kind and size that is asked for to the client that asks; None if there is none.

        Parameters
        ----------
        ask : Ask
            What is asked for, by whom.
        server : str or None
            The notebook server of the client; the kernel is ended with that one from now on.
        """
        now = self._now()
        waiting = [
            Kernel.owner == ask.owner,
            Kernel.kernelspec == ask.kernelspec,
            Kernel.warm_until > now,
            Kernel.state.in_(USABLE),
        ]
        # Its definition may have changed since.
        same_size = [Kernel.memory_mb == ask.footprint.memory_mb, Kernel.cores == ask.footprint.vcores]
        query = select(Kernel.id).where(*waiting, *same_size).order_by(Kernel.started_at).limit(1)
        async with self._database.reading() as session:
            kernel_id = await session.scalar(query)
        if kernel_id is None:
            return None
        taken = update(Kernel).where(Kernel.id == kernel_id, *waiting).values(warm_until=None, server=server)

        def work(connection: Connection) -> bool:
            return bool(connection.execute(taken).rowcount)

        if not await self._database.write(work, lock=f"user:{ask.owner}"):
            return None
        async with self._database.reading() as session:
            return await session.get(Kernel, kernel_id)

    async def let_go(self, owner: str) -> list[Kernel]:
        """Have the waiting kernels of somebody wait no longer; return those that nobody else takes from now on."""
        now = self._now()
        query = select(Kernel).where(Kernel.owner == owner, Kernel.warm_until > now, Kernel.state.in_(USABLE))
        async with self._database.transaction(lock=f"user:{owner}") as session:
            found = list((await session.scalars(query)).all())
            for kernel in found:
                kernel.warm_until = now
        return found

    async def unused(self) -> list[Kernel]:
        """Return the kernels that have waited for long enough."""
        before = self._now() - CLOCKS_DIFFER
        query = select(Kernel).where(Kernel.warm_until <= before, Kernel.state.in_(USABLE))
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())
