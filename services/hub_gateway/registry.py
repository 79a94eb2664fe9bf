"""Who owns which kernel: kept in the database, so that it outlives this process and Enterprise Gateway."""

from collections.abc import Collection
from datetime import datetime, timedelta, timezone

from sqlalchemy import delete, select, update

from hub_ext.database import Database, Kernel

STARTING, RUNNING, ENDED = "starting", "running", "ended"


class Registry:
    """The kernels table. Every method is one transaction and raises `PublicError` when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, kernel_id: str, *, owner: str, cluster_user: str, kernelspec: str, server: str | None
    ) -> Kernel:
        """Record a kernel that is about to be started."""
        kernel = Kernel(
            id=kernel_id,
            owner=owner,
            cluster_user=cluster_user,
            kernelspec=kernelspec,
            server=server,
            state=STARTING,
            started_at=datetime.now(timezone.utc),
            end_reason="",
        )
        async with self._database.transaction() as session:
            session.add(kernel)
        return kernel

    async def running(self, kernel_id: str) -> None:
        """Record that it runs; one that was ended meanwhile stays ended."""
        async with self._database.transaction() as session:
            await session.execute(
                update(Kernel).where(Kernel.id == kernel_id, Kernel.state == STARTING).values(state=RUNNING)
            )

    async def ended(self, kernel_id: str, reason: str) -> None:
        async with self._database.transaction() as session:
            await session.execute(
                update(Kernel)
                .where(Kernel.id == kernel_id, Kernel.state != ENDED)
                .values(state=ENDED, ended_at=datetime.now(timezone.utc), end_reason=reason[:500])
            )

    async def get(self, kernel_id: str) -> Kernel | None:
        """Return a kernel that has not ended."""
        async with self._database.reading() as session:
            kernel = await session.get(Kernel, kernel_id)
        return kernel if kernel is not None and kernel.state != ENDED else None

    async def alive(self, owner: str | None = None) -> list[Kernel]:
        """Return the kernels that have not ended, of `owner` or of everyone."""
        query = select(Kernel).where(Kernel.state != ENDED).order_by(Kernel.started_at)
        if owner is not None:
            query = query.where(Kernel.owner == owner)
        async with self._database.reading() as session:
            return list((await session.scalars(query)).all())

    async def ended_since(self, seconds: float) -> set[str]:
        """Return the ids of kernels that ended within the last `seconds`."""
        since = datetime.now(timezone.utc) - timedelta(seconds=seconds)
        query = select(Kernel.id).where(Kernel.state == ENDED, Kernel.ended_at >= since)
        async with self._database.reading() as session:
            return set((await session.scalars(query)).all())

    async def forget_ended(self, days: float) -> None:
        """Remove rows of kernels that ended more than `days` days ago."""
        before = datetime.now(timezone.utc) - timedelta(days=days)
        async with self._database.transaction() as session:
            await session.execute(delete(Kernel).where(Kernel.state == ENDED, Kernel.ended_at < before))


def by_id(kernels: Collection[Kernel]) -> dict[str, Kernel]:
    """Index kernels by their id."""
    return {kernel.id: kernel for kernel in kernels}
