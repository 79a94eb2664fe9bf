"""Each process is killed, or stopped as an administrator does it, while people work; the table in docs is made here."""

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass

import psutil
import pytest
import requests

from hub_ext.database import upgrade
from hub_ext.embedded.layout import NODE_ADDRESSES
from tests.gateways import alive, another_gateway, rows
from tests.postgres import Postgres
from tests.processes import of_kernel, server_process, service_process, suspended
from tests.support import bearer, end_kernels, wait_for
from tests.survival import KILL, LOST, RESTARTED, STOP, Row, Watch, answers_again, in_step, short, write_table

#: A ResourceManager that is killed while it hands a driver's container to a node waits for it for ten minutes; when
#: that was met, every later case failed, for a reason that is not found yet.
pytestmark = pytest.mark.skipif("WRITE_WHAT_SURVIVES" not in os.environ, reason="on request: make what-survives")

#: Words of each process's command.
WORDS = {
    "Hub": "jupyterhub_config.py",
    "proxy": "configurable-http-proxy",
    "gateway": "hub_gateway",
    "portal": "hub_portal",
    "edge": "hadoop_edge",
    "Enterprise Gateway": "jeg_plugin.app",
    "ResourceManager": "resourcemanager.ResourceManager",
}
CASES = [*((name, KILL) for name in WORDS), *((name, STOP) for name in RESTARTED)]
#: Seconds in which a process has to be back, and notebooks have to answer, on a busy machine of two cores.
BACK_S, ANSWER_S = 90, 90


@dataclass
class Work:
    """Two people, each with a kernel that holds something."""

    platform: object
    alice: object
    bob: object
    kernels: dict

    def keep(self, value):
        """Let each kernel hold a value, on sockets that stay open."""
        for name, kernel in self.kernels.items():
            answers_again_after(kernel, f"kept = '{value} of {name}'")

    def answer(self, value):
        for name, kernel in self.kernels.items():
            answers_again(kernel, f"{value} of {name}", ANSWER_S)


def answers_again_after(kernel, code):
    kernel.connect()
    kernel.run(code)


@pytest.fixture(scope="module")
def measured():
    """What was measured; the table is written from it in the end."""
    found = []
    yield found
    write_table(found)


@pytest.fixture(scope="module")
def work(platform):
    """Alice works in her notebook, behind her notebook server and the proxy; bob's program asks the gateway itself."""
    alice, bob = platform.person("alice"), platform.person("bob")
    for person in (alice, bob):
        end_kernels(person)
        person.session.get(f"{platform.url}/services/portal/my-kernels", timeout=60)
    kernels = {"alice": alice.start_from_server("python_yarn"), "bob": bob.start("python_yarn")}
    for kernel in kernels.values():
        kernel.wait_idle(120)
    yield Work(platform, alice, bob, kernels)
    with contextlib.suppress(Exception):
        end_kernels(alice)
        end_kernels(bob)
        alice.stop_server()


class Start(threading.Thread):
    """A kernel of bob's that is being started when something dies."""

    def __init__(self, work):
        super().__init__()
        self._work, self._platform = work, work.platform
        self._token = work.bob.token()[0]
        self._before = set(rows(self._platform))
        self.answer = "nothing: the connection was cut"
        self.kernel_id = ""

    def run(self):
        url = f"{self._platform.url}/services/gateway/user/bob/api/kernels"
        with contextlib.suppress(requests.RequestException):
            answer = requests.post(url, headers=bearer(self._token), json={"name": "python_yarn"}, timeout=120)
            self.answer = short(answer.status_code, "" if answer.ok else answer.text)

    def until_yarn_has_it(self):
        self.start()
        find = lambda: next(iter(set(rows(self._platform)) - self._before), None)  # noqa: E731 (asked again and again)
        self.kernel_id = wait_for(find, 90, every=0.02, what="the reservation")
        wait_for(lambda: self._platform.applications(self.kernel_id), 60, every=0.05, what="the application")

    def outcome(self):
        """Wait until it is decided what has become of it; return that in words."""
        self.join(150)

        def decided():
            row = rows(self._platform, "id = ?", self.kernel_id)[self.kernel_id]
            return row if row["state"] in ("running", "ended") else None

        row = wait_for(decided, 120, every=0.2, what="an end of the start")
        if row["state"] == "ended":
            assert row["end_reason"]
            return f"ended: {row['end_reason'].splitlines()[0].partition('. ')[0]}; it was answered {self.answer}"
        client = self._work.bob.client()
        client.kernel_id = self.kernel_id
        kept = wait_for(lambda: _printed(client), 90, what="an answer of the kernel whose start was under way")
        assert kept == "1"
        client.delete()
        return f"runs; it was answered {self.answer}"


