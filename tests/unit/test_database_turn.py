import asyncio
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from sqlalchemy import text

from hub_ext.database import Database
from hub_ext.errors import PublicError


async def test_a_writer_waits_no_longer_because_others_of_its_process_wait_before_it(sqlite_url, monkeypatch):
    """Another program holds the write lock, and nine writers of this one are in the queue for it already."""
    monkeypatch.setattr("hub_ext.database.engine.BUSY_TIMEOUT", 0.5)
    database = Database(sqlite_url)

    async def write():
        began = time.monotonic()
        with pytest.raises(PublicError) as refused:
            async with database.transaction():
                pass
        assert refused.value.code == "database-unreachable"
        return time.monotonic() - began

    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("begin immediate")
        took = await asyncio.gather(*(write() for _ in range(10)))
        connection.execute("rollback")
    assert max(took) < 2.5  # one after the other they would need 5 s
    # And the turn is not lost.
    async with database.transaction():
        pass
    await database.close()


def add(connection):
    connection.execute(text("insert into settings (key, value) values ('one', '1')"))


async def settings(database):
    async with database.reading() as session:
        return (await session.execute(text("select key from settings"))).scalars().all()


@pytest.fixture
def started(sqlite_url):
    """Give a database, an event that tells that work has written, and one that lets it go on."""
    return Database(sqlite_url), threading.Event(), threading.Event()


async def test_a_transaction_that_nobody_waits_for_any_more_is_undone(started):
    database, has_written, go_on = started

    def work(connection):
        add(connection)
        has_written.set()
        go_on.wait(10)

    writing = asyncio.create_task(database.write(work))
    await asyncio.to_thread(has_written.wait, 10)
    writing.cancel()
    next_one = asyncio.create_task(database.write(lambda connection: 7))
    await asyncio.sleep(0.05)
    assert not next_one.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await next_one == 7
    assert await settings(database) == []
    await database.close()


async def test_the_event_loop_goes_on_while_a_transaction_is_made(started):
    database, has_written, go_on = started

    def work(connection):
        add(connection)
        has_written.set()
        assert go_on.wait(10)

    writing = asyncio.create_task(database.write(work))
    await asyncio.to_thread(has_written.wait, 10)
    assert await settings(database) == []
    go_on.set()
    await writing
    assert await settings(database) == ["one"]
    await database.close()


async def test_both_kinds_of_transactions_take_turns_and_a_failure_undoes_its_own(started):
    database, _, _ = started

    def fails(connection):
        connection.execute(text("insert into settings (key, value) values ('three', '3')"))
        raise ValueError("no")

    async with database.transaction() as session:
        await session.execute(text("insert into settings (key, value) values ('two', '2')"))
        writing = asyncio.create_task(database.write(add))
        await asyncio.sleep(0.05)
        assert not writing.done()
    await writing
    with pytest.raises(ValueError, match="no"):
        await database.write(fails)
    with pytest.raises(PublicError) as refused:
        await database.write(add)  # the key is there already
    assert refused.value.code == "database-unreachable"
    assert sorted(await settings(database)) == ["one", "two"]
    await database.close()


async def test_another_programs_lock_is_waited_for_in_a_transaction_of_one_piece_too(sqlite_url, monkeypatch):
    database = Database(sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("begin immediate")
        writing = asyncio.create_task(database.write(add))
        await asyncio.sleep(0.1)
        assert not writing.done()
        connection.execute("rollback")
        await writing
        monkeypatch.setattr("hub_ext.database.engine.BUSY_TIMEOUT", 0.3)
        connection.execute("begin immediate")
        with pytest.raises(PublicError):
            await database.write(lambda connection: None)
        connection.execute("rollback")
    assert await settings(database) == ["one"]
    await database.close()
