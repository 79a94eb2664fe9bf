"""Transactions, and bringing the schema up to date."""

import asyncio
import hashlib
import logging
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Executable, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from ..errors import PublicError
from .connecting import BUSY_TIMEOUT, async_engine, blocking_engine
from .writer import AS_WRITER, ASK_AGAIN, Writer, is_locked

log = logging.getLogger("hub_ext.database")

T = TypeVar("T")
MIGRATIONS = Path(__file__).parent / "migrations"
#: Seconds for one step of an upgrade, which may rewrite a large table or wait for another process that upgrades.
UPGRADE_TIMEOUT = 600.0
_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
#: alembic keeps what it works on in a module: one at a time in this process.
_one_upgrade = threading.Lock()


class Database:
    """The services' database.

    Parameters
    ----------
    url : str
        ``sqlite:////path/file.sqlite`` or ``postgresql://user:password@host/name``.
    """

    def __init__(self, url: str) -> None:
        self._engine = async_engine(url)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        self._sqlite = self._engine.dialect.name == "sqlite"
        #: SQLite has one writer at a time. Within this process writers wait here, which is fair; for other processes'
        #: they ask again and again.
        self._turn = asyncio.Lock()
        self._writers = async_engine(url, busy_timeout=0) if self._sqlite else self._engine
        self._writing = async_sessionmaker(self._writers, expire_on_commit=False)
        self._writer = Writer(blocking_engine(url)) if self._sqlite else None
        #: PostgreSQL makes a transaction of each statement by itself: one way there and back instead of three.
        self._single = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self, *, lock: str = "") -> AsyncIterator[AsyncSession]:
        """Give a session whose work is committed at the end, or undone if anything fails.

        Parameters
        ----------
        lock : str
            A name on which transactions wait for each other, also those of other processes: what is read after it is
            what will be true at the commit. On SQLite every writing transaction excludes every other.

        Raises
        ------
        PublicError
            ``database-unreachable`` when the database does not take part.
        """
        try:
            async with self._only_writer() if self._sqlite else self._locked(lock) as session:
                yield session
        except (SQLAlchemyError, OSError, TimeoutError, asyncio.TimeoutError) as error:
            raise unreachable(error) from error

    async def write(self, work: Callable[[Connection], T], *, lock: str = "") -> T:
        """Run a short transaction as one piece; as `transaction`, and several times as fast on SQLite.

        Parameters
        ----------
        work : callable
            What is done, with a connection whose statements are not awaited. It runs in another thread and should take
            no longer than its statements do.
        lock : str
            As in `transaction`.

        Raises
        ------
        PublicError
            ``database-unreachable``, and what `work` raises. Nothing was written.
        """
        try:
            if self._writer is None:
                async with self._engine.begin() as connection:
                    await _wait_for(connection, lock)
                    return await connection.run_sync(work)
            deadline = time.monotonic() + BUSY_TIMEOUT
            async with self._in_turn():
                return await self._writer.run(work, deadline)
        except (SQLAlchemyError, OSError, TimeoutError, asyncio.TimeoutError) as error:
            raise unreachable(error) from error

    async def change(self, statement: Executable, values: Mapping[str, Any]) -> int:
        """Run one statement that is a transaction of its own, and return how many rows it changed.

        Raises
        ------
        PublicError
            ``database-unreachable``. Nothing was written.
        """
        if self._writer is not None:
            return await self.write(lambda connection: connection.execute(statement, values).rowcount)
        try:
            async with self._single.connect() as connection:
                return (await connection.execute(statement, values)).rowcount
        except (SQLAlchemyError, OSError, TimeoutError, asyncio.TimeoutError) as error:
            raise unreachable(error) from error

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        await asyncio.wait_for(self._turn.acquire(), BUSY_TIMEOUT)
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def _locked(self, lock: str) -> AsyncIterator[AsyncSession]:
        async with self._sessions() as session, session.begin():
            await _wait_for(session, lock)
            yield session

    @asynccontextmanager
    async def _only_writer(self) -> AsyncIterator[AsyncSession]:
        deadline = time.monotonic() + BUSY_TIMEOUT
        async with self._in_turn():
            session = await self._begun(deadline)
            try:
                yield session
                await session.commit()
            finally:  # which also undoes what was not committed
                await session.close()

    async def _begun(self, deadline: float) -> AsyncSession:
        """Return a session that is SQLite's one writer."""
        while True:
            session = self._writing()
            try:
                await session.connection(execution_options=AS_WRITER)
            except BaseException as error:
                await session.close()
                if not is_locked(error) or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(random.uniform(*ASK_AGAIN))  # noqa: S311 (only keeps two from asking in step)
            else:
                return session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Give a session that only reads: all of it as of one moment, and never waiting for a writer.

        Raises
        ------
        PublicError
            ``database-unreachable`` when the database does not take part.
        """
        options = {} if self._sqlite else {"isolation_level": "REPEATABLE READ"}
        try:
            async with self._sessions() as session, session.begin():
                await session.connection(execution_options=options)
                yield session
        except (SQLAlchemyError, OSError, TimeoutError, asyncio.TimeoutError) as error:
            raise unreachable(error) from error

    async def check_schema(self) -> None:
        """Refuse to work on a schema that is not the one this version was made for.

        Raises
        ------
        RuntimeError
            With the command to run.
        """
        async with self._engine.connect() as connection:
            found = await connection.run_sync(_current_revision)
        wanted = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        if found == wanted:
            return
        if found is None or _is_known(found):
            raise RuntimeError(
                f"The database is at revision {found}, this version needs {wanted}: run 'hub-ext db upgrade'."
            )
        raise RuntimeError(
            f"The database is at revision {found}, made by a newer version than this one: update this service."
        )

    async def ping(self) -> str:
        """Ask the database for its revision; for health checks."""
        async with self._engine.connect() as connection:
            return f"revision {await connection.run_sync(_current_revision)}"

    async def close(self) -> None:
        await self._engine.dispose()
        await self._writers.dispose()
        if self._writer is not None:
            self._writer.close()


def upgrade(url: str) -> None:
    """Create or migrate the schema; safe to run at every start, by several at once, and inside a running event loop."""
    with _one_upgrade, ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, _upgrade(url)).result()


def unreachable(error: Exception) -> PublicError:
    """Make the error for people, and tell the log what the database itself says: that its disk is full, for example."""
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()
    log.warning("The database did not take part: %s: %s", type(error).__name__, cause[0][:300] if cause else "")
    return PublicError(
        "database-unreachable",
        "The database of the remote kernels does not answer.",
        remedy="Running kernels go on. Try again in a minute; if it stays, tell your Hub administrator.",
    )


async def _upgrade(url: str) -> None:
    engine = async_engine(url, busy_timeout=UPGRADE_TIMEOUT, command_timeout=UPGRADE_TIMEOUT)
    sqlite = engine.dialect.name == "sqlite"
    try:
        async with engine.connect() as connection:
            await connection.execution_options(**(AS_WRITER if sqlite else {}))
            async with connection.begin():
                if not sqlite:
                    await _wait_for(connection, "upgrade")
                await connection.run_sync(_run_migrations)
    finally:
        await engine.dispose()


async def _wait_for(transaction: AsyncConnection | AsyncSession, lock: str) -> None:
    """Hold PostgreSQL's lock of that name until the transaction ends."""
    if lock:
        await transaction.execute(_LOCK, {"key": _key(lock)})


def _run_migrations(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _is_known(revision: str) -> bool:
    return any(script.revision == revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def _key(lock: str) -> int:
    """Return the number that stands for a lock's name: PostgreSQL's advisory locks are 64-bit integers."""
    return int.from_bytes(hashlib.blake2b(lock.encode(), digest_size=8).digest(), "big", signed=True)
