"""Ten people work at random for a while; afterwards nothing is left and nothing has grown beyond `bounds`.

``SOAK_SECONDS`` and ``SOAK_SEED`` choose how long, and which; see the Makefile.
"""

import os
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing

import pytest

from tests.gateways import rows
from tests.processes import MB, service_process
from tests.soak.bounds import DESCRIPTORS, ROWS_PER_PERSON, WATCHED, memory_mb
from tests.soak.people import Busy, make_people
from tests.support import end_kernels, wait_for
from tests.survival import in_step

pytestmark = pytest.mark.alone

SECONDS = int(os.environ.get("SOAK_SECONDS") or 300)
SEED = os.environ.get("SOAK_SEED") or "1"
PEOPLE = 10
#: Kernels at the same time: the others look on. More would only wait for the two cores of a small machine.
PLACES = 4
#: Seconds until idle connections are closed that are kept for reuse.
SETTLE_S = 90


def usage(platform):
    """Return memory (MiB) and file descriptors of each watched process."""
    processes = {name: service_process(platform, words) for name, words in WATCHED.items()}
    return {name: (one.memory_info().rss / MB, one.num_fds(), one.pid) for name, one in processes.items()}


def counts(platform):
    """Return how many rows each table of the services' database has."""
    with closing(sqlite3.connect(platform.folder / "data" / "remote-kernels.sqlite", timeout=30)) as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: connection.execute(f'select count(*) from "{name}"').fetchone()[0] for name in names}  # noqa: S608


def applications(platform):
    """Return how many applications YARN was given since it runs; it lists the last thousand."""
    return platform.rm("/metrics")["clusterMetrics"]["appsSubmitted"]


def work(platform, tokens, seconds, seed):
    places = threading.Semaphore(PLACES)
    people = [Busy(platform, name, token, seed, places) for name, token in tokens.items()]
    for person in people:
        person.start()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(person.is_alive() for person in people):
        time.sleep(0.5)
    for person in people:
        person.home.set()
    for person in people:
        person.join()
    wait_for(lambda: in_step(platform) and not rows(platform, "state != 'ended'"), 60, what="the end of all kernels")
    return sum((person.done for person in people), Counter()), [line for one in people for line in one.troubles]


@pytest.mark.timeout(SECONDS + 900)
def test_nothing_grows_and_nothing_is_left(platform):
    print(f"\nSOAK_SEED={SEED} SOAK_SECONDS={SECONDS}")
    for name in ("alice", "bob"):
        end_kernels(platform.person(name))
    tokens = make_people(platform, PEOPLE)
    # What is loaded at the first use is no growth.
    work(platform, dict(list(tokens.items())[:PLACES]), 20, f"{SEED} before")
    before, booked, submitted = usage(platform), counts(platform), applications(platform)
    done, troubles = work(platform, tokens, SECONDS, SEED)
    after = settled(platform, before)
    operations, starts = sum(done.values()), done["start"] + done["restart"]
    print(report(before, after, done))
    assert not troubles, troubles[:10]
    assert done["start"] >= PLACES
    assert {name: pid for name, (_, _, pid) in after.items()} == {name: pid for name, (_, _, pid) in before.items()}
    for name, (memory, descriptors, _) in after.items():
        assert memory - before[name][0] <= memory_mb(name, operations, starts), name
        assert descriptors - before[name][1] <= DESCRIPTORS, name
    grown = {name: count - booked.get(name, 0) for name, count in counts(platform).items()}
    assert grown.pop("kernels") == done["start"]
    assert all(rows_more <= PEOPLE * ROWS_PER_PERSON for rows_more in grown.values()), grown
    assert applications(platform) - submitted == starts


def settled(platform, before):
    """Wait until kept connections are closed, if that takes no longer than it should, and look again."""

    def few_descriptors():
        found = usage(platform)
        return all(found[name][1] - before[name][1] <= DESCRIPTORS for name in found)

    deadline = time.monotonic() + SETTLE_S
    while not few_descriptors() and time.monotonic() < deadline:
        time.sleep(2)
    return usage(platform)


def report(before, after, done):
    lines = [f"{'process':<20}{'MiB before':>12}{'after':>8}{'files before':>14}{'after':>8}"]
    for name, (memory, descriptors, _) in after.items():
        lines.append(f"{name:<20}{before[name][0]:>12.0f}{memory:>8.0f}{before[name][1]:>14}{descriptors:>8}")
    deeds = ", ".join(f"{deed} {count}" for deed, count in sorted(done.items()))
    return "\n".join([*lines, f"done: {deeds}"])
