"""The stored limits: read, change, take back. Every change is one transaction and leaves lines in the history."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from ..clock import utc_now
from ..database import Database, Setting
from .checks import NAME_LENGTH, check_edits, check_text, invalid
from .history import (
    CONFIGURATION,
    END_DATE,
    NOBODY,
    HistoryBatch,
    HistoryLine,
    HistoryPage,
    as_now,
    inverse,
    lines_of,
    net,
    read_page,
)
from .model import DEFAULT, AllLimits, Configured, Edit, OwnValue, Scope, Subject, SubjectLimits, in_force
from .refused import configured_elsewhere, no_such_change, nothing_left, value_changed
from .resolve import ResolvedLimit
from .rows import CONFIGURED, Reader, ended_values, read_configured, revisions_of, unreadable, values_of
from .writing import apply_edits, end_values, note_configured

__all__ = [
    "DEFAULT",
    "AllLimits",
    "Configured",
    "Edit",
    "HistoryBatch",
    "HistoryLine",
    "HistoryPage",
    "LimitStore",
    "OwnValue",
    "Scope",
    "Subject",
    "SubjectLimits",
]

#: The lock under which limits and requests are changed.
LOCK = "limits"
PER_PAGE_AT_MOST = 200
LAST_PAGE = 1_000_000


def check_who(who: str) -> None:
    """Refuse a name that can't be kept, or that stands for nobody.

    Raises
    ------
    PublicError
        ``limits-invalid``
    """
    check_text("name", who, NAME_LENGTH)
    if who in NOBODY:
        raise invalid(f"The history needs another name than {who}, which is nobody's.", field="name")


class LimitStore:
    """The limits in the database.

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

    async def configure(self, configured: Configured) -> None:
        """Write down what the Hub's configuration gives, if it differs from what is there.

        Raises
        ------
        ValueError
            When a value makes no sense, with whose it is.
        """
        configured.check()
        wanted = asdict(configured)
        async with self._database.transaction(lock=LOCK) as session:
            setting = await session.get(Setting, CONFIGURED)
            before = setting.value if setting is not None else {}
            if before == wanted:
                return
            if setting is None:
                session.add(Setting(key=CONFIGURED, value=wanted))
            else:
                setting.value = wanted
            await note_configured(session, before, wanted, self._now())

    async def everything(self) -> AllLimits:
        """Return all limits, as of one moment."""
        async with self._database.reading() as session:
            return await session.run_sync(self._read, None)

    async def some(self, subjects: Collection[Subject], session: AsyncSession) -> AllLimits:
        """Return what concerns `subjects`, as the caller's `session` sees it; everything else is left out."""
        return in_force(
            await session.run_sync(read_configured),
            await session.run_sync(values_of, subjects),
            await session.run_sync(revisions_of, subjects),
            self._now(),
        )

    async def resolved(self, user: str, groups: Collection[str]) -> dict[str, ResolvedLimit]:
        """Return the limits in force for one user; see `resolved_by`."""
        async with self._database.reading() as session:
            return await session.run_sync(self.resolved_by, user, groups)

    def resolved_by(self, reader: Reader, user: str, groups: Collection[str]) -> dict[str, ResolvedLimit]:
        """Return the limits in force for one user, by reading what concerns them only.

        Parameters
        ----------
        reader : Session or Connection
            The transaction to read in.
        user : str
            The Hub user.
        groups : collection of str
            The groups they are in.

        Raises
        ------
        PublicError
            ``limits-unreadable`` when what is stored makes no sense; ``database-unreachable``.
        """
        subjects = {DEFAULT, Subject("user", user), *(Subject("group", name) for name in groups)}
        found = self._read(reader, subjects)
        try:
            return found.resolved(user, groups)
        except ValueError as error:
            raise unreadable(error) from error

    async def apply(
        self,
        edits: Sequence[Edit],
        *,
        who: str,
        reason: str = "",
        undoes: str = "",
        session: AsyncSession | None = None,
    ) -> str:
        """Change values: all of `edits` or none.

        Parameters
        ----------
        edits : sequence of Edit
            What to change. A value that is there already is no change and leaves no line.
        who, reason : str
            For the history.
        undoes : str
            The batch that this one takes back.
        session : AsyncSession, optional
            The caller's transaction, which holds the lock "limits".

        Returns
        -------
        str
            The batch's id in the history; empty when nothing had to be changed.

        Raises
        ------
        PublicError
            ``limits-changed`` when an editor saw something older; ``limits-invalid``, naming the field.
        """
        check_edits(edits, self._now())
        check_who(who)
        check_text("reason", reason)
        async with self._writing(session) as writing:
            return await apply_edits(writing, edits, self._now(), who=who, reason=reason, undoes=undoes)

    async def history(
        self,
        *,
        scope: str = "",
        name: str = "",
        who: str = "",
        field: str = "",
        batch: str = "",
        page: int = 1,
        per_page: int = 50,
    ) -> HistoryPage:
        """Return a page of the history, newest first. Filters are exact; empty ones do not filter."""
        page, per_page = min(max(page, 1), LAST_PAGE), min(max(per_page, 1), PER_PAGE_AT_MOST)
        async with self._database.reading() as session:
            wanted = {"scope": scope, "name": name, "who": who, "field": field, "batch": batch}
            return await read_page(session, wanted, page=page, per_page=per_page)

    async def undo(self, batch: str, *, who: str, reason: str = "") -> str:
        """Take a batch back, by edits that make everything as it was before.

        Returns
        -------
        str
            The id of the new batch; it can be taken back like any other.

        Raises
        ------
        PublicError
            ``no-such-change``; ``limits-changed`` when a value is no longer what that batch made it.
        """
        check_who(who)
        check_text("reason", reason)
        async with self._writing(None) as session:
            lines = net(await lines_of(session, batch))
            if not lines:
                raise no_such_change(batch)
            if lines[0].who == END_DATE:
                raise nothing_left(batch)
            if lines[0].who == CONFIGURATION:
                raise configured_elsewhere(batch)
            subjects = {line.subject for line in lines}
            await end_values(session, await session.run_sync(values_of, subjects), self._now())
            current = await session.run_sync(values_of, subjects)
            for line in lines:
                if not as_now(line, current.get(line.subject, {})):
                    own = current.get(line.subject, {}).get(line.field, OwnValue(None))
                    raise value_changed(line, own)
            edits = await inverse(session, lines, self._now())
            return await apply_edits(session, edits, self._now(), who=who, reason=reason, undoes=batch)

    async def end_grants(self) -> int:
        """Let values whose time is over become those that come after them; returns how many."""
        async with self._database.reading() as session:
            if not await session.run_sync(ended_values, self._now()):
                return 0
        async with self._writing(None) as session:
            return await end_values(session, await session.run_sync(ended_values, self._now()), self._now())

    def _read(self, reader: Reader, subjects: Collection[Subject] | None) -> AllLimits:
        configured = read_configured(reader)
        stored = values_of(reader, subjects)
        revisions = revisions_of(reader) if subjects is None else {}
        return in_force(configured, stored, revisions, self._now())

    @asynccontextmanager
    async def _writing(self, session: AsyncSession | None) -> AsyncIterator[AsyncSession]:
        if session is not None:
            yield session
            return
        async with self._database.transaction(lock=LOCK) as own_session:
            yield own_session
