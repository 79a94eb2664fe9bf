"""Limits inside the Hub's process: read from the services' database, never written, and never waited for long.

The Hub does not depend on that database: whoever asks here gets `LimitsAwayError` with the reason when it can't be
read, and goes on without it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from .errors import PublicError
from .limits.model import DEFAULT, AllLimits, Configured, OwnValue, Subject, SubjectLimits
from .limits.resolve import ResolvedLimit

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from .database import Database

Answer = TypeVar("Answer")
COMMAND = "hub-ext db upgrade"

#: One for each database and event loop, until the process ends: a pool of connections is worth keeping.
_databases: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Database]]" = WeakKeyDictionary()
#: Those whose schema was found to be ours.
_checked: "WeakSet[Database]" = WeakSet()


class LimitsAwayError(Exception):
    """The database can't be read at present. The text is the reason, for the log."""


async def stored_limits(
    url: str, user: str, groups: Collection[str], configured: Configured, seconds: float
) -> dict[str, ResolvedLimit]:
    """Return the limits in force for a person: the table's values over the configured ones.

    Raises
    ------
    LimitsAwayError
        The database can't be read, or not within so many seconds.
    ValueError
        A limit can't be read.
    """

    async def ask(session: "AsyncSession") -> dict[str, ResolvedLimit]:
        return await limits_in(session, user, groups, configured)

    return await reading(url, ask, seconds)


async def limits_in(
    session: "AsyncSession", user: str, groups: Collection[str], configured: Configured
) -> dict[str, ResolvedLimit]:
    """Resolve limits in a session. What the Hub is configured with counts, whatever was last written down of it."""
    from .limits.rows import values_of

    subjects = [DEFAULT, Subject("user", user), *(Subject("group", name) for name in groups)]
    now = datetime.now(timezone.utc)
    stored = await session.run_sync(values_of, subjects)
    own = {subject: _in_force(subject, values, now) for subject, values in stored.items()}
    everything = AllLimits(
        configured,
        own.get(DEFAULT, SubjectLimits(DEFAULT)),
        {subject.name: one for subject, one in own.items() if subject.scope == "group"},
        {subject.name: one for subject, one in own.items() if subject.scope == "user"},
    )
    return everything.resolved(user, groups)


def _in_force(subject: Subject, values: Mapping[str, OwnValue], now: datetime) -> SubjectLimits:
    current = {name: value.at(now) for name, value in values.items()}
    return SubjectLimits(subject, {name: value for name, value in current.items() if value.value is not None})


async def reading(url: str, ask: Callable[["AsyncSession"], Awaitable[Answer]], seconds: float) -> Answer:
    """Ask the database something, if it can be read within so many seconds.

    Raises
    ------
    LimitsAwayError
        It can't.
    """
    try:
        return await asyncio.wait_for(_asked(url, ask), seconds)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise LimitsAwayError(f"the database did not answer within {seconds:g} seconds") from error
    except ImportError as error:
        raise LimitsAwayError(f"the Hub's environment lacks a package of the extra [gateway]: {error.name}") from error
    except PublicError as error:
        raise LimitsAwayError(error.message) from error


async def _asked(url: str, ask: Callable[["AsyncSession"], Awaitable[Answer]]) -> Answer:
    database = _database_of(url)
    if database not in _checked:
        await _check(database)
        _checked.add(database)
    async with database.reading() as session:
        return await ask(session)


def _database_of(url: str) -> "Database":
    from .database import Database

    _require_file(url)
    known = _databases.setdefault(asyncio.get_running_loop(), {})
    if url not in known:
        known[url] = Database(url)
    return known[url]


async def _check(database: "Database") -> None:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        await database.check_schema()
    except RuntimeError as error:
        raise LimitsAwayError(str(error)) from error
    except (SQLAlchemyError, OSError) as error:
        raise LimitsAwayError(f"the database does not answer ({type(error).__name__})") from error


def _require_file(url: str) -> None:
    """Connecting to SQLite would make an empty file where there is none; that is not the Hub's to do."""
    from sqlalchemy.engine import make_url

    parsed: Any = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise LimitsAwayError(f"the database's file does not exist: run '{COMMAND}'")
