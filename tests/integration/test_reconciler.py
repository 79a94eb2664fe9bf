"""Each row of the reconciler's table, made to happen on the real parts; a second gateway mends beside the first."""

import asyncio
import signal
import sqlite3
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests

from hub_ext.database import Database
from hub_ext.limits.admission import Admission, Starter
from hub_ext.limits.ask import Ask
from hub_ext.limits.store import LimitStore
from hub_ext.sizes import KernelSize, Rules, footprint
from tests.gateways import (
    StandIn,
    alive,
    another_gateway,
    at_enterprise_gateway,
    database_of,
    limits,
    metric,
    rows,
    set_limits,
    start_directly,
    write,
)
from tests.processes import service_process
from tests.support import bearer, end_kernels, wait_for, wait_for_lasting

#: As tests/conftest.py sets them.
INTERVAL, GRACE = 4.0, 6.0


@pytest.fixture(autouse=True)
def _nothing_runs_before(platform, alice):
    end_kernels(alice)


@pytest.fixture(scope="module")
def second(platform, tmp_path_factory):
    """A gateway that only reconciles, beside the platform's own."""
    with another_gateway(platform, tmp_path_factory.mktemp("second")) as gateway:
        yield gateway


@pytest.fixture
def repaired(platform, second):
    """Counts repairs of both gateways since the test began."""

    def count(case):
        return sum(metric(url, "hub_gateway_repairs_total", case=case) for url in (platform.gateway, second.url))

    before = {}

    def since(case):
        return count(case) - before.setdefault(case, 0.0)

    def begin(*cases):
        before.update({case: count(case) for case in cases})
        return since

    return begin


def ended(platform, kernel_id, seconds=30):
    """Wait until the books say that a kernel has ended, and return why."""
    wait_for(lambda: rows(platform, "id = ?", kernel_id)[kernel_id]["state"] == "ended", seconds, every=0.1)
    return rows(platform, "id = ?", kernel_id)[kernel_id]["end_reason"]


def nothing_left(platform, kernel_id):
    wait_for_lasting(
        lambda: (
            kernel_id not in platform.kernels_of_enterprise_gateway() and not platform.running_applications(kernel_id)
        ),
        lasting=3,
        what="that nothing is left of the kernel",
    )


def forget_in_enterprise_gateway(platform, *kernel_ids):
    """Kill Enterprise Gateway and what it remembers of these kernels; wait until it is back."""
    service_process(platform, "jeg_plugin").kill()
    for kernel_id in kernel_ids:
        (session,) = list(platform.folder.rglob(f"kernel_sessions/{kernel_id}*.json"))
        session.unlink()

    def back():
        try:
            return set(kernel_ids).isdisjoint(platform.kernels_of_enterprise_gateway())
        except requests.RequestException:
            return False

    wait_for(back, 60, what="Enterprise Gateway's return")


async def reserve_and_die(platform, kernel_id):
    """Do what a gateway does before it starts a kernel, and no more."""
    database = Database(database_of(platform))
    size = KernelSize(driver_memory_mb=640)
    asked = Ask("alice", "python_yarn", "x", size, footprint(size, Rules(256)), "notebooks")
    admission = Admission(database, LimitStore(database), lease=INTERVAL / 3)
    await admission.reserve(asked, Starter(kernel_id, "alice", None, frozenset({"analytics"})))
    await database.close()


def test_a_place_whose_gateway_died_before_the_start_is_free_within_the_interval(platform, second, repaired):
    since = repaired("abandoned-start")
    kernel_id = str(uuid.uuid4())
    began = time.monotonic()
    asyncio.run(reserve_and_die(platform, kernel_id))
    assert "broken off" in ended(platform, kernel_id)
    took = time.monotonic() - began
    print(f"a leaked place was free after {took:.1f} s")
    assert took < INTERVAL + 1.5
    assert since("abandoned-start") >= 1


