"""Every refusal that concerns limits, met on the real path: the gateway's REST API and the own notebook server."""

import asyncio
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest
import requests

from hub_ext.database import Database
from hub_ext.errors import CASES
from hub_ext.limits.model import Edit, Subject
from hub_ext.limits.store import LimitStore
from tests.processes import service_process, suspended
from tests.support import end_kernels, wait_for

#: What alice has of her group would be in the way of everything that is larger.
NO_LIMITS = {"kernels": "unlimited", "memory_mb": "unlimited", "cores": "unlimited"}


@pytest.fixture(autouse=True)
def _nothing_runs_before(platform, alice):
    end_kernels(alice)


@dataclass(frozen=True)
class Row:
    """Limits of alice, what is different in a kernelspec, and the refusal: its code, words in it, and its numbers."""

    code: str
    limits: dict
    spec: dict
    words: tuple
    numbers: dict = field(default_factory=dict)


ROWS = {
    "larger than one kernel may be": Row(
        "over-kernel-limit",
        {**NO_LIMITS, "driver_memory_mb": 1024},
        {"driver_memory_mb": 1664},
        (
            "Driver memory: it asks for 1664 MB, your limit is 1.0 GB (set for you by an administrator).",
            "Choose a smaller kernel",
        ),
        {"field": "driver_memory_mb", "asked": 1664, "limit": 1024, "source": "user", "unit": "MiB"},
    ),
    "more executors than one kernel may have": Row(
        "over-kernel-limit",
        {**NO_LIMITS, "executors": 0},
        {},
        ("Executors: it asks for 1, you may have none (set for you by an administrator).",),
        {"field": "executors", "asked": 1, "limit": 0},
    ),
    "more memory than is left": Row(
        "over-total-limit",
        {**NO_LIMITS, "memory_mb": 2560},
        {"driver_memory_mb": 1664},
        ("takes 3.0 GB in YARN, and your limit leaves 2.5 GB", "a driver of 2.0 GB and an executor of 1.0 GB"),
        {"field": "memory_mb", "asked": 3072, "limit": 2560, "used": 0, "free": 2560},
    ),
    "more cores than are left": Row(
        "over-total-limit",
        {**NO_LIMITS, "cores": 1},
        {},
        ("takes 2 vcores in YARN, and your limit leaves 1 vcore",),
        {"field": "cores", "asked": 2, "limit": 1},
    ),
    "not one kernel": Row(
        "too-many-kernels",
        {**NO_LIMITS, "kernels": 0},
        {},
        ("you may have no kernels (set for you by an administrator)", "Ask for more on the My limits page"),
        {"field": "kernels", "asked": 1, "limit": 0, "used": 0},
    ),
    "a queue that is not permitted": Row(
        "queue-not-allowed",
        {**NO_LIMITS, "queues": ("default",)},
        {},
        ("runs in queue notebooks, which you may not use", "You may use: default (set for you by an administrator)."),
        {"field": "queues", "limit": ["default"]},
    ),
    "a queue that does not exist": Row(
        "unknown-queue",
        NO_LIMITS,
        {"queue": "nowhere"},
        ("runs in queue nowhere, which this cluster does not have", "default, notebooks"),
        {"asked": "nowhere"},
    ),
    "a container larger than the largest": Row(
        "container-too-large",
        NO_LIMITS,
        {"driver_memory_mb": 20_000},
        ("asks for a driver of 21.5 GB", "gives has 6.0 GB"),
        {"field": "memory_mb", "asked": 22016, "limit": 6144},
    ),
    "more than the whole queue": Row(
        "queue-too-small",
        NO_LIMITS,
        {"executors": 30},
        ("takes 31.0 GB in YARN", "at most 12.0 GB"),
        {"asked": 31744, "limit": 12288},
    ),
}


def set_limits(platform, values, user="alice"):
    """Give a user values of their own as the administration pages do; None takes them away again."""

    async def apply():
        database = Database(f"sqlite:///{platform.folder / 'data' / 'remote-kernels.sqlite'}")
        try:
            await LimitStore(database).apply([Edit(Subject("user", user), values)], who="test")
        finally:
            await database.close()

    with ThreadPoolExecutor(max_workers=1) as pool:  # a browser's test has an event loop of its own
        pool.submit(asyncio.run, apply()).result()


@contextmanager
def limited(platform, **values):
    set_limits(platform, values)
    try:
        yield
    finally:
        set_limits(platform, dict.fromkeys(values))


@contextmanager
def kernelspec(platform, **changes):
    spec = platform.add_kernelspec("refused", "Refused", **changes)
    try:
        yield "refused"
    finally:
        spec.remove()


