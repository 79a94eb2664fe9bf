"""The edge service as a process, against a real ResourceManager with two NodeManagers."""

import os
import signal
import subprocess
import sys
import uuid

import pytest
import requests

from hub_ext.embedded import hadoop
from hub_ext.embedded.layout import LOOPBACK

from .yarn_stack import ROOT, Stack, wait_for

TOKEN = "the-token-of-the-edge"
METRICS_TOKEN = "the-token-of-who-collects-metrics"
POLL_SECONDS = 0.5


class Edge:
    """``python -m hadoop_edge``, and what a caller sees of it."""

    def __init__(self, stack):
        self.url = f"http://{LOOPBACK}:{stack.ports.edge}"
        argv = [
            sys.executable,
            "-m",
            "hadoop_edge",
            f"--HadoopEdge.port={stack.ports.edge}",
            f"--HadoopEdge.user={hadoop.service_user()}",
            f"--HadoopEdge.poll_interval={POLL_SECONDS}",
            "--HadoopEdge.nodes_interval=1",
            "--HadoopEdge.request_timeout=3",
            f'--HadoopEdge.resource_manager_urls=["http://{LOOPBACK}:{stack.ports.rm_web}"]',
        ]
        self.log = stack.layout.logs / "edge.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env={**os.environ, "HUB_EXT_EDGE_TOKEN": TOKEN, "HUB_EXT_METRICS_TOKEN": METRICS_TOKEN},
                stdout=log,
                stderr=log,
            )
        wait_for(self.answers, 30, "the edge service")

    def answers(self):
        try:
            return requests.get(f"{self.url}/health", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def call(self, method, path, token=TOKEN, **more):
        headers = {"Authorization": f"Bearer {token}"}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=20, **more)

    def get(self, path):
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edge")
    folder.chmod(0o755)
    made = Stack(folder / "p")
    try:
        made.start_yarn()
        yield made
    finally:
        # Nodes before the ResourceManager: a node that finds none takes half a minute to end.
        for name in ("nodemanager1", "nodemanager2"):
            made.stop(name)
        made.stop_all()


@pytest.fixture(scope="module")
def edge(stack):
    made = Edge(stack)
    yield made
    made.stop()


def submit(stack, user, memory_mb=700):
    """Submit an application that only waits, as a kernel would be: owned by a person, tagged with an id."""
    kernel_id = str(uuid.uuid4())
    url = f"http://{LOOPBACK}:{stack.ports.rm_web}/ws/v1/cluster/apps"
    who = {"user.name": user}
    application_id = requests.post(f"{url}/new-application", params=who, timeout=10).json()["application-id"]
    answer = requests.post(
        url,
        params=who,
        timeout=10,
        json={
            "application-id": application_id,
            "application-name": f"test {kernel_id}",
            "queue": "notebooks",
            "am-container-spec": {"commands": {"command": "sleep 600"}},
            "max-app-attempts": 1,
            "resource": {"memory": memory_mb, "vCores": 1},
            "application-type": "SPARK",
            "application-tags": {"tag": [kernel_id]},
        },
    )
    assert answer.status_code == 202, answer.text
    wait_for(lambda: stack.rm(f"apps/{application_id}")["app"]["allocatedMB"] > 0, 60, "the application's container")
    return kernel_id, application_id


def end(edge, kernel_id, reason="the test is over"):
    answer = edge.call("DELETE", f"/api/kernels/{kernel_id}/applications", json={"reason": reason})
    assert answer.status_code == 200, answer.text
    return answer.json()["applications"]


def in_snapshot(edge, user):
    """Return a person's applications that hold something, as the snapshot has them."""
    return [one for one in edge.get(f"/api/applications?user={user}")["applications"] if one["memory_mb"]]


@pytest.fixture(autouse=True)
def nothing_left(stack, edge):
    """End what a test leaves, so that the next one starts on an empty cluster."""
    yield
    for application in stack.applications():
        for tag in application["applicationTags"].split(","):
            end(edge, tag)
    wait_for(lambda: not stack.living(), 30, "an empty cluster")


