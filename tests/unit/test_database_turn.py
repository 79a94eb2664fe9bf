import asyncio
import sqlite3
import time
from contextlib import closing

import pytest

from hub_ext.database import Database
from hub_ext.errors import PublicError


async def test_a_writer_waits_no_longer_because_others_of_its_process_wait_before_it(sqlite_url, monkeypatch):
    """Another program holds the write lock, and three writers of this one are in the queue for it already."""
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
        took = await asyncio.gather(*(write() for _ in range(4)))
        connection.execute("rollback")
    assert max(took) < 1.0
    # And the turn is not lost.
    async with database.transaction():
        pass
    await database.close()