def ask_gateway(person, name):
    return person.client().request("POST", "kernels", json={"name": name})


def ask_notebook_server(person, name, way):
    """Ask as programs do (``kernels``) or as JupyterLab does for a notebook (``sessions``)."""
    url = person.start_server()
    token, _ = person.token(f"access:servers!user={person.name}")
    session = {"path": "refused.ipynb", "type": "notebook", "name": "", "kernel": {"name": name}}
    return requests.post(
        f"{person.platform.url}{url.rstrip('/')}/api/{way}",
        headers={"Authorization": f"token {token}"},
        json=session if way == "sessions" else {"name": name},
        timeout=60,
    )


def on_one_line(text):
    return " ".join(text.split())


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_refusal_says_the_numbers_on_every_way(platform, alice, row):
    before = set(platform.registered())
    with limited(platform, **row.limits), kernelspec(platform, **row.spec) as name:
        by_rest = ask_gateway(alice, name)
        by_server = {way: ask_notebook_server(alice, name, way) for way in ("kernels", "sessions")}
    body = by_rest.json()
    status = CASES[row.code].status
    assert (by_rest.status_code, body["code"]) == (status, row.code), body
    assert {key: body["numbers"].get(key) for key in row.numbers} == row.numbers
    for way, answer in by_server.items():
        assert (answer.status_code, answer.json()["reason"]) == (status, row.code), way
        assert answer.json()["message"] == body["message"].strip("\n"), way
    for words in row.words:
        assert words in on_one_line(body["message"])
    assert max(len(line) for line in body["message"].splitlines()) <= 80
    assert "Traceback" not in by_rest.text
    assert set(platform.registered()) == before
    assert not platform.running_applications()


def test_one_kernel_more_than_allowed_is_refused_until_one_ends(platform, alice):
    with limited(platform, **{**NO_LIMITS, "kernels": 1}):
        kernel = alice.start("python_yarn")
        try:
            refused = ask_gateway(alice, "python_yarn")
            assert (refused.status_code, refused.json()["code"]) == (403, "too-many-kernels")
            words = "you may have at most 1 kernel at the same time (set for you by an administrator)"
            assert words in on_one_line(refused.json()["text"])
            assert "You have 1 kernel: python_yarn 1.0 GB." in refused.json()["details"]
            numbers = refused.json()["numbers"]
            assert (numbers["used"], numbers["limit"], numbers["free"]) == (1, 1, 0)
        finally:
            kernel.delete()
        wait_for(lambda: alice.kernels() == [], 30, what="the end of the first")
        alice.start("python_yarn").delete()


def node_resource(platform, node, memory_mb):
    """Change what a node offers, as a Hadoop administrator can while it runs."""
    answer = requests.post(
        f"http://127.0.0.1:{platform.ports.rm_web}/ws/v1/cluster/nodes/{node['id']}/resource",
        params={"user.name": "root"},
        json={"resource": {"memory": memory_mb, "vCores": node["totalResource"]["vCores"]}, "overCommitTimeout": -1},
        timeout=30,
    )
    assert answer.ok, answer.text


def test_a_driver_larger_than_every_node_is_refused_although_the_largest_container_would_do(platform, alice):
    nodes = platform.rm("/nodes")["nodes"]["node"]
    with limited(platform, **NO_LIMITS), kernelspec(platform, driver_memory_mb=3712) as name:
        try:
            for node in nodes:
                node_resource(platform, node, 3072)
            body = wait_for(lambda: refusal(alice, name, "node-too-small"), 30, what="the refusal")
        finally:
            for node in nodes:
                node_resource(platform, node, node["totalResource"]["memory"])
    assert "the largest working node has 3.0 GB" in on_one_line(body["text"])
    assert (body["numbers"]["asked"], body["numbers"]["limit"]) == (4096, 3072)


def refusal(person, name, code):
    """Ask for a kernel; return the refusal if it is this one. YARN's own comes until the gateway knows."""
    answer = ask_gateway(person, name)
    if answer.ok:
        person.client().request("DELETE", f"kernels/{answer.json()['id']}")
        return None
    return answer.json() if answer.json()["code"] == code else None


def test_without_the_database_nothing_starts_and_the_notebook_server_says_why(platform, alice):
    url = alice.start_server()
    path = platform.folder / "data" / "remote-kernels.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute("begin immediate")
        try:
            answers = [ask_gateway(alice, "python_yarn").json(), ask_notebook_server(alice, "python_yarn", "sessions")]
        finally:
            connection.execute("rollback")
    assert url
    assert answers[0]["code"] == "database-unreachable"
    assert (answers[1].status_code, answers[1].json()["reason"]) == (503, "database-unreachable")
    assert "Running kernels go on." in answers[1].json()["message"]
    assert not platform.running_applications()


