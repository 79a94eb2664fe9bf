import asyncio
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import Connection, select

from hub_ext.database import Kernel
from hub_ext.errors import PublicError
from hub_ext.limits.admission import Admission, Starter
from hub_ext.limits.ask import Ask
from hub_ext.limits.kernels import ENDED, ENDING, RESTARTING, RUNNING, STARTING
from hub_ext.limits.store import Configured, Edit, LimitStore, Subject
from hub_ext.sizes import KernelSize, Rules, footprint
from hub_gateway.registry import Registry

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
SIZE = KernelSize(driver_memory_mb=640)
GROUPS = frozenset({"analytics"})


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def pass_seconds(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def admission(database, clock):
    return await admission_of(database, clock)


async def admission_of(database, clock=None, **limits):
    store = LimitStore(database)
    await store.configure(Configured(groups={"analytics": limits or {"kernels": 2, "memory_mb": 4096}}))
    more = {} if clock is None else {"now": clock}
    return Admission(database, store, lease=5.0, **more)


def ask(owner="alice", size=SIZE):
    return Ask(owner, "spark_python", "Spark", size, footprint(size, Rules(1024)), "notebooks")


def starter(groups=GROUPS):
    return Starter(str(uuid.uuid4()), "alice_c", None, groups)


async def row(database, kernel_id):
    async with database.reading() as session:
        return await session.get(Kernel, kernel_id)


async def test_a_reservation_holds_what_yarn_will_count_and_a_lease(database, admission):
    kernel = await admission.reserve(ask(), starter())
    kept = await row(database, kernel.id)
    assert (kept.state, kept.memory_mb, kept.cores, kept.queue) == (STARTING, 1024, 1, "notebooks")
    assert kept.leased_until == NOW + timedelta(seconds=5)
    assert (kept.owner, kept.cluster_user, kept.kernelspec) == ("alice", "alice_c", "spark_python")


async def test_a_start_over_the_limit_is_refused_with_the_numbers_and_leaves_no_row(database, admission):
    for _ in range(2):
        await admission.reserve(ask(), starter())
    with pytest.raises(PublicError) as refused:
        await admission.reserve(ask(), starter())
    assert (refused.value.code, refused.value.status) == ("too-many-kernels", 403)
    assert refused.value.numbers["limit"] == 2
    assert refused.value.numbers["used"] == 2
    assert refused.value.numbers["source"] == "group analytics"
    assert len(await Registry(database).alive("alice")) == 2
    # Others have their own places.
    await admission.reserve(ask("bob"), starter())


async def test_the_groups_are_those_of_this_start(admission):
    for _ in range(5):
        await admission.reserve(ask(), starter(groups=frozenset()))
    with pytest.raises(PublicError):
        await admission.reserve(ask(), starter())


@pytest.mark.parametrize("state", [STARTING, RUNNING, RESTARTING, ENDING])
async def test_a_kernel_counts_in_every_state_until_it_is_released(admission, state):
    kernels = [await admission.reserve(ask(), starter()) for _ in range(2)]
    for kernel in kernels:
        if state != STARTING:
            assert await admission.confirm(kernel.id)
        if state in (RESTARTING, ENDING):
            assert await admission.restarting(kernel.id)
        if state == ENDING:
            assert await admission.ending(kernel.id, "x")
    with pytest.raises(PublicError):
        await admission.reserve(ask(), starter())
    assert await admission.release(kernels[0].id, "stopped by its owner")
    await admission.reserve(ask(), starter())


async def test_a_start_that_was_released_meanwhile_is_not_confirmed(database, admission):
    kernel = await admission.reserve(ask(), starter())
    assert await admission.release(kernel.id, "first")
    assert not await admission.confirm(kernel.id)
    assert not await admission.restarting(kernel.id)
    assert not await admission.release(kernel.id, "second")
    kept = await row(database, kernel.id)
    assert (kept.state, kept.end_reason, kept.ended_at) == (ENDED, "first", NOW)


async def test_a_lease_is_renewed_and_only_the_one_that_was_seen_can_be_taken(database, admission, clock):
    kernel = await admission.reserve(ask(), starter())
    seen = kernel.leased_until
    clock.pass_seconds(4)
    assert await admission.renew([kernel.id]) == frozenset()
    assert not await admission.release_abandoned(kernel.id, "x", seen)
    assert not await admission.take_over(kernel.id, "x", seen)
    assert await admission.release_abandoned(kernel.id, "its gateway went away", seen + timedelta(seconds=4))
    assert (await row(database, kernel.id)).state == ENDED


async def test_what_is_taken_over_counts_until_it_is_gone(database, admission):
    kernels = [await admission.reserve(ask(), starter()) for _ in range(2)]
    assert await admission.take_over(kernels[0].id, "broken off", kernels[0].leased_until)
    assert (await row(database, kernels[0].id)).state == ENDING
    with pytest.raises(PublicError):
        await admission.reserve(ask(), starter())
    assert await admission.release(kernels[0].id, "x")
    assert (await row(database, kernels[0].id)).end_reason == "broken off"
    await admission.reserve(ask(), starter())


async def test_a_running_kernel_has_no_lease_to_lose(database, admission, clock):
    kernel = await admission.reserve(ask(), starter())
    assert await admission.confirm(kernel.id)
    assert await admission.renew([kernel.id]) == frozenset()
    clock.pass_seconds(3600)
    assert not await admission.release_abandoned(kernel.id, "x", None)
    assert not await admission.take_over(kernel.id, "x", None)
    assert not await admission.ending(kernel.id, "x")
    kept = await row(database, kernel.id)
    assert (kept.state, kept.leased_until) == (RUNNING, None)
    assert await Registry(database).leases() == {}


@pytest.mark.parametrize("state", [STARTING, RESTARTING])
async def test_a_kernel_that_is_to_end_is_not_confirmed_and_whoever_works_on_it_learns_of_it(
    database, admission, state
):
    kernel, other = [await admission.reserve(ask(), starter()) for _ in range(2)]
    if state == RESTARTING:
        assert await admission.confirm(kernel.id)
        assert await admission.restarting(kernel.id)
        assert not await admission.restarting(kernel.id)
    assert await admission.ending(kernel.id, "stopped by its owner")
    assert await admission.ending(kernel.id, "again")
    assert not await admission.confirm(kernel.id)
    assert not await admission.restarting(kernel.id)
    assert await admission.renew([kernel.id, other.id]) == {kernel.id}
    with pytest.raises(PublicError):
        await admission.reserve(ask(), starter())
    assert not await admission.release(kernel.id, "x", (RUNNING,))
    assert await admission.release(kernel.id, "start failed")
    assert (await row(database, kernel.id)).end_reason == "stopped by its owner"


async def test_a_restart_keeps_the_place_and_what_it_holds(database, admission):
    kernel = await admission.reserve(ask(), starter())
    await admission.confirm(kernel.id)
    assert await admission.restarting(kernel.id)
    kept = await row(database, kernel.id)
    assert (kept.state, kept.memory_mb, kept.leased_until) == (RESTARTING, 1024, NOW + timedelta(seconds=5))
    assert await admission.confirm(kernel.id)


async def test_a_kernel_is_adopted_once(database, admission):
    def found():
        return Kernel(
            id="f9ed359d-07f3-45e0-a3f6-b7f676625dd8",
            owner="alice",
            cluster_user="alice_c",
            kernelspec="x",
            state=RUNNING,
            started_at=NOW,
            memory_mb=2048,
            cores=2,
        )

    assert await admission.adopt(found())
    assert not await admission.adopt(found())
    assert [kernel.memory_mb for kernel in await Registry(database).alive()] == [2048]


async def test_a_kernel_that_holds_more_than_was_counted_counts_with_it_and_never_with_less(database, admission):
    kernel = await admission.reserve(ask(), starter())
    assert not await admission.grow(kernel.id, 5120, 3)  # it is not running yet
    await admission.confirm(kernel.id)
    assert await admission.grow(kernel.id, 3584, 1)
    assert await admission.grow(kernel.id, 512, 3)
    assert not await admission.grow(kernel.id, 512, 1)
    kept = await row(database, kernel.id)
    assert (kept.memory_mb, kept.cores) == (3584, 3)
    with pytest.raises(PublicError) as refused:
        await admission.reserve(ask(), starter())
    assert refused.value.numbers["used"] == 3584


async def test_a_changed_limit_counts_from_the_next_start_on(database, admission):
    store = LimitStore(database)
    await admission.reserve(ask(), starter())
    await store.apply([Edit(Subject("user", "alice"), {"kernels": 1})], who="admin")
    with pytest.raises(PublicError) as refused:
        await admission.reserve(ask(), starter())
    assert refused.value.numbers["source"] == "user"
    await store.apply([Edit(Subject("user", "alice"), {"kernels": "unlimited", "memory_mb": 2048})], who="admin")
    await admission.reserve(ask(), starter())
    with pytest.raises(PublicError) as refused:
        await admission.reserve(ask(), starter())
    assert refused.value.code == "over-total-limit"


async def test_what_fails_after_the_row_was_written_leaves_nothing(database, admission, monkeypatch):
    """The gateway dies, or is cancelled, between writing and the commit."""
    execute, written = Connection.execute, []

    def broken_off(connection, statement, *args, **more):
        result = execute(connection, statement, *args, **more)
        if getattr(statement, "is_insert", False):
            written.append(len(execute(connection, select(Kernel.id)).all()))
            raise asyncio.CancelledError
        return result

    monkeypatch.setattr(Connection, "execute", broken_off)
    with pytest.raises(asyncio.CancelledError):
        await admission.reserve(ask(), starter())
    monkeypatch.undo()
    assert written == [1]
    assert await Registry(database).alive() == []
