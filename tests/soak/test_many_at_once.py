"""A hundred starts by twenty people in the same moment, on two processors, while somebody works."""

import asyncio
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from hub_ext.database import Database
from hub_ext.limits.store import Edit, LimitStore, Subject
from tests.gateways import database_of, rows
from tests.support import bearer, end_kernels, wait_for

pytestmark = pytest.mark.alone

PEOPLE = [f"many{number:02d}" for number in range(20)]
EACH = 5
#: Kernels that the first half and the second half of them may have.
ALLOWED = (1, 2)
ADMITTED = sum(ALLOWED) * len(PEOPLE) // 2
#: No answer takes longer, also where the drivers that start share two processors with the gateway and everything else.
LONGEST_SECONDS = 30


@pytest.fixture(scope="module")
def people(platform):
    """Twenty people who exist on the Hub, each with a token."""
    admin = platform.person("admin")
    assert admin.hub("POST", "/users", json={"usernames": PEOPLE}).status_code == 201
    scopes = ["access:services!service=gateway", "read:users:groups!user", "read:users:name!user"]
    tokens = {}
    for name in PEOPLE:
        made = admin.hub("POST", f"/users/{name}/tokens", json={"scopes": scopes, "note": "test"})
        assert made.status_code == 201, made.text
        tokens[name] = made.json()["token"]
    yield tokens
    for name in PEOPLE:
        admin.hub("DELETE", f"/users/{name}")
    allow(platform, dict.fromkeys(PEOPLE))


class Probe(threading.Thread):
    """Asks again and again, and notes how long each answer took."""

    def __init__(self, ask, pause):
        super().__init__(daemon=True)
        self._ask, self._pause = ask, pause
        self._over = threading.Event()
        self.took, self.errors = [], []

    def run(self):
        while not self._over.wait(self._pause):
            began = time.monotonic()
            try:
                self._ask()
            except Exception as error:
                self.errors.append(error)
            self.took.append(time.monotonic() - began)

    def finish(self):
        self._over.set()
        if self.is_alive():
            self.join(60)
        return self.took


def percentile(values, percent):
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def allow(platform, kernels):
    """Say how many kernels each of these people may have."""

    async def apply():
        database = Database(database_of(platform))
        try:
            edits = [Edit(Subject("user", name), {"kernels": number}) for name, number in kernels.items()]
            await LimitStore(database).apply(edits, who="test")
        finally:
            await database.close()

    asyncio.run(apply())


def ask_for_one(platform, token, name, together):
    together.wait()
    began = time.monotonic()
    answer = requests.post(
        f"{platform.gateway}/user/{name}/api/kernels",
        headers={"Authorization": f"token {token}"},
        json={"name": "python_yarn"},
        timeout=60,
    )
    return name, answer, time.monotonic() - began


def test_each_of_a_hundred_starts_is_started_or_waits_with_its_place_or_is_refused(platform, alice, people):
    end_kernels(alice)
    everyone, _ = platform.person("admin").token(
        "access:services!service=gateway", "custom:kernels:admin", "read:users:groups!user", "read:users:name!user"
    )
    working = alice.start("python_yarn")
    working.run("1")

    def listed():
        answer = requests.get(f"{platform.gateway}/admin/api/kernels", headers=bearer(everyone), timeout=30)
        answer.raise_for_status()
        return {model["id"]: model for model in answer.json()}

    allowed = {name: ALLOWED[number % 2] for number, name in enumerate(PEOPLE)}
    allow(platform, allowed)
    probes = [Probe(working.wait_idle, 0.05), Probe(listed, 0.5)]
    started, seen = {}, {}
    try:
        for probe in probes:
            probe.start()
        answers = all_together(platform, people)
        started.update({answer.json()["id"]: name for name, answer, _ in answers if answer.status_code == 201})
        refused = [answer.json() for _, answer, _ in answers if answer.status_code != 201]
        assert Counter(started.values()) == allowed
        assert {one["code"] for one in refused} == {"too-many-kernels"}
        assert len(started) + len(refused) == len(PEOPLE) * EACH
        seen.update({kernel_id: set() for kernel_id in started})
        wait_for(lambda: all_are_somewhere(listed(), seen), 180, every=0.5, what="every start in YARN")
    finally:
        took, lists = (probe.finish() for probe in probes)
        stop_all(platform, started, everyone)
    running = sum("running" in where for where in seen.values())
    waited = [where for where in seen.values() if any(one.startswith("place ") for one in where)]
    slowest = max(seconds for _, _, seconds in answers)
    print(
        f"{len(started)} admitted, {len(refused)} refused, {running} running, {len(waited)} had a place in line; "
        f"slowest answer {slowest:.2f} s; small message p50 {1000 * statistics.median(took):.1f} ms, "
        f"p99 {1000 * percentile(took, 99):.1f} ms ({len(took)}); lists p99 {1000 * percentile(lists, 99):.1f} ms"
    )
    assert len(waited) > ADMITTED // 2
    wait_for(lambda: {one["state"] for one in ours(platform, started)} == {"ended"}, 90, what="the end of all")
    wait_for(
        lambda: {app["applicationTags"] for app in platform.running_applications()} == {working.kernel_id},
        60,
        what="the end of every application",
    )
    assert working.run("print(6 * 7)").strip() == "42"
    working.delete()
    assert [probe.errors for probe in probes] == [[], []]
    assert max(*took, *lists) < LONGEST_SECONDS


def all_together(platform, people):
    """Ask for a hundred kernels in the same moment."""
    together = threading.Barrier(len(PEOPLE) * EACH)
    with ThreadPoolExecutor(len(PEOPLE) * EACH) as pool:
        asked = [
            pool.submit(ask_for_one, platform, people[name], name, together) for name in PEOPLE for _ in range(EACH)
        ]
        return [one.result() for one in asked]


def all_are_somewhere(models, seen):
    """Say whether each start has come to YARN; on the way none is missing, and each that waits has its place."""
    for kernel_id, where in seen.items():
        start = models[kernel_id]["remote_kernel"]["start"]
        where.add(start["phase"] if start else "running")
        if start is not None and start["phase"] in ("requested", "accepted"):
            assert start["ahead"] is not None
            where.add(f"place {start['ahead']}")
    return all(where & {"running", "accepted", "driver"} for where in seen.values())


def stop_all(platform, started, token):
    """Stop every kernel, as an administrator."""

    def stop(pair):
        kernel_id, name = pair
        url = f"{platform.gateway}/user/{name}/api/kernels/{kernel_id}"
        return requests.delete(url, headers=bearer(token), timeout=90).status_code

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(stop, started.items())) <= {204, 404}


def ours(platform, kernel_ids):
    return [row for kernel_id, row in rows(platform).items() if kernel_id in kernel_ids]