def test_without_knowledge_of_the_cluster_nothing_starts(platform, alice):
    """Fail closed, once what is known of the cluster is too old."""
    with suspended(service_process(platform, "hadoop_edge")):
        body = wait_for(lambda: refusal(alice, "python_yarn", "cluster-unreachable"), 120, every=2, what="the refusal")
    assert body["remedy"]
    wait_for(lambda: starts(alice, "python_yarn"), 60, every=2, what="starts, once the cluster is known again")


def starts(person, name):
    answer = ask_gateway(person, name)
    if answer.ok:
        person.client().request("DELETE", f"kernels/{answer.json()['id']}")
    return answer.ok


def test_what_was_refused_is_on_my_limits_afterwards_and_on_nobody_elses(platform, alice):
    def page_of(person):
        return person.session.get(f"{platform.url}/services/portal/my-limits", timeout=60).text

    # Earlier tests have refused him, too, perhaps.
    bobs = page_of(platform.person("bob")).count("you may have no kernels")
    set_limits(platform, {**NO_LIMITS, "kernels": 0})
    try:
        assert alice.client().request("POST", "kernels", json={"name": "python_yarn"}).status_code == 403
    finally:
        set_limits(platform, dict.fromkeys(NO_LIMITS))
    shown = wait_for(lambda: "Refused in the last day" in (text := page_of(alice)) and text, 30, what="the refusal")
    assert "you may have no kernels" in shown
    assert page_of(platform.person("bob")).count("you may have no kernels") == bobs

    def largest():
        return alice.session.get(f"{platform.url}/services/portal/my-limits/largest", timeout=60).json()["words"]

    wait_for(lambda: largest().endswith("vcores"), 60, what="the largest kernel")


def test_a_full_queue_makes_a_kernel_wait_and_the_page_says_so(platform, alice):
    """Another user holds all the room there is; the start waits in YARN and comes when there is room again."""
    set_limits(platform, NO_LIMITS, "bob")
    spec = platform.add_kernelspec("holder", "Holder", driver_memory_mb=5440, executors=1, executor_memory_mb=5440)
    bob = platform.person("bob")
    holder = bob.client()
    try:
        holder.start("holder")
        holder.run("print(sc.applicationId)", timeout=120)
        wait_for(lambda: platform.rm("/metrics")["clusterMetrics"]["availableMB"] < 1024, 60, what="a full cluster")
        with ThreadPoolExecutor(max_workers=1) as pool:
            waiting = pool.submit(alice.start, "python_yarn")
            try:
                wait_for(lambda: says_waiting(alice), 60, what="the page that says it waits")
                page = alice.session.get(f"{platform.url}/services/portal/my-limits", timeout=60).text
                assert "starting" in page
            finally:
                holder.delete()
            kernel = waiting.result(timeout=120)
        assert kernel.run("print(6 * 7)").strip() == "42"
        kernel.delete()
    finally:
        set_limits(platform, dict.fromkeys(NO_LIMITS), "bob")
        spec.remove()


def configure_scheduler(platform, **values):
    """Change YARN's scheduler while it runs, as a Hadoop administrator does; names are below the scheduler's own."""
    entries = [{"key": f"yarn.scheduler.capacity.{name}", "value": value} for name, value in values.items()]
    answer = requests.put(
        f"http://127.0.0.1:{platform.ports.rm_web}/ws/v1/cluster/scheduler-conf",
        params={"user.name": "root"},
        json={"global-updates": {"entry": entries}},
        timeout=30,
    )
    assert answer.ok, answer.text


@contextmanager
def closed_queue(platform):
    """Let nobody but bob submit to the queue of the notebooks. Who may use a queue may use those below it."""
    closed = {"root.acl_submit_applications": " ", "root.notebooks.acl_submit_applications": "bob"}
    configure_scheduler(platform, **closed)
    try:
        yield
    finally:
        configure_scheduler(platform, **dict.fromkeys(closed, "*"))


def test_a_queue_that_yarn_does_not_let_a_person_into_is_told_from_one_that_our_limits_close(platform, alice):
    """YARN alone knows its lists of who may submit: nothing of the start stays behind but the reason."""
    before = set(platform.registered())

    def reasons():
        return [reason for key, (_, reason) in platform.registered().items() if key not in before and reason]

    with limited(platform, **NO_LIMITS), closed_queue(platform):
        ask_gateway(alice, "python_yarn")
        ask_notebook_server(alice, "python_yarn", "sessions")
        wait_for(lambda: len(reasons()) == 2, 120, what="the end of both starts")
        bobs = platform.person("bob").start("python_yarn")
        bobs.wait_idle()
        bobs.delete()
    assert all("alice may not use the queue notebooks" in reason for reason in reasons()[:2]), reasons()
    assert not platform.running_applications()
    page = alice.session.get(f"{platform.url}/services/portal/my-kernels", timeout=60).text
    assert "alice may not use the queue notebooks" in page
    alice.start("python_yarn").delete()


