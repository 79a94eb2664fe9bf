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

from .timing import Times, merged
from .world import CLUSTER, GROUPS, USERS, group, user

SECONDS = 8.0
WARM_UP = 20
#: Status of a refusal by limits, which is a decision too; whose kernels run is a matter of chance.
FORBIDDEN = 403
SIZE = KernelSize(driver_memory_mb=640)
FOOTPRINT = footprint(SIZE, CLUSTER.rules())


async def measure(url: str, concurrency: int, seed: int = 0) -> Times:
    """Decide about starts of different users for a while, `concurrency` at a time."""
    database = Database(url)
    admission = Admission(database, LimitStore(database))
    chance = random.Random(seed)  # noqa: S311  (the same users every time)
    for _ in range(WARM_UP):
        await _decide(admission, chance)
    began, each = time.perf_counter(), list[float]()

    async def work() -> None:
        while time.perf_counter() - began < SECONDS:
            each.append(await _decide(admission, chance))

    await asyncio.gather(*(work() for _ in range(concurrency)))
    together = time.perf_counter() - began
    await database.close()
    return Times(each, together)


async def _decide(admission: Admission, chance: random.Random) -> float:
    """Return how long one decision took; the release after it is not part of that, but of the rate."""
    owner = user(chance.randrange(USERS))
    groups = frozenset(group(chance.randrange(GROUPS)) for _ in range(2))
    starter = Starter(str(uuid.uuid4()), owner.partition("@")[0], "", groups)
    ask = Ask(owner, "spark_python", "Spark (Python)", SIZE, FOOTPRINT, "root.notebooks")
    began = time.perf_counter()
    try:
        await admission.reserve(ask, starter, CLUSTER)
    except PublicError as refusal:
        if refusal.status != FORBIDDEN:
            raise
        return time.perf_counter() - began
    took = time.perf_counter() - began
    await admission.release(starter.kernel_id, "measured")
    return took


def in_processes(url: str, processes: int, concurrency: int) -> Times:
    """Measure several processes at the same time, as several gateways are."""
    started = [
        subprocess.Popen(  # noqa: S603  (this very module)
            [sys.executable, "-m", "bench.admission", url, str(concurrency), str(number)],
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
    _, given_url, given_concurrency, given_seed = sys.argv
    found = asyncio.run(measure(given_url, int(given_concurrency), int(given_seed)))
    json.dump({"each": found.each, "together": found.together}, sys.stdout)