def test_a_start_whose_gateway_is_killed_is_undone_in_yarn_too(platform, alice, tmp_path, repaired):
    since = repaired("abandoned-start", "abandoned-start-in-yarn", "half-started", "ended-but-there")
    token, _ = alice.token()
    before = set(rows(platform))
    with another_gateway(platform, tmp_path) as doomed, ThreadPoolExecutor(1) as pool:
        url = f"{doomed.url}/user/alice/api/kernels"
        pool.submit(requests.post, url, headers=bearer(token), json={"name": "python_yarn"}, timeout=60)
        kernel_id = wait_for(lambda: next(iter(set(rows(platform)) - before), None), 20, every=0.005)
        wait_for(lambda: platform.applications(kernel_id), 30, every=0.02, what="the application")
        doomed.process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        wait_for(
            lambda: rows(platform, "id = ?", kernel_id)[kernel_id]["state"] != "starting", 30, every=0.05, what="repair"
        )
        assert time.monotonic() - killed < INTERVAL + 1.5
    row = rows(platform, "id = ?", kernel_id)[kernel_id]
    if row["state"] == "running":  # Enterprise Gateway was faster: then it runs, and counts
        assert since("half-started") >= 1
        assert alice.client().request("DELETE", f"kernels/{kernel_id}").status_code == 204
    else:
        assert "broken off" in row["end_reason"]
        ended(platform, kernel_id)
        assert since("abandoned-start") + since("abandoned-start-in-yarn") >= 1
    nothing_left(platform, kernel_id)


def test_a_start_that_nobody_confirmed_is_confirmed(platform, alice, repaired):
    since = repaired("half-started")
    kernel = alice.start("python_yarn")
    write(
        platform,
        "update kernels set state = 'starting', leased_until = '2020-01-01 00:00:00.000000' where id = ?",
        kernel.kernel_id,
    )
    wait_for(lambda: rows(platform, "id = ?", kernel.kernel_id)[kernel.kernel_id]["state"] == "running", 15)
    assert since("half-started") >= 1
    assert kernel.run("print(1)").strip() == "1"
    kernel.delete()


def test_a_restart_whose_gateway_is_killed_keeps_its_place_and_runs_on(platform, alice, tmp_path, repaired):
    since = repaired("half-restarted")
    kernel = alice.start("python_yarn")
    kernel.close()
    with another_gateway(platform, tmp_path) as doomed, ThreadPoolExecutor(1) as pool:
        url = f"{doomed.url}/user/alice/api/kernels/{kernel.kernel_id}/restart"
        pool.submit(requests.post, url, headers=kernel.headers, timeout=60)
        state = wait_for(
            lambda: [one for one in alive(platform, "alice").values() if one["state"] == "restarting"], 20, every=0.005
        )
        assert (state[0]["memory_mb"], state[0]["leased_until"] is not None) == (1024, True)
        doomed.process.send_signal(signal.SIGKILL)
    wait_for(lambda: alive(platform, "alice")[kernel.kernel_id]["state"] == "running", 30, what="the repair")
    assert since("half-restarted") >= 1
    wait_for(lambda: platform.running_applications(kernel.kernel_id), 60)
    kernel.wait_idle()
    kernel.delete()


def test_a_kernel_that_was_deleted_behind_our_back_frees_its_place(platform, alice, repaired):
    since = repaired("vanished")
    kernel = alice.start("python_yarn")
    kernel.close()
    assert at_enterprise_gateway(platform, "DELETE", f"/{kernel.kernel_id}").status_code == 204
    assert "it ended in the cluster" in ended(platform, kernel.kernel_id)
    assert since("vanished") >= 1
    nothing_left(platform, kernel.kernel_id)


def test_a_kernel_whose_application_is_killed_says_what_yarn_says(platform, alice):
    kernel = alice.start("python_yarn")
    kernel.close()
    (application,) = platform.running_applications(kernel.kernel_id)
    platform.kill_application(application["id"])
    reason = ended(platform, kernel.kernel_id)
    assert reason.startswith("it ended in the cluster: ")
    assert "killed" in reason.lower()
    nothing_left(platform, kernel.kernel_id)


