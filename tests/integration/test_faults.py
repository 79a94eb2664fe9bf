"""The edge service as a process in front of a ResourceManager that answers nonsense, slowly, without end, or not."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
import requests

from jeg_plugin import resource_manager
from jeg_plugin.resource_manager import ResourceManager, UnreachableError
from tests.conftest import free_port
from tests.support import wait_for

RECORDED = Path(__file__).parent.parent / "fixtures" / "yarn"
ANSWERS = {
    "/ws/v1/cluster/info": "info.json",
    "/ws/v1/cluster/metrics": "metrics.json",
    "/ws/v1/cluster/scheduler": "scheduler.json",
    "/ws/v1/cluster/nodes": "nodes.json",
    "/ws/v1/cluster/apps": "apps-running.json",
}
TOKEN = "the-token-of-the-edge"
#: Seconds that a slow ResourceManager takes for each answer: as long as the edge service waits by default.
SLOW_S = 10.0
MAXIMUM_BYTES = 4 * 1024 * 1024
LOGIN_PAGE = b"<!DOCTYPE html><html><body><h1>Please log in</h1><script>alert(1)</script></body></html>"
WRONG_SHAPES = b'{"clusterInfo": [1], "clusterMetrics": "x", "scheduler": {"schedulerInfo": 7}, "apps": {"app": "y"}}'


class BadResourceManager(ThreadingHTTPServer):
    """Gives recorded answers, unless `mode` says otherwise."""

    daemon_threads = True
    mode = "well"

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Say nothing: callers hang up on what is too much."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = ANSWERS.get(self.path.partition("?")[0])
        body = (RECORDED / name).read_bytes() if name else b"{}"
        getattr(self, f"answer_{self.server.mode}")(200 if name else 404, body)

    def send(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_well(self, status, body):
        self.send(status, body)

    def answer_slow(self, status, body):
        time.sleep(SLOW_S)
        self.send(status, body)

    def answer_page(self, status, body):
        self.send(200, LOGIN_PAGE, "text/html")

    def answer_shapes(self, status, body):
        self.send(200, WRONG_SHAPES)

    def answer_half(self, status, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.close_connection = True

    def answer_error(self, status, body):
        text = {"RemoteException": {"message": "java.lang.NullPointerException\n\tat org.apache.hadoop.X.y(X.java:1)"}}
        self.send(500, json.dumps(text).encode())

    def answer_noise(self, status, body):
        self.wfile.write(os.urandom(4096))
        self.close_connection = True

    def answer_endless(self, status, body):
        self.send_response(200)
        self.end_headers()
        for _ in range(200):
            self.wfile.write(b"[" * 65536)
        self.close_connection = True

    def answer_drip(self, status, body):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(100):
                self.wfile.write(b"[")
                time.sleep(0.05)
        self.close_connection = True

    def answer_deep(self, status, body):
        self.send(200, b"[" * 100_000)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def manager():
    server = BadResourceManager()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Edge:
    def __init__(self, process, url):
        self.process, self.url = process, url

    def health(self):
        try:
            return requests.get(f"{self.url}/health", timeout=5)
        except requests.RequestException:
            return None

    def checks(self):
        """Return what the health checks say; the ResourceManager's is a soft one, the service itself is well."""
        answer = self.health()
        assert answer.status_code == 200
        return {check["name"]: check["ok"] for check in answer.json()["checks"]}

    def cluster(self):
        """Ask for the cluster; that has to be answered at once, whatever the ResourceManager does."""
        began = time.monotonic()
        answer = requests.get(f"{self.url}/api/cluster", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
        assert time.monotonic() - began < SLOW_S / 2
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def edge(manager, tmp_path_factory):
    port = free_port()
    log = tmp_path_factory.mktemp("edge") / "edge.log"
    words = ["--HadoopEdge.poll_interval=0.5", "--HadoopEdge.nodes_interval=0.5"]
    words += [f"--HadoopEdge.port={port}", f'--HadoopEdge.resource_manager_urls=["{manager.url}"]']
    words += [f"--HadoopEdge.maximum_answer_bytes={MAXIMUM_BYTES}"]
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "hadoop_edge", *words],
            env={**os.environ, "HUB_EXT_EDGE_TOKEN": TOKEN},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    made = Edge(process, f"http://127.0.0.1:{port}")
    try:
        wait_for(lambda: made.health() is not None and made.health().ok, 60, every=0.2, what="the edge service")
        wait_for(lambda: not made.cluster()["stale"], 30, every=0.2, what="the first numbers")
        yield made
        assert "Traceback" not in log.read_text()
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def misbehaving(manager, mode):
    manager.mode = mode
    try:
        yield
    finally:
        manager.mode = "well"


@pytest.mark.parametrize("mode", ["page", "shapes", "half", "error", "noise", "endless", "slow"])
def test_old_numbers_stay_marked_as_old_with_a_sentence_until_the_manager_is_well(manager, edge, mode):
    before = wait_for(lambda: (lambda state: None if state["stale"] else state)(edge.cluster()), 30, every=0.2)
    memory = psutil.Process(edge.process.pid).memory_info().rss
    with misbehaving(manager, mode):
        after = wait_for(
            lambda: (lambda state: state if state["stale"] else None)(edge.cluster()), 45, every=0.2, what="the mark"
        )
        wait_for(lambda: edge.checks() == {"poller": True, "resource-manager": False}, 20, every=0.2, what="the check")
    assert {**after, "as_of": 0, "stale": 0, "error": 0} == {**before, "as_of": 0, "stale": 0, "error": 0}
    print(f"{mode}: {after['error']}")
    assert 10 < len(after["error"]) < 300
    for word in ("<", "Traceback", "\n", "\tat "):
        assert word not in after["error"]
    wait_for(lambda: not edge.cluster()["stale"], 45, every=0.2, what="new numbers")
    assert psutil.Process(edge.process.pid).memory_info().rss - memory < 16 * MAXIMUM_BYTES


@pytest.mark.parametrize("mode", ["page", "shapes", "half", "error", "noise", "endless", "drip", "deep"])
def test_enterprise_gateway_takes_no_such_answer_for_the_end_of_a_kernel(manager, mode, monkeypatch):
    """What it asks with, in this process: None for an application would mean that its kernel has died."""
    monkeypatch.setattr(resource_manager, "LONGEST_ANSWER", 0.5)
    asks = ResourceManager([manager.url], "alice", "service")
    manager.mode = mode
    try:
        for question in (lambda: asks.application("application_1_1"), lambda: asks.all_applications("x")):
            with pytest.raises(UnreachableError):
                question()
    finally:
        manager.mode = "well"
    assert asks.application("application_1_1") is None
