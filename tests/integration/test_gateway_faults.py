"""What is said, what is left and what comes back when a part of the platform, or a client, is away."""

import http.client
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urlparse

import psutil
import pytest
import requests

from tests.gateways import limits
from tests.processes import driver_processes, of_kernel, service_process, suspended
from tests.support import bearer, wait_for, wait_for_lasting

ENDED = {"KILLED", "FINISHED", "FAILED"}


def post_start(platform, token, kernelspec="python_yarn", timeout=180):
    return requests.post(
        f"{platform.gateway}/user/alice/api/kernels", headers=bearer(token), json={"name": kernelspec}, timeout=timeout
    )


@pytest.mark.parametrize("moment", ["at once", "when YARN has it"])
def test_a_client_that_goes_away_during_the_start_leaves_nothing(platform, alice, moment):
    known, before = platform.kernels_of_enterprise_gateway(), set(platform.registered())
    address = urlparse(platform.gateway)
    with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=30)) as connection:
        body = json.dumps({"name": "python_yarn"})
        connection.request("POST", "/services/gateway/user/alice/api/kernels", body, bearer(alice.token()[0]))
        kernel_id = wait_for(lambda: next(iter(set(platform.registered()) - before), None), 20, every=0.02)
        if moment == "when YARN has it":
            wait_for(lambda: platform.applications(kernel_id), 60, every=0.05, what="the application")
    began = time.monotonic()
    # It keeps its place until Enterprise Gateway, which goes on with the launch, has answered.
    wait_for(lambda: platform.registered()[kernel_id][0] in ("ending", "ended"), 10, every=0.05, what="the mark")
    wait_for(lambda: platform.registered()[kernel_id][0] == "ended", 60, what="the end in the gateway's books")

    def nothing_is_left():
        left = platform.kernels_of_enterprise_gateway() - known
        return not left and not of_kernel(platform, kernel_id) and not platform.running_applications(kernel_id)

    wait_for_lasting(nothing_is_left, what="the end of the start that nobody waits for")
    states = [application["state"] for application in platform.applications(kernel_id)]
    print(f"gone {moment}: {states or 'never reached YARN'}, quiet after {time.monotonic() - began - 5:.1f} s")
    assert kernel_id in (platform.folder / "logs" / "enterprise_gateway.log").read_text()
    assert set(states) <= ENDED
    assert len(states) == 1 or (moment == "at once" and not states)
    assert kernel_id not in [one["id"] for one in alice.kernels()]


def test_a_kernel_that_is_stopped_while_it_is_launched_counts_until_that_is_over(platform, alice):
    token, _ = alice.token()
    before = set(platform.registered())
    with limits(platform, "alice", kernels=1), ThreadPoolExecutor(1) as pool:
        start = pool.submit(post_start, platform, token)
        kernel_id = wait_for(lambda: next(iter(set(platform.registered()) - before), None), 20, every=0.02)
        (model,) = alice.kernels()
        assert (model["id"], model["execution_state"]) == (kernel_id, "starting")
        began = time.monotonic()
        stop = requests.delete(
            f"{platform.gateway}/user/alice/api/kernels/{kernel_id}", headers=bearer(token), timeout=30
        )
        assert (stop.status_code, time.monotonic() - began < 5) == (204, True)
        if platform.registered()[kernel_id][0] == "ending":
            second = post_start(platform, token)
            assert second.status_code == 403 or platform.registered()[kernel_id][0] == "ended"
        assert start.result().status_code >= 400
        assert platform.registered()[kernel_id][0] == "ended"
        assert kernel_id not in platform.kernels_of_enterprise_gateway()
        assert not platform.running_applications(kernel_id)
        for kernel in alice.kernels():
            requests.delete(
                f"{platform.gateway}/user/alice/api/kernels/{kernel['id']}", headers=bearer(token), timeout=60
            )


def test_enterprise_gateway_down_is_said_and_comes_back(platform, alice):
    token, _ = alice.token()
    process = service_process(platform, "jeg_plugin")
    process.kill()
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 20, every=0.05)
    answer = post_start(platform, token)
    assert (answer.status_code, answer.json()["code"]) == (503, "enterprise-gateway-unreachable")
    assert "does not answer" in answer.json()["text"]
    wait_for(
        lambda: requests.get(f"{platform.gateway}/user/alice/api/kernelspecs", headers=bearer(token), timeout=30).ok,
        60,
        what="Enterprise Gateway's return",
    )


def test_a_kernel_survives_enterprise_gateways_death(platform, alice):
    kernel = alice.start("python_yarn")
    kernel.execute("kept = 42")
    kernel.close()
    service_process(platform, "jeg_plugin").kill()
    wait_for(lambda: kernel.kernel_id in [one["id"] for one in listed(alice)], 60, what="the kernel's return")
    outputs, error = kernel.execute("print(kept)", timeout=60)
    assert error is None
    assert "42" in str(outputs)
    kernel.delete()
    wait_for(lambda: not platform.running_applications(kernel.kernel_id), 30, what="the application's end")


def listed(person):
    try:
        return person.kernels()
    except requests.RequestException:
        return []


