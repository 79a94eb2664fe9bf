"""Decisions about starts: ``Admission.reserve``, each followed by a release so that the site stays as it is."""

import asyncio
import json
import random
import subprocess
import sys
import time
import uuid

from hub_ext.database import Database
from hub_ext.errors import PublicError
from hub_ext.limits.admission import Admission, Starter
from hub_ext.limits.ask import Ask
from hub_ext.limits.store import LimitStore
from hub_ext.sizes import KernelSize, footprint
from hub_ext.web.memory import settle

from .timing import Times, merged
from .world import CLUSTER, GROUPS, USERS, group, user

SECONDS = 8.0
WARM_UP = 20
#: Status of a refusal by limits, which is a decision too; whose kernels run is a matter of chance.
FORBIDDEN = 403
#: How long a decision takes that was not made: so many came that the database was not reached in time.
NEVER = float("inf")
SIZE = KernelSize(driver_memory_mb=640)
FOOTPRINT = footprint(SIZE, CLUSTER.rules())


async def measure(url: str, at_a_time: int, rate: int, seed: int) -> Times:
    """Decide about starts of different users for a while: `at_a_time`, or `rate` new ones each second."""
    settle()
    database = Database(url)
    admission = Admission(database, LimitStore(database))
    chance = random.Random(seed)  # noqa: S311  (the same users every time)
    # At once, so that the connections are there that a gateway has opened in its first minutes.
    await asyncio.gather(*(_decide(admission, chance) for _ in range(WARM_UP)))
    began = time.perf_counter()
    each = await (_arriving(admission, chance, rate) if rate else _closed(admission, chance, at_a_time))
    together = time.perf_counter() - began
    await database.close()
    return Times(each, together)


async def _closed(admission: Admission, chance: random.Random, at_a_time: int) -> list[float]:
    """Begin a decision whenever another one is done: as many as are possible."""
    until, each = time.perf_counter() + SECONDS, list[float]()

    async def work() -> None:
        while time.perf_counter() < until:
            each.append(await _decide(admission, chance))

    await asyncio.gather(*(work() for _ in range(at_a_time)))
    return each


async def _arriving(admission: Admission, chance: random.Random, rate: int) -> list[float]:
    """Begin decisions at a steady pace, done or not: how long people wait when so many come."""
    began, deciding = time.perf_counter(), []
    for number in range(int(SECONDS * rate)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        deciding.append(asyncio.create_task(_decide(admission, chance)))
    return list(await asyncio.gather(*deciding))


async def _decide(admission: Admission, chance: random.Random) -> float:
    """Return how long one decision took; the release after it is not part of that, but of the rate."""
    owner = user(chance.randrange(USERS))
    groups = frozenset(group(chance.randrange(GROUPS)) for _ in range(2))
    starter = Starter(str(uuid.uuid4()), owner.partition("@")[0], "", groups)
    ask = Ask(owner, "spark_python", "Spark (Python)", SIZE, FOOTPRINT, "root.notebooks")
    began = time.perf_counter()
    try:
        await admission.reserve(ask, starter, CLUSTER)
        took = time.perf_counter() - began
        await admission.release(starter.kernel_id, "measured")
    except PublicError as refusal:
        return time.perf_counter() - began if refusal.status == FORBIDDEN else NEVER
    return took


def in_processes(url: str, processes: int, at_a_time: int, rate: int = 0) -> Times:
    """Measure several processes at the same time, as several gateways are; `rate` is that of all together."""
    started = [
        subprocess.Popen(  # noqa: S603  (this very module)
            [sys.executable, "-m", "bench.admission", url, str(at_a_time), str(rate // processes), str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    parts = []
    for process in started:
        answer, _ = process.communicate(timeout=SECONDS * 5 + 60)
        parts.append(Times(**json.loads(answer)))
    return merged(parts)


if __name__ == "__main__":
    found = asyncio.run(measure(sys.argv[1], *(int(word) for word in sys.argv[2:])))
    json.dump({"each": found.each, "together": found.together}, sys.stdout)
