"""Who gets a place: reserve, start, confirm; and release, whatever ended the kernel.

A reservation is a row of the kernels table. While a gateway starts or restarts a kernel it holds a lease on the row and
renews it; a row whose lease is over belongs to nobody, and the reconciler decides what becomes of it.

A kernel that is to end while it is started or restarted is "ending": it counts until whoever works on it, or after them
the reconciler, has ended it. Enterprise Gateway goes on with a launch whatever becomes of those who asked for it, and
does not know the kernel until it runs.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Executable, case, or_, select, update

from ..clock import utc_now
from ..cluster import ClusterState
from ..database import Database, Kernel
from ..errors import PublicError
from .decide import Ask, limit_refusal
from .kernels import (
    ADD,
    ALIVE,
    AT_WORK,
    CONFIRM,
    END,
    ENDED,
    ENDING,
    RELEASE,
    RELEASE_ABANDONED,
    RESTART,
    RESTARTING,
    RUNNING,
    STARTING,
    TAKE_OVER,
    held_by,
    shortened,
    usable,
)
from .store import LimitStore


@dataclass(frozen=True)
class Starter:
    """For whom and as whom a kernel is started.

    `server` is the notebook server that asks, None for other clients. `warm_until` is how long a kernel that nobody has
    asked for yet waits to be used, None for any other.
    """

    kernel_id: str
    cluster_user: str
    server: str | None
    groups: frozenset[str]
    warm_until: datetime | None = None


class Admission:
    """Reservations. Every method is one transaction and raises `PublicError` when the database does not take part.

    Parameters
    ----------
    database : Database
        Where reservations and limits are.
    store : LimitStore
        What everyone may use.
    lease : float
        Seconds for which a row counts as being worked on, unless it is renewed.
    now : callable
        The clock, UTC.
    """

    def __init__(
        self, database: Database, store: LimitStore, *, lease: float = 5.0, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._store = store
        self._lease = timedelta(seconds=lease)
        self._now = now

    async def reserve(self, ask: Ask, starter: Starter, cluster: ClusterState | None = None) -> Kernel:
        """Take a place for a kernel within its owner's limits: what is read here is still true when it is written.

        Raises
        ------
        PublicError
            The refusal, with its numbers. Nothing was reserved.
        """

        def work(connection: Connection) -> dict[str, Any]:
            limits = self._store.resolved_by(connection, ask.owner, starter.groups)
            held = held_by(connection, ask.owner)
            refusal = limit_refusal(ask, limits, held, cluster)
            if starter.warm_until is not None and held:
                refusal = _not_needed()
            if refusal is not None:
                raise refusal
            now = self._now()
            row = {
                "id": starter.kernel_id,
                "owner": ask.owner,
                "cluster_user": starter.cluster_user,
                "kernelspec": ask.kernelspec,
                "server": starter.server,
                "state": STARTING,
                "started_at": now,
                "end_reason": "",
                "memory_mb": ask.footprint.memory_mb,
                "cores": ask.footprint.vcores,
                "queue": ask.queue or "",
                "leased_until": now + self._lease,
                "stop_reason": "",
                "warm_until": starter.warm_until,
            }
            connection.execute(ADD, row)
            return row

        return Kernel(**await self._database.write(work, lock=f"user:{ask.owner}"))

    async def use_warm(self, ask: Ask, starter: Starter, cluster: ClusterState | None = None) -> Kernel | None:
        """Give a kernel that was started in advance to the client that asks for one like it, within the limits of now.

        Returns
        -------
        Kernel or None
            As it was, with the time until which it would have waited; None when none of that kind, size and queue
            waits, or when its owner may not start it any more.
        """
        query = (
            select(Kernel.__table__)
            .where(Kernel.owner == ask.owner, Kernel.kernelspec == ask.kernelspec)
            # Its definition may have changed since.
            .where(Kernel.memory_mb == ask.footprint.memory_mb, Kernel.cores == ask.footprint.vcores)
            .where(Kernel.queue == (ask.queue or ""))
            .order_by(Kernel.started_at)
            .limit(1)
        )

        def work(connection: Connection) -> dict[str, Any] | None:
            row = connection.execute(query.where(*usable(self._now()))).mappings().first()
            if row is None:
                return None
            limits = self._store.resolved_by(connection, ask.owner, starter.groups)
            others = [one for one in held_by(connection, ask.owner) if one.kernel_id != row["id"]]
            if limit_refusal(ask, limits, others, cluster) is not None:
                return None
            # What was told to nobody is not a notice.
            used = {"server": starter.server, "stop_at": None, "stop_reason": ""}
            connection.execute(update(Kernel).where(Kernel.id == row["id"]).values(**used, warm_until=None))
            return {**row, **used}

        found = await self._database.write(work, lock=f"user:{ask.owner}")
        return Kernel(**found) if found is not None else None

    async def refusal_beside_warm(
        self, ask: Ask, starter: Starter, cluster: ClusterState | None = None
    ) -> tuple[bool, PublicError | None]:
        """Look at a refused start once more, as if kernels that were started in advance and that nobody uses were gone.

        Returns
        -------
        bool
            Whether there are any.
        PublicError or None
            The refusal that stays; None when there would be a place.
        """
        waiting = select(Kernel.id).where(
            Kernel.owner == ask.owner, Kernel.warm_until.is_not(None), Kernel.state != ENDED
        )

        def work(connection: Connection) -> tuple[bool, PublicError | None]:
            limits = self._store.resolved_by(connection, ask.owner, starter.groups)
            unused = set(connection.scalars(waiting).all())
            held = [one for one in held_by(connection, ask.owner) if one.kernel_id not in unused]
            return bool(unused), limit_refusal(ask, limits, held, cluster)

        return await self._database.write(work)

    async def confirm(self, kernel_id: str) -> bool:
        """Record that a start or restart is done; False when the row was released meanwhile and the kernel must go."""
        return await self._change(CONFIRM, kernel_id, (STARTING, RESTARTING, RUNNING))

    async def restarting(self, kernel_id: str) -> bool:
        """Lease a running kernel for its restart; it keeps what it holds. False when it does not run."""
        return await self._change(RESTART, kernel_id, (RUNNING,), lease=self._now() + self._lease)

    async def ending(self, kernel_id: str, reason: str, states: Collection[str] = AT_WORK) -> bool:
        """Mark a kernel as one that is to end; it counts until it is released, and is not confirmed any more.

        Returns
        -------
        bool
            False when it is in none of these states: nobody works on it.
        """
        return await self._change(END, kernel_id, states, reason=shortened(reason))

    async def release(self, kernel_id: str, reason: str, states: Collection[str] = ALIVE) -> bool:
        """Give a place back; False when it is in none of these states. The first reason stays."""
        return await self._change(RELEASE, kernel_id, states, reason=shortened(reason), now=self._now())

    async def release_abandoned(self, kernel_id: str, reason: str, lease: datetime | None) -> bool:
        """Give back the place of a kernel that nobody works on; False when its lease is not the one that was seen."""
        values = {"reason": shortened(reason), "now": self._now(), "seen_lease": lease}
        return await self._change(RELEASE_ABANDONED, kernel_id, AT_WORK, **values)

    async def take_over(self, kernel_id: str, reason: str, lease: datetime | None) -> bool:
        """Lease a kernel that nobody works on, to end it; False when its lease is not the one that was seen."""
        values = {"reason": shortened(reason), "lease": self._now() + self._lease, "seen_lease": lease}
        return await self._change(TAKE_OVER, kernel_id, AT_WORK, **values)

    async def renew(self, kernel_ids: Collection[str]) -> frozenset[str]:
        """Go on holding the leases of the kernels that this gateway works on; return those that are to end."""
        at_work = (Kernel.id.in_(kernel_ids), Kernel.state.in_(AT_WORK))
        renewed = update(Kernel).where(*at_work).values(leased_until=self._now() + self._lease)
        to_end = select(Kernel.id).where(*at_work, Kernel.state == ENDING)

        def work(connection: Connection) -> frozenset[str]:
            connection.execute(renewed)
            return frozenset(connection.scalars(to_end).all())

        return await self._database.write(work)

    async def grow(self, kernel_id: str, memory_mb: int, cores: int) -> bool:
        """Count what a running kernel holds, which is more than was counted before, whatever the limits are."""
        grown = (
            update(Kernel)
            .where(Kernel.id == kernel_id, Kernel.state == RUNNING)
            .where(or_(Kernel.memory_mb < memory_mb, Kernel.cores < cores))
            .values(
                memory_mb=case((Kernel.memory_mb < memory_mb, memory_mb), else_=Kernel.memory_mb),
                cores=case((Kernel.cores < cores, cores), else_=Kernel.cores),
            )
        )
        return bool(await self._database.change(grown, {}))

    async def adopt(self, kernel: Kernel) -> bool:
        """Take over a kernel that nobody reserved; False when somebody else did so first."""
        async with self._database.transaction(lock=f"kernel:{kernel.id}") as session:
            if await session.get(Kernel, kernel.id) is not None:
                return False
            session.add(kernel)
        return True

    async def _change(self, statement: Executable, kernel_id: str, states: Collection[str], **values: Any) -> bool:
        found = {"kernel_id": kernel_id, "states": list(states), **values}
        return bool(await self._database.change(statement, found))


def _not_needed() -> PublicError:
    return PublicError("warm-start-not-offered", "No kernel starts in advance beside one that is there.")
