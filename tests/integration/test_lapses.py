"""Leases of starts run out, or do not, while gateways look on: with real databases and real time."""

import asyncio
import sqlite3
from contextlib import closing

from hub_ext.database import Database
from tests.unit.gateway_support import Edge, Gateway, Upstream, until


async def rounds_of(gateway):
    """Reconcile as the caretaker does; a round that fails is done again."""
    count = 0
    while True:
        try:
            await gateway.reconciler.reconcile()
        except Exception:
            await asyncio.sleep(0.05)
        count += 1
        gateway.rounds = count
        await asyncio.sleep(await gateway.reconciler.pause())


async def test_a_pause_of_the_database_ends_no_start_of_another_gateway(sqlite_url, monkeypatch):
    """SQLite's write lock is held for three leases; reading goes on meanwhile."""
    monkeypatch.setattr("hub_gateway.lapses.SLOW", 0.3)
    databases = [Database(sqlite_url) for _ in range(2)]
    upstream, edge = Upstream(), Edge()
    async with (
        Gateway(databases[0], upstream, edge, lease=0.6) as one,
        Gateway(databases[1], upstream, edge, lease=0.6) as other,
    ):
        task, row = await one.launched()
        edge.add(row.id, state="ACCEPTED")
        reconciling = asyncio.ensure_future(rounds_of(other))
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute("begin immediate")
            await asyncio.sleep(1.8)
            connection.execute("rollback")
        await asyncio.sleep(0.6)
        assert row.id in edge.found
        upstream.finish()
        assert (await task)["id"] == row.id
        reconciling.cancel()
    for database in databases:
        await database.close()


async def test_a_start_whose_gateway_is_gone_is_ended_within_the_interval(database_url):
    databases = [Database(database_url) for _ in range(2)]
    upstream, edge = Upstream(), Edge()
    async with Gateway(databases[0], upstream, edge, lease=0.7) as one:
        _, row = await one.launched()
        edge.add(row.id, state="ACCEPTED")
        async with Gateway(databases[1], upstream, edge, lease=0.7) as other:
            reconciling = asyncio.ensure_future(rounds_of(other))
            await asyncio.sleep(1)
            assert row.id in edge.found
            one._renewing.cancel()
            one.leases._held.clear()
            began = asyncio.get_running_loop().time()
            await until(lambda: row.id not in edge.found, 10)
            await until(lambda: _gone(other), 10)
            # The interval is 2.1 s; a busy machine gets more.
            assert asyncio.get_running_loop().time() - began < 10
            reconciling.cancel()
            (ended,) = await other.registry.ended("alice")
            assert "broken off" in ended.end_reason
    for database in databases:
        await database.close()


async def _gone(gateway):
    return await gateway.row() is None


async def test_a_lease_that_can_not_be_decided_is_not_looked_at_all_the_time(sqlite_url):
    database = Database(sqlite_url)
    upstream, edge = Upstream(), Edge()
    async with (
        Gateway(database, upstream, edge, lease=0.3) as one,
        Gateway(database, upstream, edge, lease=0.3) as other,
    ):
        await one.launched()
        one._renewing.cancel()
        edge.away = True
        reconciling = asyncio.ensure_future(rounds_of(other))
        await asyncio.sleep(0.9)
        before = other.rounds
        await asyncio.sleep(1.8)
        # The interval is 0.9 s.
        assert other.rounds - before <= 4
        reconciling.cancel()
    await database.close()
