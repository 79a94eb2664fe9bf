"""The stored limits: read, change, take back. Every change is one transaction and leaves lines in the history."""

import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import datetime, timezone

from sqlalchemy.ext.asyncio import AsyncSession

from ..database import Database, Setting
from .changes import Plan, planned
from .checks import NAME_LENGTH, check_edits, check_text
from .history import (
    END_DATE,
    HistoryBatch,
    HistoryLine,
    HistoryPage,
    add_lines,
    as_now,
    inverse,
    last_lines,
    lines_of,
    net,
    read_page,
)
from .model import (
    DEFAULT,
    AllLimits,
    Configured,
    Edit,
    OwnValue,
    Scope,
    Subject,
    SubjectLimits,
)
from .refused import changed_meanwhile, no_such_change, nothing_left, value_changed
from .resolve import ResolvedLimit
from .rows import (
    CONFIGURED,
    Stored,
    ended_values,
    read_configured,
    revisions_of,
    unreadable,
    values_of,
    write_revisions,
    write_values,
)

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


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)


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
        wanted = {"key": CONFIGURED, "value": asdict(configured)}
        async with self._database.transaction(lock=LOCK) as session:
            setting = await session.get(Setting, CONFIGURED)
            if setting is None:
                session.add(Setting(**wanted))
            elif setting.value != wanted["value"]:
                setting.value = wanted["value"]

    async def everything(self) -> AllLimits:
        """Return all limits, as of one moment."""
        async with self._database.reading() as session:
            return await self._read(session, None)

    async def resolved(
        self, user: str, groups: Collection[str], session: AsyncSession | None = None
    ) -> dict[str, ResolvedLimit]:
        """Return the limits in force for one user, by reading what concerns them only.

        Parameters
        ----------
        user : str
            The Hub user.
        groups : collection of str
            The groups they are in.
        session : AsyncSession, optional
            The transaction to read in, when the caller has one.

        Raises
        ------
        PublicError
            ``limits-unreadable`` when what is stored makes no sense; ``database-unreachable``.
        """
        subjects = {DEFAULT, Subject("user", user), *(Subject("group", name) for name in groups)}
        if session is not None:
            found = await self._read(session, subjects)
        else:
            async with self._database.reading() as own_session:
                found = await self._read(own_session, subjects)
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
        check_text("name", who, NAME_LENGTH)
        check_text("reason", reason)
        async with self._writing(session) as writing:
            return await self._apply(writing, edits, who=who, reason=reason, undoes=undoes)

    async def history(
        self, *, scope: str = "", name: str = "", who: str = "", field: str = "", page: int = 1, per_page: int = 50
    ) -> HistoryPage:
        """Return a page of the history, newest first. Filters are exact; empty ones do not filter."""
        page, per_page = min(max(page, 1), LAST_PAGE), min(max(per_page, 1), PER_PAGE_AT_MOST)
        async with self._database.reading() as session:
            return await read_page(session, scope=scope, name=name, who=who, field=field, page=page, per_page=per_page)

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
        check_text("name", who, NAME_LENGTH)
        check_text("reason", reason)
        async with self._writing(None) as session:
            lines = net(await lines_of(session, batch))
            if not lines:
                raise no_such_change(batch)
            if lines[0].who == END_DATE:
                raise nothing_left(batch)
            subjects = {line.subject for line in lines}
            await self._end(session, await values_of(session, subjects))
            current = await values_of(session, subjects)
            for line in lines:
                if not as_now(line, current.get(line.subject, {})):
                    own = current.get(line.subject, {}).get(line.field, OwnValue(None))
                    raise value_changed(line, own)
            edits = await inverse(session, lines, self._now())
            return await self._apply(session, edits, who=who, reason=reason, undoes=batch)

    async def end_grants(self) -> int:
        """Let values whose time is over become those that come after them; returns how many."""
        async with self._database.reading() as session:
            if not await ended_values(session, self._now()):
                return 0
        async with self._writing(None) as session:
            return await self._end(session, await ended_values(session, self._now()))

    async def _read(self, session: AsyncSession, subjects: Collection[Subject] | None) -> AllLimits:
        now = self._now()
        configured = await read_configured(session)
        stored = await values_of(session, subjects)
        revisions = await revisions_of(session) if subjects is None else {}
        limits = AllLimits(configured)
        groups: dict[str, SubjectLimits] = {}
        users: dict[str, SubjectLimits] = {}
        for subject in stored.keys() | revisions.keys():
            in_force = ((name, own.at(now)) for name, own in stored.get(subject, {}).items())
            values = {name: own for name, own in in_force if own.value is not None}
            one = SubjectLimits(subject, values, revisions.get(subject, 0))
            if subject.scope == "default":
                limits = replace(limits, default=one)
            else:
                (groups if subject.scope == "group" else users)[subject.name] = one
        return replace(limits, groups=groups, users=users)

    @asynccontextmanager
    async def _writing(self, session: AsyncSession | None) -> AsyncIterator[AsyncSession]:
        if session is not None:
            yield session
            return
        async with self._database.transaction(lock=LOCK) as own_session:
            yield own_session

    async def _apply(self, session: AsyncSession, edits: Sequence[Edit], *, who: str, reason: str, undoes: str) -> str:
        subjects = {edit.subject for edit in edits}
        revisions = await revisions_of(session, subjects)
        for edit in edits:
            await _check_revision(session, edit, revisions.get(edit.subject, 0))
        current = await values_of(session, subjects, skip_unreadable=True)
        if await self._end(session, current):
            current = await values_of(session, subjects, skip_unreadable=True)
        plan = planned(edits, current)
        if not plan.lines:
            return ""
        batch = secrets.token_hex(8)
        await self._write(session, plan, revisions)
        await add_lines(session, plan.lines, batch=batch, at=self._now(), who=who, reason=reason, undoes=undoes)
        return batch

    async def _write(self, session: AsyncSession, plan: Plan, revisions: Mapping[Subject, int]) -> None:
        await write_values(session, plan.values)
        raised = {subject: revisions.get(subject, 0) + 1 for subject in _subjects(plan.lines)}
        await write_revisions(session, raised, revisions.keys())

    async def _end(self, session: AsyncSession, stored: Stored) -> int:
        """End those of `stored` whose time is over. Time that passes is nobody's edit: revisions stay."""
        now = self._now()
        lines, values = [], {}
        for subject, fields in stored.items():
            for name, own in fields.items():
                after = own.at(now)
                if after != own:
                    lines.append(HistoryLine(subject, name, own.value, after.value, own.until))
                    values[subject, name] = after
        await write_values(session, values)
        await add_lines(session, lines, batch=secrets.token_hex(8), at=now, who=END_DATE)
        return len(lines)


async def _check_revision(session: AsyncSession, edit: Edit, current: int) -> None:
    if edit.revision is None or edit.revision == current:
        return
    lines = await last_lines(session, edit.subject, max(current - edit.revision, 1))
    raise changed_meanwhile(edit.subject, lines, current)


def _subjects(lines: Iterable[HistoryLine]) -> set[Subject]:
    return {line.subject for line in lines}
