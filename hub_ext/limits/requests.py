"""Requests for more: somebody asks, an administrator grants or declines."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, desc, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from ..clock import utc_now
from ..database import Database, LimitRequest
from ..errors import PublicError
from .checks import check_text, invalid, is_storable
from .fields import LARGEST, Value, checked
from .model import Edit, Subject
from .resolve import plain
from .store import LAST_PAGE, LOCK, PER_PAGE_AT_MOST, LimitStore

OPEN, GRANTED, DECLINED, WITHDRAWN = "open", "granted", "declined", "withdrawn"
#: Requests that one user may have open.
OPEN_AT_MOST = 10
TEXT_LENGTH = 1000


@dataclass(frozen=True)
class Request:
    """Somebody's wish for another value of one limit, and what became of it."""

    id: int
    user: str
    field: str
    wanted: Value
    reason: str
    created_at: datetime
    state: str
    decided_by: str
    decided_at: datetime | None
    granted: Value
    until: datetime | None
    answer: str


class RequestStore:
    """The table of requests.

    Parameters
    ----------
    database : Database
        With an up-to-date schema.
    store : LimitStore
        Where granted values go.
    now : callable
        The clock; tests have their own.
    """

    def __init__(self, database: Database, store: LimitStore, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._store = store
        self._now = now

    async def ask(self, user: str, field: str, wanted: Value, reason: str = "") -> Request:
        """Ask for another value; an open request of the same user for the same field is withdrawn.

        What an administrator has looked at never changes: asking again is a request of its own.

        Raises
        ------
        PublicError
            ``limits-invalid``; ``too-many-requests``.
        """
        value = _checked(field, wanted)
        check_text("reason", reason, TEXT_LENGTH)
        async with self._database.transaction(lock=LOCK) as session:
            query = select(LimitRequest).where(LimitRequest.user_name == user, LimitRequest.state == OPEN)
            opened = (await session.scalars(query)).all()
            earlier = next((one for one in opened if one.field == field), None)
            if earlier is None and len(opened) >= OPEN_AT_MOST:
                raise _too_many(len(opened))
            row = LimitRequest(user_name=user, field=field, state=OPEN, decided_by="", answer="")
            row.wanted, row.reason, row.created_at = plain(value), reason, self._now()
            session.add(row)
            await session.flush()
            if earlier is not None:
                earlier.state, earlier.decided_by, earlier.decided_at = WITHDRAWN, user, self._now()
                earlier.answer = f"Asked again: request {row.id}."
            return _request(row)

    async def list(
        self, state: str = "", user: str = "", page: int = 1, per_page: int = 50
    ) -> tuple[Sequence[Request], int]:
        """Return a page of requests, newest first, and how many there are. Empty filters do not filter."""
        if not (is_storable(state) and is_storable(user)):
            return [], 0
        condition = and_(
            true(),
            *([LimitRequest.state == state] if state else []),
            *([LimitRequest.user_name == user] if user else []),
        )
        page, per_page = min(max(page, 1), LAST_PAGE), min(max(per_page, 1), PER_PAGE_AT_MOST)
        query = select(LimitRequest).where(condition).order_by(desc(LimitRequest.id))
        async with self._database.reading() as session:
            total = await _count(session, condition)
            rows = (await session.scalars(query.limit(per_page).offset((page - 1) * per_page))).all()
        return [_request(row) for row in rows], total

    async def get(self, number: int) -> Request:
        """Return one request.

        Raises
        ------
        PublicError
            ``no-such-request``.
        """
        async with self._database.reading() as session:
            row = await _row(session, number)
        return _request(row)

    async def count_open(self) -> int:
        """Return how many wait for an answer."""
        async with self._database.reading() as session:
            return await _count(session, LimitRequest.state == OPEN)

    async def grant(
        self,
        number: int,
        who: str,
        value: Value = None,
        until: datetime | None = None,
        answer: str = "",
        revision: int | None = None,
    ) -> Request:
        """Give what was asked for, or another `value`, for good or `until` some time.

        With the `revision` of the user's own values that `who` saw, another one by now refuses it.

        Raises
        ------
        PublicError
            ``no-such-request``, ``request-decided``, ``limits-invalid``, ``limits-changed``.
        """
        async with self._deciding(number, who, GRANTED, answer) as (session, row):
            given = _checked(row.field, row.wanted if value is None else value)
            edit = Edit(Subject("user", row.user_name), {row.field: given}, until=until, revision=revision)
            why = f"request {row.id}: {row.reason}"[:500]
            await self._store.apply([edit], who=who, reason=why, session=session)
            row.granted, row.until = plain(given), until
        return _request(row)

    async def decline(self, number: int, who: str, answer: str = "") -> Request:
        """Say no, with a word.

        Raises
        ------
        PublicError
            ``no-such-request``, ``request-decided``.
        """
        async with self._deciding(number, who, DECLINED, answer) as (_, row):
            pass
        return _request(row)

    async def withdraw(self, number: int, user: str) -> Request:
        """Take one's own request back.

        Raises
        ------
        PublicError
            ``no-such-request`` (also for somebody else's), ``request-decided``.
        """
        async with self._deciding(number, user, WITHDRAWN, "", of_user=user) as (_, row):
            pass
        return _request(row)

    @asynccontextmanager
    async def _deciding(
        self, number: int, who: str, state: str, answer: str, of_user: str | None = None
    ) -> AsyncIterator[tuple[AsyncSession, LimitRequest]]:
        check_text("answer", answer, TEXT_LENGTH)
        async with self._database.transaction(lock=LOCK) as session:
            row = await _row(session, number)
            if of_user is not None and row.user_name != of_user:
                raise _none_such(number)
            if row.state != OPEN:
                raise _decided(row)
            row.state, row.decided_by, row.decided_at, row.answer = state, who, self._now(), answer
            yield session, row


async def _row(session: AsyncSession, number: int) -> LimitRequest:
    row = await session.get(LimitRequest, number) if 0 < number <= LARGEST else None
    if row is None:
        raise _none_such(number)
    return row


def _none_such(number: int) -> PublicError:
    return PublicError("no-such-request", f"There is no request {number}.")


async def _count(session: AsyncSession, condition: ColumnElement[bool]) -> int:
    return await session.scalar(select(func.count()).select_from(LimitRequest).where(condition)) or 0


def _checked(field: str, value: Value) -> Value:
    try:
        found = checked(field, value)
    except ValueError as error:
        raise invalid(str(error), field=field) from None
    if found is None:
        raise invalid(f"Say how much of '{field}' it should be: a number, or 'unlimited'.", field=field)
    return found


def _too_many(count: int) -> PublicError:
    return PublicError(
        "too-many-requests",
        f"You have {count} open requests; more than {OPEN_AT_MOST} are not kept.",
        remedy="Wait for answers, or withdraw one that you don't need any more.",
        numbers={"used": count, "limit": OPEN_AT_MOST},
    )


def _decided(row: LimitRequest) -> PublicError:
    by = f" by {row.decided_by}" if row.decided_by and row.decided_by != row.user_name else ""
    again = row.answer if row.state == WITHDRAWN else ""
    return PublicError("request-decided", f"Request {row.id} was already {row.state}{by}.", remedy=again)


def _request(row: LimitRequest) -> Request:
    return Request(
        id=row.id,
        user=row.user_name,
        field=row.field,
        wanted=checked(row.field, row.wanted),
        reason=row.reason,
        created_at=row.created_at,
        state=row.state,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        granted=checked(row.field, row.granted),
        until=row.until,
        answer=row.answer,
    )
