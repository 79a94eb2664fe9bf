"""The history of limits: what was changed by whom, and what would take it back. Lines are only ever added."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, desc, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..database import LimitChange
from .checks import is_storable
from .fields import Value
from .model import Edit, OwnValue, Subject
from .resolve import plain
from .rows import chunks

#: Who ends a value whose time is over.
END_DATE = "(end date)"
#: Who changes what the Hub's configuration gives.
CONFIGURATION = "(configuration)"
#: No person can be written down under these, see `store.check_who`.
NOBODY = (END_DATE, CONFIGURATION)
#: Lines that a batch is shown with among others, and alone; an import may have thousands.
LINES_SHOWN, LINES_ALONE = 20, 10_000


@dataclass(frozen=True)
class HistoryLine:
    """One field of one subject that was changed."""

    subject: Subject
    field: str
    before: Value
    after: Value
    before_until: datetime | None = None
    after_until: datetime | None = None
    id: int = 0
    at: datetime | None = None
    who: str = ""


@dataclass(frozen=True)
class HistoryBatch:
    """What one action changed. `left_off` counts lines beyond those shown, `undone` says that it was taken back."""

    batch: str
    at: datetime
    who: str
    reason: str
    undoes: str
    undone: bool
    lines: tuple[HistoryLine, ...]
    left_off: int = 0


@dataclass(frozen=True)
class HistoryPage:
    """A page of the history, newest first; `total` counts batches."""

    batches: tuple[HistoryBatch, ...]
    total: int
    page: int
    per_page: int


async def add_lines(
    session: AsyncSession,
    lines: Sequence[HistoryLine],
    *,
    batch: str,
    at: datetime,
    who: str,
    reason: str = "",
    undoes: str = "",
) -> None:
    """Write lines of one action."""
    common = {"batch": batch, "at": at, "who": who, "reason": reason, "undoes": undoes}
    rows = [
        {
            **common,
            "scope": line.subject.scope,
            "name": line.subject.name,
            "field": line.field,
            "before": plain(line.before),
            "before_until": line.before_until,
            "after": plain(line.after),
            "after_until": line.after_until,
        }
        for line in lines
    ]
    if rows:
        await (await session.connection()).execute(insert(LimitChange), rows)


async def read_page(session: AsyncSession, wanted: Mapping[str, str], *, page: int, per_page: int) -> HistoryPage:
    """Return the batches that have a line which matches everything wanted (column to text), each with those lines."""
    if not all(is_storable(text) for text in wanted.values()):
        return HistoryPage((), 0, page, per_page)
    condition = and_(True, *(getattr(LimitChange, column) == text for column, text in wanted.items() if text))
    total = await session.scalar(select(func.count(func.distinct(LimitChange.batch))).where(condition))
    newest = func.max(LimitChange.id).label("newest")
    query = select(LimitChange.batch, newest, func.count()).where(condition).group_by(LimitChange.batch)
    found = (await session.execute(query.order_by(desc("newest")).limit(per_page).offset((page - 1) * per_page))).all()
    undone = await _undone(session, [batch for batch, _, _ in found])
    rows = await _first_rows(
        session,
        and_(condition, LimitChange.batch.in_([batch for batch, _, _ in found])),
        LINES_ALONE if wanted.get("batch") else LINES_SHOWN,
    )
    batches = tuple(_batch(rows[batch], batch in undone, count) for batch, _, count in found)
    return HistoryPage(batches, total or 0, page, per_page)


async def lines_of(session: AsyncSession, batch: str) -> list[HistoryLine]:
    """Return what one batch changed."""
    if not is_storable(batch):
        return []
    return [_line(row) for row in await _rows(session, LimitChange.batch == batch)]


async def last_lines(session: AsyncSession, subject: Subject, batches: int) -> list[HistoryLine]:
    """Return what the last `batches` edits changed of one subject, newest first."""
    query = (
        select(LimitChange)
        .where(LimitChange.scope == subject.scope, LimitChange.name == subject.name, LimitChange.who.not_in(NOBODY))
        .order_by(desc(LimitChange.id))
        .limit(20)
    )
    rows = (await session.scalars(query)).all()
    newest = list(dict.fromkeys(row.batch for row in rows))[:batches]
    return [_line(row) for row in rows if row.batch in newest]


async def inverse(session: AsyncSession, lines: Sequence[HistoryLine], now: datetime) -> list[Edit]:
    """Return the edits that make everything as it was before `lines`.

    A value that counted until some time counts until that time again, and what came after it does then; is that time
    over, what came after it counts at once.
    """
    under = await _values_under(session, [line for line in lines if line.before_until is not None])
    grouped: dict[tuple[Subject, datetime | None], dict[str, Value]] = defaultdict(dict)
    for line in lines:
        alive = line.before_until is None or line.before_until > now
        value = line.before if alive else under[line.id]
        grouped[line.subject, line.before_until if alive else None][line.field] = value
    after = {(line.subject, line.field): under[line.id] for line in lines if line.before_until is not None}
    return [
        Edit(of, values, until, afterwards={name: after[of, name] for name in values} if until else {})
        for (of, until), values in grouped.items()
    ]


def net(lines: Sequence[HistoryLine]) -> list[HistoryLine]:
    """Return one line per subject and field, from the first value to the last."""
    first: dict[tuple[Subject, str], HistoryLine] = {}
    last: dict[tuple[Subject, str], HistoryLine] = {}
    for line in lines:
        first.setdefault((line.subject, line.field), line)
        last[line.subject, line.field] = line
    return [replace(one, after=last[key].after, after_until=last[key].after_until) for key, one in first.items()]


def as_now(line: HistoryLine, current: Mapping[str, OwnValue]) -> bool:
    """Say whether a field is still what `line` made it."""
    own = current.get(line.field, OwnValue(None))
    return (own.value, own.until) == (line.after, line.after_until)


async def _values_under(session: AsyncSession, lines: Sequence[HistoryLine]) -> dict[int, Value]:
    """Return, for lines that replaced a value with an end, the value that would have come after that end."""
    found: dict[int, Value] = {}
    for line in lines:
        query = (
            select(LimitChange.before)
            .where(
                LimitChange.scope == line.subject.scope,
                LimitChange.name == line.subject.name,
                LimitChange.field == line.field,
                LimitChange.id < line.id,
                LimitChange.who != CONFIGURATION,
                LimitChange.before_until.is_(None),
            )
            .order_by(desc(LimitChange.id))
            .limit(1)
        )
        before = (await session.scalars(query)).first()
        found[line.id] = tuple(before) if isinstance(before, list) else before
    return found


async def _undone(session: AsyncSession, batches: Collection[str]) -> set[str]:
    """Return which of `batches` were taken back, by something that was not taken back itself."""
    undoers: dict[str, set[str]] = {}
    ask = set(batches)
    while ask:
        found: dict[str, set[str]] = defaultdict(set)
        for chunk in chunks(sorted(ask)):
            query = select(LimitChange.batch, LimitChange.undoes).where(LimitChange.undoes.in_(chunk)).distinct()
            for batch, undoes in await session.execute(query):
                found[undoes].add(batch)
        undoers |= {batch: found.get(batch, set()) for batch in ask}
        ask = set().union(*found.values()) - undoers.keys()
    # An undoing is always newer than what it undoes, so this ends.
    undone = {batch for batch in undoers if _is_undone(batch, undoers)}
    return undone & set(batches)


def _is_undone(batch: str, undoers: Mapping[str, Collection[str]]) -> bool:
    return any(not _is_undone(one, undoers) for one in undoers.get(batch, ()))


async def _rows(session: AsyncSession, condition: ColumnElement[bool]) -> Sequence[LimitChange]:
    return (await session.scalars(select(LimitChange).where(condition).order_by(LimitChange.id))).all()


async def _first_rows(
    session: AsyncSession, condition: ColumnElement[bool], of_each: int
) -> dict[str, list[LimitChange]]:
    """Return the first rows of each batch."""
    place = func.row_number().over(partition_by=LimitChange.batch, order_by=LimitChange.id).label("place")
    numbered = select(LimitChange.id, place).where(condition).subquery()
    first = select(numbered.c.id).where(numbered.c.place <= of_each)
    found: dict[str, list[LimitChange]] = defaultdict(list)
    for row in await _rows(session, LimitChange.id.in_(first)):
        found[row.batch].append(row)
    return found


def _batch(rows: Sequence[LimitChange], undone: bool, count: int) -> HistoryBatch:
    first = rows[0]
    lines = tuple(_line(row) for row in rows)
    return HistoryBatch(first.batch, first.at, first.who, first.reason, first.undoes, undone, lines, count - len(lines))


def _line(row: LimitChange) -> HistoryLine:
    def value(stored: Any) -> Value:
        return tuple(stored) if isinstance(stored, list) else stored

    return HistoryLine(
        Subject(row.scope, row.name),  # type: ignore[arg-type]  # written by add_lines only
        row.field,
        value(row.before),
        value(row.after),
        row.before_until,
        row.after_until,
        row.id,
        row.at,
        row.who,
    )