def _printed(client):
    try:
        return client.run("print(1)", timeout=10).strip()
    except (OSError, TimeoutError):
        client.close()
        return None


def is_back(work, name):
    """Say whether a part serves those who use it."""
    platform, local = work.platform, "http://127.0.0.1"
    urls = {
        "Hub": f"{platform.url}/hub/health",
        "proxy": f"{platform.url}/hub/health",
        "gateway": f"{platform.url}/services/gateway/health",
        "portal": f"{platform.url}/services/portal/health",
        "edge": f"{local}:{platform.ports.edge}/health",
    }
    try:
        if name in urls:
            return requests.get(urls[name], timeout=5).status_code == 200
        if name == "Enterprise Gateway":
            return platform.kernels_of_enterprise_gateway() is not None
        return platform.rm("/metrics")["clusterMetrics"]["activeNodes"] == len(NODE_ADDRESSES)
    except requests.RequestException:
        return False


def gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def end(process, how):
    """Kill a process, or ask it to end and wait until it has."""
    process.send_signal(signal.SIGKILL if how == KILL else signal.SIGTERM)
    wait_for(lambda: gone(process), 60, every=0.05, what="the process's end")


@pytest.mark.parametrize(("name", "how"), CASES)
def test_kernels_outlive_every_process_but_their_own(work, measured, name, how):
    value = f"{name} {how}"
    work.keep(value)
    start = Start(work)
    start.until_yarn_has_it()
    with Watch(work.alice) as watch:
        began = time.monotonic()
        end(service_process(work.platform, WORDS[name]), how)
        wait_for(lambda: is_back(work, name), BACK_S, every=0.1, what=f"the return of {name}")
        back = time.monotonic() - began
        work.answer(value)
        answered = time.monotonic() - began
        outcome = start.outcome()
        time.sleep(1)
    wait_for(lambda: in_step(work.platform), 45, what="books, Enterprise Gateway and YARN in step")
    assert {kernel.kernel_id for kernel in work.kernels.values()} <= set(rows(work.platform, "state = 'running'"))
    row = Row(name, how, f"{back:.1f} s", f"{answered:.1f} s", outcome, watch.said())
    measured.append(row)
    print(row)


def node_of(platform, kernel_id):
    """Return which NodeManager a kernel's driver runs under, and that one's process."""
    (application,) = platform.running_applications(kernel_id)
    number = NODE_ADDRESSES.index(application["amHostHttpAddress"].partition(":")[0]) + 1
    return service_process(platform, f"-Dnm.name=nodemanager{number}"), NODE_ADDRESSES[number - 1]


def test_a_node_manager_that_is_killed_finds_its_containers_again(work, measured):
    work.keep("node manager")
    start = Start(work)
    start.until_yarn_has_it()
    process, address = node_of(work.platform, work.kernels["alice"].kernel_id)

    def serves():
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://{address}:{work.platform.ports.nm_web}/ws/v1/node/info", timeout=5).ok

    with Watch(work.alice) as watch:
        began = time.monotonic()
        end(process, KILL)
        wait_for(serves, BACK_S, every=0.1, what="the return of the NodeManager")
        back = time.monotonic() - began
        work.answer("node manager")
        answered = time.monotonic() - began
        outcome = start.outcome()
        wait_for(lambda: is_back(work, "NodeManager"), BACK_S, what="two nodes")
    wait_for(lambda: in_step(work.platform), 45, what="books, Enterprise Gateway and YARN in step")
    measured.append(Row("NodeManager", KILL, f"{back:.1f} s", f"{answered:.1f} s", outcome, watch.said()))
    print(measured[-1])