def test_what_enterprise_gateway_forgot_is_ended_in_yarn_and_frees_its_place(platform, alice, repaired):
    """Kernels that ran, that were started or restarted by a gateway that is gone, and that were to end.

    And one that had been released is ended too, and one without any reservation is left alone.
    """
    cases = ("vanished", "late-application", "abandoned-start-in-yarn", "abandoned-restart-in-yarn")
    since = repaired(*cases, "abandoned-restart", "unfinished-end")
    nowhere, to_end = str(uuid.uuid4()), str(uuid.uuid4())
    with limits(platform, "alice", kernels="unlimited", memory_mb="unlimited", cores="unlimited"):
        kernels = [alice.start("python_yarn") for _ in range(6)]
        for kernel in kernels:
            kernel.close()
        # Suspended, it can't be asked, and nothing is decided.
        service_process(platform, "jeg_plugin").suspend()
        for kernel_id in (nowhere, to_end):
            asyncio.run(reserve_and_die(platform, kernel_id))
    forgotten, late, unknown, starting, restarting, ending = (kernel.kernel_id for kernel in kernels)
    # Nobody but YARN knows of them in the end.
    write(platform, "update kernels set state = 'ended', ended_at = started_at where id = ?", late)
    write(platform, "delete from kernels where id = ?", unknown)
    for kernel_id, state in (
        (starting, "starting"),
        (restarting, "restarting"),
        (nowhere, "restarting"),
        (to_end, "ending"),
        (ending, "ending"),
    ):
        write(
            platform,
            "update kernels set state = ?, leased_until = '2020-01-01 00:00:00.000000' where id = ?",
            state,
            kernel_id,
        )
    forget_in_enterprise_gateway(platform, forgotten, late, unknown, starting, restarting, ending)
    wait_for(lambda: not platform.running_applications(late), 40, what="the end of the late one")
    assert "it ended in the cluster" in ended(platform, forgotten, 40)
    assert "its start was broken off" in ended(platform, starting)
    assert "its restart was broken off" in ended(platform, restarting)
    assert "its restart was broken off" in ended(platform, nowhere)
    ended(platform, to_end)
    ended(platform, ending)
    for kernel_id in (forgotten, starting, restarting, ending):
        wait_for(lambda kernel_id=kernel_id: not platform.running_applications(kernel_id), 20)
    assert since("late-application") >= 1
    for case in ("vanished", "abandoned-start-in-yarn", "abandoned-restart-in-yarn", "abandoned-restart"):
        assert since(case) == 1, case
    assert since("unfinished-end") >= 2
    wait_for(lambda: metric(platform.gateway, "hub_gateway_unknown_applications") == 1, 30)
    (application,) = platform.running_applications(unknown)
    assert unknown not in rows(platform)
    platform.kill_application(application["id"])
    wait_for(lambda: metric(platform.gateway, "hub_gateway_unknown_applications") == 0, 30)


def test_an_end_that_was_broken_off_is_finished_where_the_kernel_still_runs(platform, alice, repaired):
    since = repaired("unfinished-end")
    kernel = alice.start("python_yarn")
    kernel.close()
    write(
        platform,
        "update kernels set state = 'ending', end_reason = 'stopped by its owner', "
        "leased_until = '2020-01-01 00:00:00.000000' where id = ?",
        kernel.kernel_id,
    )
    assert ended(platform, kernel.kernel_id) == "stopped by its owner"
    assert since("unfinished-end") >= 1
    nothing_left(platform, kernel.kernel_id)


def test_a_kernel_that_asks_yarn_for_more_than_its_definition_counts_with_it(platform, alice, repaired):
    since = repaired("grown")
    kernel = alice.start("spark_python")
    counted = alive(platform, "alice")[kernel.kernel_id]
    # Without dynamic allocation Spark counts from none: two are one more than there is.
    kernel.run("sc._jsc.sc().requestExecutors(2)")
    held = wait_for(
        lambda: [one for one in platform.running_applications(kernel.kernel_id) if one["allocatedVCores"] > 2], 30
    )
    assert held[0]["allocatedMB"] > counted["memory_mb"]
    wait_for(lambda: since("grown") >= 1, GRACE + 30, what="the repair")
    row = alive(platform, "alice")[kernel.kernel_id]
    assert (row["memory_mb"], row["cores"]) == (held[0]["allocatedMB"], held[0]["allocatedVCores"])
    assert row["state"] == "running"
    with limits(platform, "alice", memory_mb=row["memory_mb"]), pytest.raises(Exception, match="memory"):
        alice.start("python_yarn")
    kernel.delete()


