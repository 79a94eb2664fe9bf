import asyncio
import uuid
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.database import Database, Kernel, upgrade
from hub_ext.errors import PublicError
from hub_ext.limits.admission import ENDED, RESTARTING, RUNNING, STARTING, Admission, Starter
from hub_ext.limits.ask import Ask
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


@pytest.mark.parametrize("state", [STARTING, RUNNING, RESTARTING])
async def test_a_kernel_counts_in_every_state_until_it_is_released(admission, state):
    kernels = [await admission.reserve(ask(), starter()) for _ in range(2)]
    for kernel in kernels:
        if state != STARTING:
            assert await admission.confirm(kernel.id)
        if state == RESTARTING:
            assert await admission.restarting(kernel.id)
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


async def test_a_lease_is_renewed_and_only_one_that_is_over_can_be_given_back_by_others(database, admission, clock):
    kernel = await admission.reserve(ask(), starter())
    clock.pass_seconds(4)
    await admission.renew([kernel.id])
    clock.pass_seconds(4)
    assert not await admission.release_abandoned(kernel.id, "x")
    clock.pass_seconds(2)
    assert await admission.release_abandoned(kernel.id, "its gateway went away")
    assert (await row(database, kernel.id)).state == ENDED


async def test_a_running_kernel_has_no_lease_to_lose(database, admission, clock):
    kernel = await admission.reserve(ask(), starter())
    assert await admission.confirm(kernel.id)
    await admission.renew([kernel.id])
    clock.pass_seconds(3600)
    assert not await admission.release_abandoned(kernel.id, "x")
    kept = await row(database, kernel.id)
    assert (kept.state, kept.leased_until) == (RUNNING, None)
    assert await Registry(database).first_lease_end() is None


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


PLACES, TOGETHER = 5, 50


@pytest.mark.parametrize(
    ("rounds", "limits"), [(20, {"kernels": PLACES}), (2, {"memory_mb": PLACES * 1024})], ids=["kernels", "memory"]
)
async def test_fifty_at_once_for_five_places_through_two_gateways_are_five_each_time(database_url, rounds, limits):
    """Two connections to one database, as two gateways have them; in each round exactly five get a place."""
    databases = [Database(database_url) for _ in range(2)]
    gateways = [await admission_of(one, **limits) for one in databases]

    async def attempt(gateway):
        try:
            return await gateway.reserve(ask(), starter())
        except PublicError as error:
            return error

    try:
        for _ in range(rounds):
            results = await asyncio.gather(*(attempt(gateways[n % 2]) for n in range(TOGETHER)))
            places = [one for one in results if isinstance(one, Kernel)]
            refusals = [one for one in results if isinstance(one, PublicError)]
            assert len(places) == PLACES
            assert {one.code for one in refusals} <= {"too-many-kernels", "over-total-limit"}
            assert all(one.numbers["used"] + one.numbers["asked"] > one.numbers["limit"] for one in refusals)
            for kernel in places:
                await gateways[0].release(kernel.id, "the round is over")
    finally:
        for one in databases:
            await one.close()


async def test_what_fails_within_the_transaction_leaves_nothing(database, admission, monkeypatch):
    """The gateway dies, or is cancelled, between reading and the commit."""

    async def cancelled(*_):
        raise asyncio.CancelledError

    monkeypatch.setattr(admission._store, "resolved", cancelled)
    with pytest.raises(asyncio.CancelledError):
        await admission.reserve(ask(), starter())
    assert await Registry(database).alive() == []


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
async def test_of_fifty_at_once_five_get_a_place_whatever_the_servers_isolation_is(postgres, empty_postgres_url, level):
    upgrade(empty_postgres_url)
    name = empty_postgres_url.rpartition("/")[2]
    await asyncio.to_thread(postgres.execute, f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    databases = [Database(empty_postgres_url) for _ in range(2)]
    gateways = [await admission_of(one, kernels=5) for one in databases]

    async def attempt(gateway):
        try:
            await gateway.reserve(ask(), starter())
        except PublicError as error:
            return error.code
        return "a place"

    found = await asyncio.gather(*(attempt(gateways[number % 2]) for number in range(50)))
    assert Counter(found) == {"a place": 5, "too-many-kernels": 45}
    for one in databases:
        await one.close()