def test_a_notebook_server_that_is_killed_leaves_its_kernels_to_the_next(work, measured):
    kernel = work.kernels["alice"]
    work.keep("server")
    with Watch(work.alice) as watch:
        began = time.monotonic()
        process = server_process(work.platform, "alice")
        end(process, KILL)
        # The Hub asks for the process's number, which is taken until its parent has heard of its end.
        wait_for(lambda: not psutil.pid_exists(process.pid), 60, every=0.05, what="the process's number")
        answer = work.alice.session.get(f"{kernel.base_url}/api/status", timeout=30)
        work.alice.start_server()
        back = time.monotonic() - began
        work.answer("server")
        answered = time.monotonic() - began
    seen = f"{answer.status_code} and the Hub's page to start it again; {watch.said()}"
    wait_for(lambda: in_step(work.platform), 45, what="books, Enterprise Gateway and YARN in step")
    row = Row(
        "notebook server", KILL, f"{back:.1f} s, when its person starts it", f"{answered:.1f} s", "not tried", seen
    )
    measured.append(row)
    print(row)


def test_kernels_go_on_without_the_database_and_it_is_found_again(work, measured, tmp_path):
    """On PostgreSQL: its connections are cut, then the server is killed, and comes back."""
    server = Postgres()
    try:
        server.start()
        url = server.url(server.create())
        upgrade(url)
        with another_gateway(work.platform, tmp_path, database_url=url) as gateway:
            _without_database(work, measured, server, gateway)
    finally:
        server.stop()


def _without_database(work, measured, server, gateway):
    headers, base = bearer(work.bob.token()[0]), f"{gateway.url}/user/bob"
    listed = lambda: requests.get(f"{base}/api/kernels", headers=headers, timeout=30)  # noqa: E731 (asked often)
    made = requests.post(f"{base}/api/kernels", headers=headers, json={"name": "python_yarn"}, timeout=120)
    assert made.ok, made.text
    client = work.bob.client()
    client.base_url, client.kernel_id = base, made.json()["id"]
    client.wait_idle(120)
    client.run("kept = 'without a database'")
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tests' AND pid != pg_backend_pid()"
    )
    assert listed().status_code == 200
    server.kill()
    said = listed()
    assert (said.status_code, said.json()["code"]) == (503, "database-unreachable")
    refused = requests.post(f"{base}/api/kernels", headers=headers, json={"name": "python_yarn"}, timeout=60)
    assert refused.status_code == 503
    assert client.run("print(kept)").strip() == "without a database"
    began = time.monotonic()
    server.run()
    wait_for(lambda: listed().status_code == 200, 30, every=0.1, what="the list")
    back = time.monotonic() - began
    assert [one["id"] for one in listed().json() if one["id"] == client.kernel_id]
    assert client.run("print(kept)").strip() == "without a database"
    assert client.delete() < 30
    seen = f"the list and a start: {short(503, said.text)}; an open notebook: as always"
    row = Row("database", KILL, f"{back:.1f} s after it serves again", "at once: they do not need it", "refused", seen)
    measured.append(row)
    print(row)
    wait_for(lambda: not alive(work.platform, "bob").keys() - {work.kernels["bob"].kernel_id}, 60, what="the end")


def test_a_lost_node_ends_its_kernels_and_says_so(work, measured):
    """A NodeManager that is silent for longer than YARN waits is the machine's end, as far as anybody can tell."""
    kernel = work.kernels["bob"]
    process, _ = node_of(work.platform, kernel.kernel_id)
    for one in work.kernels.values():
        one.close()
    with Watch(work.bob) as watch, suspended(process):
        began = time.monotonic()
        ended = lambda: rows(work.platform, "id = ?", kernel.kernel_id)[kernel.kernel_id]  # noqa: E731 (asked often)
        wait_for(lambda: ended()["state"] == "ended", 90, what="the kernel's end")
        took = time.monotonic() - began
    reason = ended()["end_reason"]
    assert "the node on which it ran was lost" in reason
    wait_for(lambda: is_back(work, "NodeManager"), 90, what="two nodes")
    wait_for(lambda: not of_kernel(work.platform, kernel.kernel_id), 60, what="the end of the driver's process")
    wait_for(lambda: in_step(work.platform), 45, what="books, Enterprise Gateway and YARN in step")
    seen = f"after {took:.0f} s: “{reason[:160]}”; {watch.said()}"
    measured.append(Row("NodeManager", LOST, "when its machine is back", "a new kernel", "as a kernel there", seen))
    print(measured[-1])
