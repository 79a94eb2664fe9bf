"""Starts that were refused not long ago: their owner sees afterwards what they were told."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, desc, select

from ..clock import utc_now
from ..database import Database, RefusedStart
from ..errors import PublicError

LOCK = "refused-starts"
#: How far back they are shown, and how many of them.
SHOWN = timedelta(days=1)
MOST = 10
KERNELSPEC_LENGTH, NAME_LENGTH = 100, 255


@dataclass(frozen=True)
class Refusal:
    """A start that was refused, `count` times for the same cause; `at` is the last time, `lines` what was said then."""

    owner: str
    kernelspec: str
    code: str
    display_name: str
    at: datetime
    count: int
    lines: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what makes two refusals the same."""
        return self.owner, self.kernelspec, self.code

    def again(self, earlier: "Refusal | None") -> "Refusal":
        """Return this one, counted together with an earlier one of the same cause."""
        if earlier is None:
            return self
        return Refusal(*self.key, self.display_name, self.at, self.count + earlier.count, self.lines)


def refusal(owner: str, kernelspec: str, display_name: str, error: PublicError, at: datetime) -> Refusal:
    """Return what is kept of a refusal."""
    return Refusal(
        owner,
        kernelspec[:KERNELSPEC_LENGTH],
        error.code,
        display_name[:NAME_LENGTH],
        at,
        1,
        tuple(error.lines()),
    )


class RefusedStarts:
    """The table of refused starts: for each person, kernelspec and cause one row.

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

    async def note(self, refusals: Collection[Refusal]) -> None:
        """Write refusals down; what was refused before the shown time is not counted with them."""
        async with self._database.transaction(lock=LOCK) as session:
            for one in refusals:
                row = await session.get(RefusedStart, one.key)
                if row is None:
                    row = RefusedStart(owner=one.owner, kernelspec=one.kernelspec, code=one.code, count=0)
                    session.add(row)
                elif row.at < one.at - SHOWN:
                    row.count = 0
                row.display_name, row.at, row.lines = one.display_name, one.at, list(one.lines)
                row.count += one.count

    async def of(self, owner: str) -> list[Refusal]:
        """Return what was refused to `owner` not long ago, the last one first."""
        query = (
            select(RefusedStart)
            .where(RefusedStart.owner == owner, RefusedStart.at >= self._now() - SHOWN)
            .order_by(desc(RefusedStart.at))
            .limit(MOST)
        )
        async with self._database.reading() as session:
            rows = (await session.scalars(query)).all()
        return [
            Refusal(one.owner, one.kernelspec, one.code, one.display_name, one.at, one.count, tuple(one.lines))
            for one in rows
        ]

    async def forget(self) -> None:
        """Remove what is not shown any more."""
        async with self._database.transaction(lock=LOCK) as session:
            await session.execute(delete(RefusedStart).where(RefusedStart.at < self._now() - SHOWN))
