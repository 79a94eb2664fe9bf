"""The tables of limits, as the store reads and writes them. Every statement works on SQLite and PostgreSQL."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, Text, and_, bindparam, cast, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from ..database import LimitSubject, LimitValue, Setting
from ..errors import PublicError
from .fields import checked
from .model import SCOPES, Configured, OwnValue, Subject
from .resolve import plain

#: Key of the setting that tells what the Hub's configuration gives.
CONFIGURED = "configured_limits"
#: Databases take only so many parameters in one statement.
CHUNK = 1000

#: Where rows are read: what `AsyncSession.run_sync` and `Database.write` give.
Reader = Session | Connection
Stored = dict[Subject, dict[str, OwnValue]]
#: A statement, and the names that it is about.
Question = tuple[Executable, dict[str, list[str]]]
T = TypeVar("T")

# Made once: making a statement takes longer than most of them take to run, and every start of a kernel needs these.
_CONFIGURED = select(cast(Setting.value, Text)).where(Setting.key == CONFIGURED)
_VALUES = select(
    LimitValue.scope, LimitValue.name, LimitValue.field, LimitValue.value, LimitValue.until, LimitValue.value_after
)
_REVISIONS = select(LimitSubject.scope, LimitSubject.name, LimitSubject.revision)


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Cut `items` into lists of at most `size`."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def values_of(reader: Reader, subjects: Collection[Subject] | None = None, *, skip_unreadable: bool = False) -> Stored:
    """Return the values in the table, also those whose time is over: of `subjects`, or of all.

    Who is about to replace values may skip those that make no sense.
    """
    return _values(reader, _of(_VALUES, subjects), skip_unreadable)


def ended_values(reader: Reader, now: datetime) -> Stored:
    """Return the values whose time was over at `now`."""
    return _values(reader, [(_VALUES.where(LimitValue.until <= now), {})])


def revisions_of(reader: Reader, subjects: Collection[Subject] | None = None) -> dict[Subject, int]:
    """Return the revisions of those whose values were ever changed."""
    found = {}
    for query, names in _of(_REVISIONS, subjects):
        for scope, name, revision in reader.execute(query, names):
            found[subject_of(scope, name)] = revision
    return found


def read_configured(reader: Reader) -> Configured:
    """Return what the gateway wrote down of the Hub's configuration."""
    text = reader.scalar(_CONFIGURED)
    return _configured(text or "{}")


async def write_values(session: AsyncSession, changed: Mapping[tuple[Subject, str], OwnValue | None]) -> None:
    """Replace values; None removes one."""
    if not changed:
        return
    table = LimitValue.__table__
    keys = [{"of_scope": of.scope, "of_name": of.name, "of_field": field} for of, field in changed]
    matches = and_(
        table.c.scope == bindparam("of_scope"),
        table.c.name == bindparam("of_name"),
        table.c.field == bindparam("of_field"),
    )
    connection = await session.connection()
    await connection.execute(delete(LimitValue).where(matches), keys)
    rows = [
        {
            "scope": of.scope,
            "name": of.name,
            "field": field,
            "value": plain(own.value),
            "until": own.until,
            "value_after": plain(own.value_after),
        }
        for (of, field), own in changed.items()
        if own is not None and own.value is not None
    ]
    if rows:
        await connection.execute(insert(LimitValue), rows)


async def write_revisions(session: AsyncSession, wanted: Mapping[Subject, int], known: Collection[Subject]) -> None:
    """Set revisions; `known` are those that have a row already."""
    connection = await session.connection()
    table = LimitSubject.__table__
    matches = and_(table.c.scope == bindparam("of_scope"), table.c.name == bindparam("of_name"))
    old = [{"of_scope": of.scope, "of_name": of.name, "to": number} for of, number in wanted.items() if of in known]
    new = [{"scope": of.scope, "name": of.name, "revision": number} for of, number in wanted.items() if of not in known]
    if old:
        await connection.execute(update(LimitSubject).where(matches).values(revision=bindparam("to")), old)
    if new:
        await connection.execute(insert(LimitSubject), new)


def unreadable(reason: object) -> PublicError:
    """Say that what is stored makes no sense; nobody gets more than they should because of it."""
    return PublicError(
        "limits-unreadable",
        "The stored limits can't be read.",
        details=[str(reason)],
        remedy="Tell your Hub administrator: 'hub-ext limits set' puts the value right.",
    )


def _values(reader: Reader, questions: Iterable[Question], skip_unreadable: bool = False) -> Stored:
    found: Stored = defaultdict(dict)
    for query, names in questions:
        for scope, name, field, value, until, after in reader.execute(query, names):
            try:
                found[subject_of(scope, name)][field] = OwnValue(checked(field, value), until, checked(field, after))
            except ValueError as error:
                if not skip_unreadable:
                    raise unreadable(f"In the table, of {subject_of(scope, name)}: {error}") from error
    return dict(found)


def _of(query: Any, subjects: Collection[Subject] | None) -> Iterator[Question]:
    """Give the statement for all, or for a part of `subjects` at a time."""
    if subjects is None:
        yield query, {}
        return
    for chunk in chunks(sorted(set(subjects))):
        yield _SOME[query], {scope: [one.name for one in chunk if one.scope == scope] for scope in SCOPES}


def _some(query: Any) -> Executable:
    """Keep the rows of those whose names are given, for each scope."""
    scope, name = list(query.selected_columns)[:2]
    of_each = (and_(scope == one, name.in_(bindparam(one, expanding=True))) for one in SCOPES)
    some: Executable = query.where(or_(*of_each))
    return some


def subject_of(scope: Any, name: str) -> Subject:
    """Return a row's subject."""
    return Subject(scope, name)


@lru_cache(maxsize=4)
def _configured(text: str) -> Configured:
    """Read the setting. The same text comes with every admission of a kernel."""
    try:
        known = Configured.__dataclass_fields__
        configured = Configured(**{key: value for key, value in json.loads(text).items() if key in known})
        configured.check()
    except (ValueError, TypeError, AttributeError) as error:
        raise unreadable(f"From the Hub's configuration: {error}") from error
    return configured


_SOME = {query: _some(query) for query in (_VALUES, _REVISIONS)}
