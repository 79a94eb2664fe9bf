from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.database import Kernel
from hub_ext.limits.kernels import ENDED, ENDING, RUNNING, STARTING
from hub_gateway.registry import MAXIMUM_ENDED, Registry

NOW = datetime.now(timezone.utc)


def kernel(kernel_id, owner="alice", state=RUNNING, **more):
    fields = {"started_at": NOW, "end_reason": "", "stop_reason": "", **more}
    return Kernel(id=kernel_id, owner=owner, cluster_user=owner, kernelspec="spark", state=state, **fields)


@pytest.fixture
def registry(database):
    return Registry(database)


async def add(database, *kernels):
    async with database.transaction() as session:
        session.add_all(kernels)


async def test_a_notice_is_given_moved_and_withdrawn_by_whoever_saw_the_last_one(database, registry):
    await add(database, kernel("a"))
    first, second = NOW + timedelta(minutes=10), NOW + timedelta(minutes=20)
    assert await registry.give_notice("a", None, first, "idle")
    # Another gateway that saw nothing yet comes too late.
    assert not await registry.give_notice("a", None, second, "idle")
    assert await registry.give_notice("a", first, second, "idle for longer")
    kept = await registry.get("a")
    assert (kept.stop_at, kept.stop_reason) == (second, "idle for longer")
    assert await registry.give_notice("a", second, None, "")
    assert (await registry.get("a")).stop_at is None


async def test_only_a_running_kernel_gets_notice(database, registry):
    await add(database, kernel("a", state=STARTING), kernel("b", state=ENDED, ended_at=NOW))
    assert not await registry.give_notice("a", None, NOW, "x")
    assert not await registry.give_notice("b", None, NOW, "x")


async def test_what_became_of_ones_kernels_is_told_for_seven_days_the_last_one_first(database, registry):
    await add(
        database,
        *(kernel(f"k{n}", state=ENDED, ended_at=NOW - timedelta(minutes=n)) for n in range(MAXIMUM_ENDED + 5)),
        kernel("old", state=ENDED, ended_at=NOW - timedelta(days=8)),
        kernel("bobs", owner="bob", state=ENDED, ended_at=NOW),
        kernel("alive"),
    )
    found = [one.id for one in await registry.ended("alice")]
    assert found == [f"k{n}" for n in range(MAXIMUM_ENDED)]


async def test_the_reconciler_reads_what_lives_and_what_is_asked_for(database, registry):
    await add(
        database,
        kernel("alive"),
        kernel("late", state=ENDED, ended_at=NOW - timedelta(days=20)),
        kernel("gone", state=ENDED, ended_at=NOW),
    )
    assert {one.id for one in await registry.alive_or_among({"late", "unknown"})} == {"alive", "late"}
    assert {one.id for one in await registry.alive_or_among([])} == {"alive"}


async def test_leases_are_told_of_whoever_is_worked_on(database, registry):
    soon = NOW + timedelta(seconds=3)
    await add(
        database,
        kernel("a", state=STARTING, leased_until=soon),
        kernel("b", state=ENDING, leased_until=None),
        kernel("c"),
    )
    assert await registry.leases() == await registry.leases(as_writer=True) == {"a": soon, "b": None}


async def test_rows_are_forgotten_after_their_time(database, registry):
    await add(database, kernel("old", state=ENDED, ended_at=NOW - timedelta(days=31)), kernel("alive"))
    await registry.forget_ended(30)
    assert {one.id for one in await registry.alive_or_among({"old"})} == {"alive"}
