"""Nobody gets past their limits: many at once through two gateways, clients that lie, every way into the cluster."""

import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests

from tests.gateways import StandIn, alive, another_gateway, limits, metric, rows, set_limits
from tests.processes import service_process, suspended
from tests.support import bearer, wait_for

TOGETHER, PLACES, ROUNDS = 50, 5, 20


def post(url, token, at="alice", timeout=200, **body):
    body.setdefault("name", "python_yarn")
    return requests.post(f"{url}/user/{at}/api/kernels", headers=bearer(token), json=body, timeout=timeout)


def fifty_at_once(urls, token, **body):
    with ThreadPoolExecutor(TOGETHER) as pool:
        answers = pool.map(lambda n: post(urls[n % len(urls)], token, **body), range(TOGETHER))
        return list(answers)


def check_refusals(answers):
    """Exactly as many as there are places start; everybody else is told the numbers."""
    counted = Counter(answer.status_code for answer in answers)
    assert counted == {201: PLACES, 403: TOGETHER - PLACES}, [answer.text for answer in answers if not answer.ok][:1]
    for answer in answers:
        if answer.status_code == 403:
            said = answer.json()
            assert said["code"] == "too-many-kernels"
            assert (said["numbers"]["limit"], said["numbers"]["used"]) == (PLACES, PLACES)
            assert said["numbers"]["source"] == "user"


def delete_all(url, token, kernel_ids):
    def delete(kernel_id):
        return requests.delete(f"{url}/user/alice/api/kernels/{kernel_id}", headers=bearer(token), timeout=90)

    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(delete, kernel_ids):
            assert answer.status_code == 204


def test_fifty_at_once_through_two_gateways_start_five_real_kernels(platform, alice, tmp_path):
    """One round with the real Enterprise Gateway and YARN; the twenty rounds are in the next test."""
    token, _ = alice.token()
    with another_gateway(platform, tmp_path) as other, limits(platform, "alice", kernels=PLACES, memory_mb="unlimited"):
        began = time.monotonic()
        answers = fifty_at_once([platform.gateway, other.url], token)
        print(f"50 requests answered after {time.monotonic() - began:.1f} s")
        check_refusals(answers)
        started = {answer.json()["id"] for answer in answers if answer.ok}
        assert set(alive(platform, "alice")) == started == platform.kernels_of_enterprise_gateway()
        assert {one["applicationTags"] for one in platform.running_applications()} == started
        delete_all(other.url, token, started)
    wait_for(lambda: not alive(platform, "alice"), 60, what="the release of all places")
    wait_for(lambda: not platform.running_applications(), 60, what="the end of all applications")


def test_fifty_at_once_are_five_in_each_of_twenty_rounds(platform, alice, tmp_path, database_url):
    """Twenty rounds through two real gateway processes with the real Hub and edge service, on each database.

    Enterprise Gateway is a stand-in that starts nothing: a round with five real drivers took 35 s on two busy cores,
    so that twenty on two databases would take 25 minutes; with the stand-in they take 10 to 40 s on each.
    """
    token, _ = alice.token()
    stand_in = StandIn()
    set_limits(database_url, "alice", kernels=PLACES, memory_mb="unlimited", cores="unlimited")
    with stand_in.listening() as url:
        option = f"--HubGateway.enterprise_gateway_url={url}"
        with (
            another_gateway(platform, tmp_path, option, database_url=database_url) as one,
            another_gateway(platform, tmp_path, option, database_url=database_url) as two,
        ):
            for _ in range(ROUNDS):
                answers = fifty_at_once([one.url, two.url], token, name=StandIn.KERNELSPEC)
                check_refusals(answers)
                assert len(stand_in.kernels) == PLACES
                delete_all(one.url, token, list(stand_in.kernels))
            refused = sum(g.metric("hub_gateway_refusals_total", code="too-many-kernels") for g in (one, two))
    assert len(stand_in.started) == ROUNDS * PLACES
    assert refused == ROUNDS * (TOGETHER - PLACES)