def test_numbers_are_the_resource_managers_own(stack, edge):
    _, application_id = submit(stack, "alice")
    wait_for(lambda: in_snapshot(edge, "alice"), 20, "the application in the snapshot")
    state, metrics = edge.get("/api/cluster"), stack.metrics()
    assert state["stale"] is False
    assert state["memory_used_mb"] == metrics["allocatedMB"] > 0
    assert state["memory_total_mb"] == metrics["totalMB"]
    assert state["vcores_used"] == metrics["allocatedVirtualCores"]
    assert state["vcores_total"] == metrics["totalVirtualCores"]
    assert (state["nodes_active"], state["nodes_total"]) == (2, 2)
    assert state["applications_running"] == metrics["appsRunning"]
    own = {one["id"]: one for one in stack.rm("nodes")["nodes"]["node"]}
    wait_for(
        lambda: (
            {n["id"]: n["memory_used_mb"] for n in edge.get("/api/cluster")["nodes"]}
            == {n["id"]: n["usedMemoryMB"] for n in own.values()}
        ),
        20,
        "the nodes' own numbers",
    )
    assert {"default", "notebooks"} <= {queue["name"] for queue in state["queues"]}
    assert {queue["maximum_memory_mb"] for queue in state["queues"]} == {metrics["totalMB"]}
    assert (state["resource_calculator"], state["minimum_allocation_vcores"]) == ("dominant", 1)
    assert (state["increment_allocation_mb"], state["queues_fixed"]) == (0, True)
    (application,) = edge.get("/api/applications?user=alice")["applications"]
    assert application["id"] == application_id
    assert application["memory_mb"] == stack.rm(f"apps/{application_id}")["app"]["allocatedMB"]
    assert application["memory_mb"] % state["minimum_allocation_mb"] == 0
    assert edge.get("/api/applications?user=bob")["applications"] == []


def test_an_application_is_ended_by_tag_and_nothing_else(stack, edge):
    first, first_id = submit(stack, "alice")
    second, second_id = submit(stack, "bob")
    assert [one["id"] for one in end(edge, first, "idle for 2 h")] == [first_id]
    gone = wait_for(
        lambda: [
            one for one in edge.get(f"/api/applications?kernel_id={first}")["applications"] if one["state"] == "KILLED"
        ],
        20,
        "the application's end",
    )
    assert "killed by user alice" in gone[0]["diagnostics"]
    assert "idle for 2 h" in gone[0]["diagnostics"]
    assert stack.living(second) == [second_id]
    assert end(edge, first) == []


def test_a_person_without_the_token_learns_nothing(edge):
    for token in ("", "wrong", TOKEN[:-1]):
        for method, path in (("GET", "/api/cluster"), ("GET", "/api/applications")):
            answer = edge.call(method, path, token=token)
            assert answer.status_code == 401
            assert answer.json()["code"] == "edge-token"
            assert TOKEN not in answer.text
    assert TOKEN not in edge.log.read_text()


def test_metrics_tell_of_polls(edge):
    assert requests.get(f"{edge.url}/metrics", timeout=5).status_code == 401
    assert edge.call("GET", "/metrics").status_code == 401
    text = edge.call("GET", "/metrics", token=METRICS_TOKEN).text
    assert 'hadoop_edge_cluster_nodes{kind="total"} 2.0' in text
    assert "hadoop_edge_poll_seconds_count" in text
    assert "hadoop_edge_poll_failures_total" in text


def test_numbers_outlive_the_resource_manager_and_recover_by_themselves(stack, edge):
    """Runs last: the ResourceManager is killed, and remembers its applications."""
    _, application_id = submit(stack, "alice")
    wait_for(lambda: in_snapshot(edge, "alice"), 20, "the application in the snapshot")
    stack.stop("resourcemanager", signal.SIGKILL)
    stale = wait_for(lambda: (s := edge.get("/api/cluster"))["stale"] and s, 20, "stale numbers")
    assert stale["error"] == f"The ResourceManager refused the connection at http://{LOOPBACK}:{stack.ports.rm_web}."
    assert (stale["memory_total_mb"], stale["nodes_total"], len(stale["nodes"])) == (12288, 2, 2)
    later = edge.get("/api/cluster")
    assert later["as_of"] == stale["as_of"]
    assert edge.get("/api/applications?user=alice")["applications"]
    answer = edge.call("DELETE", f"/api/kernels/{uuid.uuid4()}/applications", json={})
    assert (answer.status_code, answer.json()["code"]) == (503, "cluster-unreachable")

    def health():
        answer = requests.get(f"{edge.url}/health", timeout=5)
        return answer.status_code, {check["name"]: check["ok"] for check in answer.json()["checks"]}

    # What it says is kept for a moment.
    wait_for(lambda: health() == (200, {"poller": True, "resource-manager": False}), 15, "the failing check")
    stack.start_java("resourcemanager")
    fresh = wait_for(
        lambda: (s := edge.get("/api/cluster"))["stale"] is False and s["nodes_active"] == 2 and s, 90, "fresh numbers"
    )
    assert fresh["as_of"] > stale["as_of"]
    wait_for(lambda: application_id in {one["id"] for one in in_snapshot(edge, "alice")}, 30, "the application again")
