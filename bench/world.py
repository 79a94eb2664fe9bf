"""The site that is measured: 10,000 users in groups, values of their own for some, kernels that run and that ended."""

import random
import uuid
from datetime import datetime, timedelta, timezone

import asyncpg
from sqlalchemy import insert

from hub_ext.cluster import ClusterState, Node, Queue
from hub_ext.database import Database, Kernel, Person, upgrade
from hub_ext.limits.store import DEFAULT, Edit, LimitStore, Subject

USERS = 10_000
GROUPS = 40
GROUPS_WITH_VALUES = 20
USERS_WITH_VALUES = 1_000
RUNNING = 500
#: Ended kernels are kept for a month.
ENDED = 20_000
CHUNK = 1_000

CLUSTER = ClusterState(
    as_of=datetime.now(timezone.utc),
    stale=False,
    memory_total_mb=64 * 1024 * 1024,
    vcores_total=64_000,
    maximum_allocation_mb=256 * 1024,
    maximum_allocation_vcores=32,
    nodes=(Node(id="n1", host="n1", state="RUNNING", memory_total_mb=256 * 1024, vcores_total=64),),
    queues=(Queue(name="notebooks", path="root.notebooks", state="RUNNING", maximum_percent=100.0),),
)


def user(number: int) -> str:
    return f"user{number:05d}@example.org"


def group(number: int) -> str:
    return f"group-{number:02d}"


async def build(url: str) -> None:
    """Fill an empty database; the same every time."""
    upgrade(url)
    chance = random.Random(1)  # noqa: S311  (the same site every time)
    database = Database(url)
    await _insert(database, Person, [_person(number, chance) for number in range(USERS)])
    await _insert(database, Kernel, [_kernel(number, chance) for number in range(RUNNING + ENDED)])
    store = LimitStore(database)
    await store.apply([Edit(DEFAULT, {"kernels": 8, "memory_mb": 65536, "cores": 32})], who="bench")
    await store.apply(
        [
            Edit(Subject("group", group(number)), {"memory_mb": 65536 + 8192 * number, "cores": 64})
            for number in range(GROUPS_WITH_VALUES)
        ],
        who="bench",
    )
    owners = chance.sample(range(USERS), USERS_WITH_VALUES)
    edits = [Edit(Subject("user", user(number)), {"memory_mb": 131072, "kernels": 4 + number % 8}) for number in owners]
    await store.apply(edits, who="bench")
    await database.close()
    await _settle(url)


async def _settle(url: str) -> None:
    """Have PostgreSQL do now what it would do some minutes after so many rows have come: a site has run for long."""
    if not url.startswith("postgres"):
        return
    connection = await asyncpg.connect(url)
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _insert(database: Database, table: type, rows: list[dict]) -> None:
    for first in range(0, len(rows), CHUNK):
        async with database.transaction() as session:
            await session.execute(insert(table), rows[first : first + CHUNK])


def _person(number: int, chance: random.Random) -> dict:
    groups = sorted(group(one) for one in chance.sample(range(GROUPS), chance.randint(0, 4)))
    now = datetime.now(timezone.utc)
    last = now - timedelta(minutes=chance.randint(1, 100_000)) if chance.random() < 0.3 else None
    return {"name": user(number), "groups": groups, "seen_at": now, "last_kernel_at": last}


def _kernel(number: int, chance: random.Random) -> dict:
    owner, now, ended = user(chance.randrange(USERS)), datetime.now(timezone.utc), number >= RUNNING
    return {
        "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "owner": owner,
        "cluster_user": owner.partition("@")[0],
        "kernelspec": "spark_python",
        "server": "",
        "state": "ended" if ended else "running",
        "started_at": now,
        "ended_at": now if ended else None,
        "end_reason": "",
        "memory_mb": chance.choice((2048, 8192, 40960)),
        "cores": chance.choice((1, 4, 16)),
        "queue": "root.notebooks",
        "stop_reason": "",
    }