LIES = {
    "env": {
        "KERNEL_USERNAME": "bob",
        "KERNEL_QUEUE": "default",
        "KERNEL_ID": "f9ed359d-07f3-45e0-a3f6-b7f676625dd8",
        "KERNEL_EXTRA_SPARK_OPTS": "--driver-memory 8g --num-executors 9 --queue default --proxy-user bob",
        "KERNEL_DRIVER_MEMORY": "8g",
        "KERNEL_LAUNCH_TIMEOUT": "99999",
        "SPARK_OPTS": "--driver-memory 8g",
        "PYSPARK_SUBMIT_ARGS": "--driver-memory 8g pyspark-shell",
        "JAVA_TOOL_OPTIONS": "-Xmx8g",
    },
    "size": {"driver_memory_mb": 1, "executors": 0},
    "memory_mb": 1,
    "remote_kernel": {"size": {"driver_memory_mb": 1}},
    "metadata": {"remote_kernel": {"size": {"driver_memory_mb": 1}}},
    "queue": "default",
    "owner": "bob",
}


def test_a_client_that_lies_about_everything_gets_what_the_definition_says(platform, alice):
    token, _ = alice.token()
    with limits(platform, "alice", memory_mb=1500, queues=["notebooks"]):
        answer = post(platform.gateway, token, **LIES)
        assert answer.status_code == 201, answer.text
        ours = answer.json()["remote_kernel"]
        assert (ours["owner"], ours["memory_mb"], ours["cores"], ours["queue"]) == ("alice", 1024, 1, "notebooks")
        (application,) = platform.running_applications(answer.json()["id"])
        assert (application["user"], application["allocatedMB"]) == ("alice", 1024)
        assert application["queue"].endswith("notebooks")
        again = post(platform.gateway, token, **LIES)
        assert (again.status_code, again.json()["code"]) == (403, "over-total-limit")
        assert again.json()["numbers"]["used"] == 1024
        assert again.json()["numbers"]["limit"] == 1500
        foreign = post(platform.gateway, token, at="bob")
        assert (foreign.status_code, foreign.json()["code"]) == (403, "not-yours")
        sessions = requests.post(
            f"{platform.gateway}/user/alice/api/sessions",
            headers=bearer(token),
            json={"path": "x", "type": "notebook", "kernel": {"name": "python_yarn"}},
            timeout=60,
        )
        assert (sessions.status_code, sessions.json()["code"]) == (403, "sessions-closed")
        assert len(platform.running_applications()) == 1
        delete_all(platform.gateway, token, [answer.json()["id"]])


def test_an_administrator_who_starts_for_alice_meets_alices_limits(platform, alice):
    admin, _ = platform.person("admin").token(
        "access:services!service=gateway", "custom:kernels:admin", "read:users:groups!user", "read:users:name!user"
    )
    # As the Hub's list of users says it: alice is in the group analytics, which may have 4.
    wait_for(lambda: people(platform).get("alice") == '["analytics"]', 30, what="alice in the list of people")
    with limits(platform, "admin", kernels=0), limits(platform, "alice", driver_memory_mb=100):
        answer = post(platform.gateway, admin)
        assert (answer.status_code, answer.json()["code"]) == (403, "over-kernel-limit")
    with limits(platform, "alice", memory_mb=1):
        answer = post(platform.gateway, admin)
        assert (answer.status_code, answer.json()["code"]) == (403, "over-total-limit")
    assert not alive(platform, "admin")


