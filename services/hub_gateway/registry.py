"""What the kernels table says, and the few things written there that are not reservations."""

from collections.abc import Collection
from datetime import datetime, timedelta, timezone

from sqlalchemy import delete, or_, select, update

from hub_ext.database import Database, Kernel
from hub_ext.limits.kernels import AT_WORK, ENDED, RUNNING

#: How far back a person sees what became of their kernels, and how many of them.
SHOWN_ENDED = timedelta(days=7)
MAXIMUM_ENDED = 50


class Registry:
    """The kernels table. Every method is one transaction and raises `PublicError` when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, kernel_id: str) -> Kernel | None:
        """Return a kernel that has not ended."""
        async with self._database.reading() as session:
            kernel = await session.get(Kernel, kernel_id)
        return kernel if kernel is not None and kernel.state != ENDED else None

    async def outcome(self, kernel_id: str) -> tuple[str, str]:
        """Return a kernel's state and why it ended, whatever its state; one that is not remembered has ended."""
        async with self._database.reading() as session:
            kernel = await session.get(Kernel, kernel_id)
        return (kernel.state, kernel.end_reason) if kernel is not None else (ENDED, "")

    async def alive(self, owner: str | None = None) -> list[Kernel]:
        """Return the kernels that have not ended, of `owner` or of everyone."""
        query = select(Kernel).where(Kernel.state != ENDED).order_by(Kernel.started_at)
        if owner is not None:
            query = query.where(Kernel.owner == owner)
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())

    async def alive_or_among(self, kernel_ids: Collection[str]) -> list[Kernel]:
        """Return the kernels that have not ended, and those of `kernel_ids` whatever their state."""
        query = select(Kernel).where(or_(Kernel.state != ENDED, Kernel.id.in_(kernel_ids)))
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())

    async def ended(self, owner: str) -> list[Kernel]:
        """Return the kernels of `owner` that ended not long ago, the last one first."""
        since = datetime.now(timezone.utc) - SHOWN_ENDED
        query = (
            select(Kernel)
            .where(Kernel.owner == owner, Kernel.state == ENDED, Kernel.ended_at >= since)
            .order_by(Kernel.ended_at.desc())
            .limit(MAXIMUM_ENDED)
        )
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())

    async def leases(self, *, as_writer: bool = False) -> dict[str, datetime | None]:
        """Return until when each kernel that somebody works on is leased.

        As a writer this waits as long as a renewal of the same leases would.
        """
        query = select(Kernel.id, Kernel.leased_until).where(Kernel.state.in_(AT_WORK))
        async with self._database.transaction() if as_writer else self._database.reading() as session:
            return {row.id: row.leased_until for row in await session.execute(query)}

    async def give_notice(self, kernel_id: str, before: datetime | None, stop_at: datetime | None, reason: str) -> bool:
        """Write when a kernel will be stopped and why; False when somebody else has changed that, or it has ended."""
        async with self._database.transaction() as session:
            result = await session.execute(
                update(Kernel)
                .where(Kernel.id == kernel_id, Kernel.state == RUNNING, Kernel.stop_at.is_not_distinct_from(before))
                .values(stop_at=stop_at, stop_reason=reason[:500])
            )
            return bool(result.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult

    async def forget(self, kernel_id: str) -> None:
        """Remove the row of a kernel, if it has one and has ended."""
        async with self._database.transaction() as session:
            await session.execute(delete(Kernel).where(Kernel.id == kernel_id, Kernel.state == ENDED))

    async def forget_ended(self, days: float) -> None:
        """Remove rows of kernels that ended more than `days` days ago."""
        before = datetime.now(timezone.utc) - timedelta(days=days)
        async with self._database.transaction() as session:
            await session.execute(delete(Kernel).where(Kernel.state == ENDED, Kernel.ended_at < before))


def by_id(kernels: Collection[Kernel]) -> dict[str, Kernel]:
    """Index kernels by their id."""
    return {kernel.id: kernel for kernel in kernels}