def set_fence(platform, user, most):
    """Change YARN's own limit of a user's applications, as the guide for administrators of limits has it."""
    configure_scheduler(platform, **{f"user.{user}.max-parallel-apps": str(most)})


def test_yarns_own_fence_makes_a_kernel_wait_as_quietly_as_a_full_queue(platform, alice):
    set_fence(platform, "alice", 1)
    try:
        first = alice.start("python_yarn")
        with ThreadPoolExecutor(max_workers=1) as pool:
            waiting = pool.submit(alice.start, "python_yarn")
            wait_for(lambda: says_waiting(alice), 60, what="the page that says it waits")
            # What the page tells is a moment older than what YARN says now.
            (application,) = wait_for(lambda: platform.applications(states={"ACCEPTED"}), 30, what="the application")
            print(f"YARN says of an application beyond its fence: {application['diagnostics']!r}")
            assert not waiting.done()
            first.delete()
            waiting.result(timeout=120).delete()
    finally:
        set_fence(platform, "alice", 1000)


def says_waiting(person):
    page = person.session.get(f"{person.platform.url}/services/portal/", timeout=60).text
    return page if "1 waiting for room" in page else None


def test_what_is_refused_is_counted_by_its_reason(platform, alice):
    def refusals():
        text = requests.get(f"{platform.gateway}/metrics", timeout=30).text
        lines = [line for line in text.splitlines() if "too-many-kernels" in line and not line.startswith("#")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if "_created" not in line)

    before = refusals()
    with limited(platform, kernels=0):
        assert ask_gateway(alice, "python_yarn").status_code == 403
    assert refusals() == before + 1


def edit(platform, name, **size):
    """Write other values into the size of a kernelspec that is there, as an administrator does with an editor."""
    path = platform.folder / "kernelspecs" / "kernels" / name / "kernel.json"
    spec = json.loads(path.read_text())
    spec["metadata"]["remote_kernel"]["size"].update(size)
    path.write_text(json.dumps(spec))


def allocated_mb(platform, kernel_id):
    return sum(app["allocatedMB"] for app in platform.running_applications(kernel_id))


def test_a_kernel_is_not_restarted_as_another_one_and_a_new_start_is_counted_anew(platform, alice):
    """A restart keeps the reservation, so it must not take a definition that was changed meanwhile."""
    size = {"executors": 0, "executor_memory_mb": 0}
    with limited(platform, **{**NO_LIMITS, "memory_mb": 2560}), kernelspec(platform, **size) as name:
        kernel = alice.start(name)
        try:
            kernel.run("x = 7")
            before = [app["id"] for app in platform.running_applications(kernel.kernel_id)]
            held = allocated_mb(platform, kernel.kernel_id)
            edit(platform, name, driver_memory_mb=1664)
            answer = kernel.request("POST", f"kernels/{kernel.kernel_id}/restart")
            assert (answer.status_code, answer.json()["code"]) == (409, "definition-changed"), answer.text
            sentence = on_one_line(answer.json()["text"])
            assert "was changed since it was started: start a new kernel" in sentence
            assert "This one was not restarted and goes on as it is." in sentence
            assert kernel.run("x") == "7"
            assert [app["id"] for app in platform.running_applications(kernel.kernel_id)] == before
            assert allocated_mb(platform, kernel.kernel_id) == held
            # One that dies is not started again as another one either: it is over.
            kernel.send("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
            wait_for(lambda: not platform.running_applications(kernel.kernel_id), 60, what="its end")
            wait_for(lambda: alice.kernels() == [], 120, what="its place is free")
            assert not platform.running_applications(kernel.kernel_id)
        finally:
            kernel.delete()
        new = alice.start(name)
        try:
            assert allocated_mb(platform, new.kernel_id) == 2048
            assert [one["remote_kernel"]["memory_mb"] for one in alice.kernels()] == [2048]
            edit(platform, name, driver_memory_mb=640)
            edit(platform, name, driver_memory_mb=1664)
            new.restart()
            new.wait_idle()
            wait_for(lambda: allocated_mb(platform, new.kernel_id) == 2048, 30, what="the same size")
        finally:
            new.delete()
