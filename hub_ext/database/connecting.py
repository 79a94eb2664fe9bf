"""How a database is connected to: drivers, time limits, and what SQLite has to be told."""

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from .writer import BEGIN

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
#: Seconds for which a transaction waits for another one's lock, and for one statement's answer.
BUSY_TIMEOUT = 10.0
CONNECT_TIMEOUT = 5.0
#: Of one service, to PostgreSQL, at most.
CONNECTIONS = 20


def async_engine(url: str, *, busy_timeout: float = BUSY_TIMEOUT, command_timeout: float = BUSY_TIMEOUT) -> AsyncEngine:
    """Return the engine that services use, which awaits every statement."""
    parsed = make_url(url)
    parsed = parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.get_backend_name() == "sqlite":
        engine = create_async_engine(parsed)
        _listen(engine.sync_engine, busy_timeout)
        return engine
    limits: dict[str, Any] = {}
    if parsed.get_driver_name() == "asyncpg":
        limits = {"timeout": CONNECT_TIMEOUT, "command_timeout": command_timeout}
    engine = create_async_engine(
        parsed,
        # Whatever the server's default is: in a stricter level the statement that waits for a lock would also fix what
        # is read after it, which would then be older than the lock.
        isolation_level="READ COMMITTED",
        pool_pre_ping=not limits,
        # No more for a rush and closed after it: a connection takes ten times as long to make as a decision, and has to
        # be told every statement again. The last one used comes first, it knows them.
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_use_lifo=True,
        pool_timeout=BUSY_TIMEOUT,
        connect_args=limits,
    )
    if limits:
        event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def blocking_engine(url: str) -> Engine:
    """Return the engine of SQLite's writer, which has a thread of its own to block in."""
    engine = create_engine(make_url(url).set(drivername="sqlite"))
    _listen(engine, busy_timeout=0)
    return engine


def _refuse_closed(_: Any, record: ConnectionPoolEntry, __: Any) -> None:
    """Have the pool open another connection for one that the server has ended, without asking it each time."""
    if record.driver_connection is None or record.driver_connection.is_closed():
        raise DisconnectionError


def _listen(engine: Engine, busy_timeout: float) -> None:
    event.listen(engine, "connect", lambda connection, _: _prepare_sqlite(connection, busy_timeout))
    event.listen(engine, "begin", _begin_sqlite)


def _prepare_sqlite(connection: Any, busy_timeout: float) -> None:
    """Write-ahead logging lets several services read while one writes; transactions begin where we say so."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(max(busy_timeout, BUSY_TIMEOUT) * 1000)}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={int(busy_timeout * 1000)}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin as a writer where that was asked for: a reader that turns into one could fail half-way."""
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))