def test_yarn_down_is_said_and_nothing_is_left_running(platform, alice):
    token, _ = alice.token()
    before, drivers = set(platform.registered()), driver_processes(platform)
    manager = service_process(platform, "resourcemanager.ResourceManager")
    try:
        manager.kill()
        answer = post_start(platform, token)
    finally:
        wait_for(lambda: rm_nodes(platform) == 2, 120, what="the ResourceManager's return")
    assert (answer.status_code, answer.json()["code"]) == (503, "resource-manager-unreachable")
    assert "ResourceManager does not answer" in answer.json()["text"]
    assert "Traceback" not in answer.text
    (kernel_id,) = set(platform.registered()) - before
    wait_for_lasting(
        lambda: (
            not of_kernel(platform, kernel_id)
            and not driver_processes(platform) - drivers
            and not platform.running_applications()
        ),
        what="the end of the start that found no YARN",
    )
    # Whether YARN had it could only be asked when it was back.
    wait_for(lambda: platform.registered()[kernel_id][0] == "ended", 30, what="the end in the gateway's books")
    kernel = alice.start("python_yarn")
    assert platform.running_applications(kernel.kernel_id)
    kernel.delete()


def rm_nodes(platform):
    try:
        return platform.rm("/metrics")["clusterMetrics"]["activeNodes"]
    except requests.RequestException:
        return 0


def test_without_the_edge_kernels_run_and_stop_and_the_pages_say_it(platform, alice):
    """None starts: see test_admission.py."""
    kernel = alice.start("python_yarn")
    says = "The edge service of the Hadoop cluster does not answer."
    with suspended(service_process(platform, "hadoop_edge")):
        health = requests.get(f"{platform.gateway}/health", timeout=30)
        failed = [check["name"] for check in health.json()["checks"] if not check["ok"]]
        assert (health.status_code, failed) == (200, ["edge"])
        for page in ("", "nodes", "my-kernels"):
            answer = alice.session.get(f"{platform.url}/services/portal/{page}", timeout=60)
            assert answer.status_code == 200
            assert says in answer.text, page
        assert kernel.run("print(6 * 7)").strip() == "42"
        # Enterprise Gateway ends the kernel; the edge, which would make sure of it, is waited for and not missed.
        assert kernel.delete() < 30
        assert not platform.running_applications(kernel.kernel_id)
        wait_for(lambda: not of_kernel(platform, kernel.kernel_id), 15, what="the end of the driver's process")
    wait_for(
        lambda: says not in alice.session.get(f"{platform.url}/services/portal/", timeout=60).text,
        30,
        what="the edge's return",
    )


def test_a_database_that_does_not_answer_is_said_and_nothing_starts(platform, alice):
    """Somebody holds the write lock for longer than the gateway waits; reading goes on."""
    token, _ = alice.token()
    running = alice.start("python_yarn")
    before = set(platform.registered())
    path = platform.folder / "data" / "remote-kernels.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute("begin immediate")
        began = time.monotonic()
        assert [one["id"] for one in alice.kernels()] == [running.kernel_id]
        for path in ("kernelspecs", "ended-kernels"):
            url = f"{platform.gateway}/user/alice/api/{path}"
            assert requests.get(url, headers=bearer(token), timeout=30).status_code == 200
        assert time.monotonic() - began < 5
        answer = post_start(platform, token)
        connection.execute("rollback")
    running.delete()
    assert (answer.status_code, answer.json()["code"]) == (503, "database-unreachable")
    assert answer.json()["text"] == "The database of the remote kernels does not answer."
    assert "sqlite" not in answer.text.lower()
    assert set(platform.registered()) == before
    assert not platform.running_applications()
    kernel = alice.start("python_yarn")
    kernel.delete()


@contextmanager
def stopped_queue(platform, queue):
    """Stop a queue of the running ResourceManager, and open it again."""

    def put(state):
        change = {"update-queue": [{"queue-name": queue, "params": {"entry": [{"key": "state", "value": state}]}}]}
        answer = requests.put(
            f"http://127.0.0.1:{platform.ports.rm_web}/ws/v1/cluster/scheduler-conf",
            params={"user.name": "root"},
            json=change,
            timeout=30,
        )
        assert answer.ok, answer.text

    put("STOPPED")
    try:
        yield
    finally:
        put("RUNNING")


def test_a_stopped_queue_is_said_until_it_opens_again(platform, alice):
    token, _ = alice.token()
    spec = platform.add_kernelspec("stopped_queue", "Stopped queue", queue="default", executors=0)
    try:
        with stopped_queue(platform, "root.default"):
            answer = post_start(platform, token, "stopped_queue")
        assert (answer.status_code, answer.json()["code"]) == (409, "queue-stopped")
        assert "default is stopped and takes no applications." in answer.json()["text"]
        assert "Hadoop administrator" in answer.json()["remedy"]
        assert not platform.running_applications()
        kernel = alice.start("stopped_queue")
        (application,) = platform.running_applications(kernel.kernel_id)
        assert application["queue"].endswith("default")
        kernel.delete()
    finally:
        spec.remove()
