"""Many at once for few places, with the databases alone: two connections to one database, as two gateways have them."""

import asyncio
import uuid
from contextlib import asynccontextmanager

import pytest

from hub_ext.database import Database, Kernel, upgrade
from hub_ext.errors import PublicError
from hub_ext.limits.admission import Admission, Starter
from hub_ext.limits.ask import Ask
from hub_ext.limits.store import Configured, LimitStore
from hub_ext.sizes import KernelSize, Rules, footprint

PLACES, TOGETHER = 5, 50
SIZE = KernelSize(driver_memory_mb=640)
ASK = Ask("alice", "spark_python", "Spark", SIZE, footprint(SIZE, Rules(1024)), "notebooks")


@asynccontextmanager
async def two_gateways(url, limits):
    databases = [Database(url) for _ in range(2)]
    stores = [LimitStore(one) for one in databases]
    await stores[0].configure(Configured(default=limits))
    try:
        yield [Admission(*pair) for pair in zip(databases, stores, strict=True)]
    finally:
        for one in databases:
            await one.close()


async def one_round(gateways):
    """Ask for places all at once; return those that were given."""

    async def attempt(gateway):
        try:
            return await gateway.reserve(ASK, Starter(str(uuid.uuid4()), "alice_c", None, frozenset()))
        except PublicError as error:
            return error

    results = await asyncio.gather(*(attempt(gateways[n % 2]) for n in range(TOGETHER)))
    refusals = [one for one in results if isinstance(one, PublicError)]
    assert {one.code for one in refusals} <= {"too-many-kernels", "over-total-limit"}
    assert all(one.numbers["used"] + one.numbers["asked"] > one.numbers["limit"] for one in refusals)
    return [one for one in results if isinstance(one, Kernel)]


@pytest.mark.parametrize(
    ("rounds", "limits"), [(20, {"kernels": PLACES}), (5, {"memory_mb": PLACES * 1024})], ids=["kernels", "memory"]
)
async def test_fifty_at_once_for_five_places_are_five_in_every_round(database_url, rounds, limits):
    async with two_gateways(database_url, limits) as gateways:
        for _ in range(rounds):
            places = await one_round(gateways)
            assert len(places) == PLACES
            for kernel in places:
                assert await gateways[0].release(kernel.id, "the round is over")


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
async def test_they_are_five_whatever_isolation_the_server_has_by_default(postgres, empty_postgres_url, level):
    upgrade(empty_postgres_url)
    name = empty_postgres_url.rpartition("/")[2]
    await asyncio.to_thread(postgres.execute, f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    async with two_gateways(empty_postgres_url, {"kernels": PLACES}) as gateways:
        assert len(await one_round(gateways)) == PLACES
