import asyncio
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.database import Database
from hub_gateway.lapses import SLOW, Lapses
from tests.unit.gateway_support import Edge, Gateway, Upstream, until

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
#: A round every 18 s: a lease of 6 s, renewed every 2 s, is over when it was seen unchanged for 3 s.
INTERVAL, RENEWAL = 18.0, 2.0


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def looks(*seen, skew=0.0):
    """Look at one lease, each time ``(seconds, its end, how long the look took)``; return the last verdict."""
    lapses, over = Lapses(INTERVAL, RENEWAL), frozenset()
    for seconds, until_, took in seen:
        leases = {} if until_ is None else {"k": at(until_)}
        over = lapses.look(leases, at(seconds + skew), seconds, took)
    return over == {"k"}


@pytest.mark.parametrize(
    ("seen", "over"),
    [
        ([(0, 6, 0)], False),
        ([(0, 6, 0), (7, 6, 0)], False),
        ([(7, 6, 0), (9, 6, 0)], False),
        ([(7, 6, 0), (10, 6, 0)], True),
        # Renewed meanwhile.
        ([(7, 6, 0), (10, 14, 0)], False),
        ([(7, 6, 0), (10, 14, 0), (14.5, 14, 0), (16, 14, 0)], False),
        # Had to wait for the database, as the one who renews it had.
        ([(7, 6, 0), (10, 6, SLOW * 2)], False),
        ([(7, 6, 0), (10, 6, SLOW * 2), (12, 6, 0)], False),
        ([(7, 6, 0), (10, 6, SLOW * 2), (13, 6, 0)], True),
        # Gone, and there again.
        ([(7, 6, 0), (9, None, 0), (10, 6, 0)], False),
    ],
)
def test_a_lease_is_over_when_it_ran_out_and_was_not_renewed_for_longer_than_that_takes(seen, over):
    assert looks(*seen) == over


def test_clocks_need_not_agree():
    # Ours is ahead by an hour: every lease seems to have run out, and none that is renewed is over.
    assert not looks(*[(n, n + 4, 0) for n in range(0, 20, 2)], skew=3600)
    # Ours is behind by an hour: what nobody renews is over all the same.
    assert looks((0, 6, 0), (7, 6, 0), (10, 6, 0), skew=-3600)


def pause(lapses, until_, seconds):
    return lapses.pause({} if until_ is None else {"k": at(until_)}, at(seconds), seconds)


def test_a_place_is_given_back_within_the_interval_whenever_its_gateway_died():
    lapses = Lapses(INTERVAL, RENEWAL)
    # Nothing to see: the next look leaves time for the second one.
    assert pause(lapses, None, 0) == INTERVAL - 1.5 * RENEWAL
    # It will have run out.
    assert pause(lapses, 6, 0) == pytest.approx(6, abs=0.1)
    # It has: the second look.
    assert not lapses.look({"k": at(6)}, at(7), 7.0)
    assert pause(lapses, 6, 7) == pytest.approx(1.5 * RENEWAL, abs=0.1)


def test_what_can_not_be_decided_waits_for_the_next_round():
    lapses = Lapses(INTERVAL, RENEWAL)
    lapses.look({"k": at(6)}, at(7), 7.0)
    assert lapses.look({"k": at(6)}, at(10.1), 10.1)
    assert pause(lapses, 6, 10.2) > INTERVAL / 2
    assert lapses.look({"k": at(6)}, at(27), 27.0)
    assert pause(lapses, 6, 27) > INTERVAL / 2


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
    async with Gateway(databases[0], upstream, edge, lease=0.5) as one:
        _, row = await one.launched()
        edge.add(row.id, state="ACCEPTED")
        async with Gateway(databases[1], upstream, edge, lease=0.5) as other:
            reconciling = asyncio.ensure_future(rounds_of(other))
            await asyncio.sleep(0.7)
            assert row.id in edge.found
            one._renewing.cancel()
            one.leases._held.clear()
            began = asyncio.get_running_loop().time()
            await until(lambda: row.id not in edge.found)
            await until(lambda: _gone(other))
            assert asyncio.get_running_loop().time() - began < 1.5 + 0.3
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