def people(platform):
    with closing(sqlite3.connect(platform.folder / "data" / "remote-kernels.sqlite", timeout=30)) as connection:
        return dict(connection.execute("select name, groups from people").fetchall())


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"driver_memory_mb": 500_000}, "container-too-large", 409),
        ({"queue": "nowhere"}, "unknown-queue", 409),
        ({"executors": 200}, "queue-too-small", 409),
    ],
)
def test_what_the_cluster_could_never_run_is_refused_before_anything_begins(platform, alice, changes, code, status):
    token, _ = alice.token()
    before, refused = set(rows(platform)), metric(platform.gateway, "hub_gateway_refusals_total", code=code)
    spec = platform.add_kernelspec("impossible", "Impossible", **changes)
    unlimited = dict.fromkeys(("memory_mb", "cores", "executors", "driver_memory_mb"), "unlimited")
    try:
        with limits(platform, "alice", **unlimited):
            answer = post(platform.gateway, token, name="impossible", timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.json()["remedy"]
    finally:
        spec.remove()
    assert set(rows(platform)) == before
    assert metric(platform.gateway, "hub_gateway_refusals_total", code=code) == refused + 1


def test_a_refusal_reaches_the_notebook_server_too(platform, alice):
    with limits(platform, "alice", kernels=0), pytest.raises(RuntimeError) as refused:
        alice.start_from_server("python_yarn")
    alice.stop_server()
    assert "kernels" in str(refused.value)
    assert not alive(platform, "alice")


def test_without_the_clusters_state_nothing_starts_and_everything_can_be_read(platform, alice):
    token, _ = alice.token()
    kernel = alice.start("python_yarn")
    before = set(rows(platform))

    def refused():
        answer = post(platform.gateway, token, timeout=60)
        if answer.status_code == 201:  # what was seen of the cluster is still new enough
            delete_all(platform.gateway, token, [answer.json()["id"]])
            before.add(answer.json()["id"])
            return None
        return [answer]

    with suspended(service_process(platform, "hadoop_edge")):
        (answer,) = wait_for(refused, 90, every=2, what="the refusal")
        assert (answer.status_code, answer.json()["code"]) == (503, "cluster-unreachable")
        assert "can be started" in answer.json()["text"]
        assert any("last seen" in line for line in answer.json()["details"])
        assert kernel.kernel_id in [one["id"] for one in alice.kernels()]
        assert requests.get(f"{platform.gateway}/user/alice/api/kernelspecs", headers=bearer(token), timeout=30).ok
        assert kernel.run("print(6 * 7)").strip() == "42"
        kernel.delete()
    assert set(rows(platform)) == before
    wait_for(lambda: post_and_delete(platform, token), 60, every=2, what="the edge's return")


def post_and_delete(platform, token):
    answer = post(platform.gateway, token)
    if answer.status_code != 201:
        return False
    delete_all(platform.gateway, token, [answer.json()["id"]])
    return True


def test_its_owner_sees_what_a_kernel_holds_and_what_became_of_it(platform, alice):
    kernel = alice.start("spark_python")
    with limits(platform, "alice", idle_timeout=7200, lifetime="unlimited"):
        (model,) = alice.kernels()
    ours = model["remote_kernel"]
    assert (ours["memory_mb"], ours["cores"], ours["queue"]) == (2048, 2, "notebooks")
    assert (ours["stop_at"], ours["stop_reason"], ours["idle_timeout"], ours["lifetime"]) == (None, "", 7200, None)
    kernel.wait_idle()
    (model,) = alice.kernels()
    assert model["remote_kernel"]["idle_since"] is not None
    kernel.delete()
    token, _ = alice.token()
    ended = requests.get(f"{platform.gateway}/user/alice/api/ended-kernels", headers=bearer(token), timeout=30).json()
    assert ended[0]["id"] == kernel.kernel_id
    assert ended[0]["reason"] == "stopped by its owner"
    assert ended[0]["started_at"] < ended[0]["ended_at"]
    assert [one["ended_at"] for one in ended] == sorted((one["ended_at"] for one in ended), reverse=True)
    foreign = requests.get(f"{platform.gateway}/user/bob/api/ended-kernels", headers=bearer(token), timeout=30)
    assert foreign.status_code == 403