def test_a_kernel_whose_place_was_given_back_does_not_live_on(platform, alice, repaired):
    since = repaired("ended-but-there")
    kernel = alice.start("python_yarn")
    kernel.close()
    write(platform, "update kernels set state = 'ended', ended_at = started_at where id = ?", kernel.kernel_id)
    nothing_left(platform, kernel.kernel_id)
    assert since("ended-but-there") >= 1


def test_a_kernel_started_past_the_gateway_counts_for_its_owner(platform, alice, repaired):
    since = repaired("unreserved")
    wait_for(lambda: "alice" in known_people(platform), 30, what="alice in the list of people")
    kernel_id = start_directly(platform, "alice")
    row = wait_for(lambda: alive(platform, "alice").get(kernel_id), 30, what="the adoption")
    assert (row["owner"], row["cluster_user"], row["state"]) == ("alice", "alice", "running")
    assert (row["memory_mb"], row["cores"], row["kernelspec"]) == (1024, 1, "python_yarn")
    assert since("unreserved") >= 1
    assert kernel_id in [one["id"] for one in alice.kernels()]
    assert alice.client().request("DELETE", f"kernels/{kernel_id}").status_code == 204
    nothing_left(platform, kernel_id)


def known_people(platform):
    with closing(sqlite3.connect(platform.folder / "data" / "remote-kernels.sqlite", timeout=30)) as connection:
        return {name for (name,) in connection.execute("select name from people")}


def test_a_kernel_of_nobody_is_left_alone_counted_and_logged_once(platform, second):
    kernel_id = start_directly(platform, "stranger")
    wait_for(lambda: metric(platform.gateway, "hub_gateway_unowned_kernels") == 1, 30)
    time.sleep(2 * INTERVAL)
    assert kernel_id not in rows(platform)
    assert platform.running_applications(kernel_id)
    assert second.log.read_text().count(f"kernel={kernel_id}, which nobody reserved") == 1
    assert at_enterprise_gateway(platform, "DELETE", f"/{kernel_id}").status_code == 204
    wait_for(lambda: metric(platform.gateway, "hub_gateway_unowned_kernels") == 0, 30)


def test_a_kernel_that_yarn_lost_and_enterprise_gateway_still_has_is_deleted(platform, alice, tmp_path, sqlite_url):
    """The real Enterprise Gateway notices by itself within seconds; a stand-in does not."""
    token, _ = alice.token()
    stand_in = StandIn(process_proxy="jeg_plugin.process_proxy.YarnKernelProxy")
    set_limits(sqlite_url, "alice", kernels=1)
    with stand_in.listening() as url:
        options = (f"--HubGateway.enterprise_gateway_url={url}",)
        with another_gateway(platform, tmp_path, *options, database_url=sqlite_url) as gateway:
            address = f"{gateway.url}/user/alice/api/kernels"
            body = {"name": StandIn.KERNELSPEC}
            began = time.monotonic()
            kernel_id = requests.post(address, headers=bearer(token), json=body, timeout=30).json()["id"]
            assert requests.post(address, headers=bearer(token), json=body, timeout=30).status_code == 403
            wait_for(lambda: kernel_id not in stand_in.kernels, 60, what="its deletion")
            assert time.monotonic() - began >= GRACE
            wait_for(lambda: gateway.metric("hub_gateway_repairs_total", case="dead-in-yarn") == 1, 30)
            assert requests.post(address, headers=bearer(token), json=body, timeout=30).status_code == 201


def test_when_enterprise_gateway_can_not_be_asked_nothing_is_given_back(platform, alice):
    kernel = alice.start("python_yarn")
    kernel.close()
    process = service_process(platform, "jeg_plugin")
    process.suspend()
    try:
        time.sleep(GRACE + 2 * INTERVAL)
        assert alive(platform, "alice")[kernel.kernel_id]["state"] == "running"
        assert platform.running_applications(kernel.kernel_id)
    finally:
        process.resume()
    kernel.delete()


def test_reservations_are_counted_by_state(platform, alice):
    kernel = alice.start("python_yarn")
    wait_for(lambda: metric(platform.gateway, "hub_gateway_reservations", state="running") == 1, 20)
    kernel.delete()
    wait_for(lambda: metric(platform.gateway, "hub_gateway_reservations", state="running") == 0, 20)
