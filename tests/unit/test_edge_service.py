"""The edge service in front of a server that gives a ResourceManager's recorded answers, and misbehaves on demand."""

import asyncio
import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from hadoop_edge.app import HadoopEdge
from hadoop_edge.handlers import reason_of
from hadoop_edge.poller import Poller
from hadoop_edge.resource_manager import ResourceManager, ResourceManagerError, origin
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError

RECORDED = Path(__file__).parent.parent / "fixtures" / "yarn"
KERNEL = "f9ed359d-07f3-45e0-a3f6-b7f676625dd8"
TOKEN = "the-token-of-the-edge"
ANSWERS = {
    "/ws/v1/cluster/info": "info.json",
    "/ws/v1/cluster/metrics": "metrics.json",
    "/ws/v1/cluster/scheduler": "scheduler.json",
    "/ws/v1/cluster/nodes": "nodes.json",
    "/ws/v1/cluster/apps": "apps-running.json",
}


class Recorded(web.RequestHandler):
    """Answers from the recordings; `overrides` maps a path to (status, headers, body)."""

    def initialize(self, manager):
        self.manager = manager

    async def get(self):
        path = self.request.path
        self.manager.seen.append(self.request.uri)
        if self.manager.delay:
            await asyncio.sleep(self.manager.delay)
        if path == "/ws/v1/cluster/apps" and self.manager.refused_deselects & set(
            self.get_query_arguments("deSelects")
        ):
            self.set_status(400)
            self.finish('{"RemoteException":{"message":"Invalid deSelects string"}}')
            return
        status, headers, body = self.manager.overrides.get(path) or self.manager.answer(path)
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(body)

    async def put(self, application):
        user = self.get_query_argument("user.name")
        self.manager.kills.append((application, user, json.loads(self.request.body)))
        self.set_status(202 if user in self.manager.may_kill else 403)
        self.finish("{}" if user in self.manager.may_kill else f"Unauthorized attempt to kill by remote user {user}")


class RecordedManager:
    """A server on a free port."""

    def __init__(self):
        self.overrides, self.seen, self.kills = {}, [], []
        self.settings = {"yarn.scheduler.minimum-allocation-mb": "256"}
        self.refused_deselects, self.may_kill, self.delay = set(), {"bob", "hub"}, 0.0
        self._socket, self.port = bind_unused_port()
        self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path):
        if path == "/conf":
            name = self.seen[-1].partition("name=")[2].partition("&")[0]
            if name not in self.settings:
                return 404, {}, ""
            return 200, {}, json.dumps({"property": {"key": name, "value": self.settings[name]}})
        name = ANSWERS.get(path)
        return (200, {}, (RECORDED / name).read_text()) if name else (404, {}, "{}")

    def start(self):
        app = web.Application(
            [(r"/ws/v1/cluster/apps/([^/]+)/state", Recorded, {"manager": self}), (r"/.*", Recorded, {"manager": self})]
        )
        self.server = HTTPServer(app)
        self.server.add_socket(self._socket)

    async def stop(self):
        self.server.stop()
        await self.server.close_all_connections()


@pytest.fixture
async def manager():
    made = RecordedManager()
    made.start()
    yield made
    await made.stop()


def client_of(*managers, **more):
    settings = {"user": "hub", "timeout": 1.0, "maximum_bytes": 1024 * 1024, **more}
    return ResourceManager([one.url if hasattr(one, "url") else one for one in managers], **settings)


def poller_of(manager, **more):
    return Poller(client_of(manager), poll_interval=5, nodes_interval=5, stale_after=20, **more)


@pytest.fixture
async def edge(manager, monkeypatch):
    """An edge service on a free port; polls are made by hand."""
    monkeypatch.setenv("HUB_EXT_EDGE_TOKEN", TOKEN)
    service = HadoopEdge(resource_manager_urls=[manager.url], request_timeout=1.0)
    service.poller = service.make_poller()
    socket, port = bind_unused_port()
    server = HTTPServer(service.make_app())
    server.add_socket(socket)
    service.address = f"http://127.0.0.1:{port}"
    service.client = EdgeClient(service.address, TOKEN)
    yield service
    server.stop()
    await server.close_all_connections()


async def test_the_snapshot_is_what_the_manager_says(edge):
    await edge.poller.poll()
    state = await edge.client.cluster()
    assert not state.stale
    assert state.as_of is not None
    assert (state.memory_used_mb, state.memory_total_mb, state.nodes_active) == (1536, 12288, 2)
    assert (state.minimum_allocation_mb, state.maximum_allocation_mb) == (256, 4096)
    assert [one.name for one in state.queues] == ["default", "notebooks", "small"]
    assert state.resource_manager_version == "3.5.0"


CALCULATOR_PATH = "/ws/v1/cluster/scheduler-conf"
CONF_MEMORY = (200, {}, (RECORDED / "scheduler-conf-memory.json").read_text())
CONF_WITHOUT = (200, {}, '{"property":[{"name":"yarn.scheduler.capacity.root.queues","value":"default"}]}')
REFUSED = (403, {}, '{"RemoteException":{"message":"User hub not Admin"}}')
SCHEDULER_MEMORY = (200, {}, (RECORDED / "scheduler-memory.json").read_text())
SCHEDULER_UNKNOWN = (200, {}, '{"scheduler":{"schedulerInfo":{"type":"capacityScheduler"}}}')


@pytest.mark.parametrize(
    ("trait", "conf", "scheduler", "expected"),
    [
        ("auto", None, None, "dominant"),
        ("auto", CONF_MEMORY, None, "memory"),
        ("auto", CONF_WITHOUT, None, "dominant"),
        ("auto", REFUSED, None, "dominant"),
        ("auto", REFUSED, SCHEDULER_MEMORY, "memory"),
        ("auto", REFUSED, SCHEDULER_UNKNOWN, "memory"),
        ("dominant", CONF_MEMORY, SCHEDULER_MEMORY, "dominant"),
        ("memory", None, None, "memory"),
    ],
)
async def test_what_the_scheduler_counts(manager, trait, conf, scheduler, expected):
    manager.overrides[CALCULATOR_PATH] = conf
    manager.overrides["/ws/v1/cluster/scheduler"] = scheduler
    made = poller_of(manager, resource_calculator=trait)
    assert await made.poll()
    assert (await made.current()).state.resource_calculator == expected


async def test_the_least_number_of_vcores_is_the_managers(manager):
    manager.settings["yarn.scheduler.minimum-allocation-vcores"] = "2"
    made = poller_of(manager)
    assert await made.poll()
    state = (await made.current()).state
    assert (state.minimum_allocation_vcores, state.rules().container_vcores(3)) == (2, 4)


@pytest.mark.parametrize(
    ("settings", "increment"),
    [
        ({}, 1024),
        ({"yarn.scheduler.increment-allocation-mb": "512"}, 512),
        (
            {
                "yarn.scheduler.increment-allocation-mb": "512",
                "yarn.resource-types.memory-mb.increment-allocation": "128",
            },
            128,
        ),
    ],
)
async def test_the_fair_scheduler_rounds_to_an_increment(manager, settings, increment):
    manager.settings |= settings
    manager.overrides["/ws/v1/cluster/scheduler"] = (
        200,
        {},
        '{"scheduler":{"schedulerInfo":{"type":"fairScheduler"}}}',
    )
    made = poller_of(manager)
    assert await made.poll()
    state = (await made.current()).state
    assert (state.minimum_allocation_mb, state.increment_allocation_mb) == (256, increment)
    assert (state.resource_calculator, state.queues_fixed) == ("dominant", False)


async def test_numbers_stay_and_are_marked_when_the_manager_goes(edge, manager):
    await edge.poller.poll()
    before = await edge.client.cluster()
    await manager.stop()
    await edge.poller.poll()
    after = await edge.client.cluster()
    assert after.stale
    assert after.as_of == before.as_of
    assert after.memory_used_mb == before.memory_used_mb
    assert after.nodes == before.nodes
    assert after.error == f"The ResourceManager refused the connection at {manager.url}."


async def test_a_manager_that_never_answered_is_an_error(edge, manager):
    await manager.stop()
    await edge.poller.poll()
    with pytest.raises(PublicError) as caught:
        await edge.client.cluster()
    assert (caught.value.code, caught.value.status) == ("cluster-unreachable", 503)
    assert "refused the connection" in caught.value.details[0]


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ({"id": 1, "haState": "INITIALIZING"}, "The ResourceManager is INITIALIZING, not ACTIVE."),
        ({"id": 1, "haState": "STANDBY"}, "The ResourceManager is STANDBY, not ACTIVE."),
        ({}, "What answers is no ResourceManager."),
    ],
)
async def test_a_manager_that_does_not_remember_yet_is_not_believed(edge, manager, info, says):
    """It answers before it has read what it remembers, and then knows of no application: nothing has ended."""
    await edge.poller.poll()
    before = await edge.client.applications()
    manager.overrides["/ws/v1/cluster/info"] = (200, {}, json.dumps({"clusterInfo": info}))
    manager.overrides["/ws/v1/cluster/apps"] = (200, {}, '{"apps": {}}')
    await edge.poller.poll()
    after = await edge.client.applications()
    assert (after.stale, after.applications) == (True, before.applications)
    assert says in after.error
    with pytest.raises(PublicError):
        await edge.client.end_kernel(KERNEL, reason="test")


async def test_numbers_are_old_when_a_poll_hangs(edge):
    await edge.poller.poll()
    edge.poller.monotonic = lambda: time.monotonic() + 21
    assert (await edge.client.cluster()).stale


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_jumps_makes_numbers_neither_older_nor_newer(edge, hours):
    """The age is counted by the edge's monotonic clock; whoever asks tells the time by their own."""
    edge.poller.now = lambda: datetime.now(timezone.utc) + timedelta(hours=hours)
    await edge.poller.poll()
    edge.poller.now = lambda: datetime.now(timezone.utc)
    state = await edge.client.cluster()
    assert not state.stale
    assert abs((datetime.now(timezone.utc) - state.as_of).total_seconds()) < 10


async def test_polling_goes_on_when_the_manager_hangs(manager):
    rm = client_of(manager, timeout=0.2)
    poller = Poller(rm, poll_interval=0.1, nodes_interval=1, stale_after=20)
    manager.delay = 5
    poller.start()
    await poller.current(wait=5)
    assert (await poller.current()).state.as_of is None
    manager.delay = 0
    for _ in range(100):
        await asyncio.sleep(0.1)
        if not (await poller.current()).state.stale:
            break
    assert (await poller.current()).state.memory_total_mb == 12288
    assert await poller.probe() == "polls"
    await poller.stop()
    with pytest.raises(RuntimeError, match="polling has ended"):
        await poller.probe()


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", "t\u00f6ken"])
async def test_calls_need_the_token(edge, token):
    await edge.poller.poll()
    http = EdgeClient(edge.address, token)
    for call in (http.cluster(), http.applications(), http.end_kernel(KERNEL, reason="")):
        with pytest.raises(PublicError) as caught:
            await call
        assert caught.value.code == "edge-token"


async def test_applications_by_user_come_from_the_snapshot(edge, manager):
    await edge.poller.poll()
    asked = len(manager.seen)
    found = await edge.client.applications(cluster_user="bob")
    assert [one.user for one in found.applications] == ["bob"]
    assert (await edge.client.applications(cluster_user="alice")).applications == ()
    assert len(manager.seen) == asked


async def test_applications_of_a_kernel_are_asked_for_afresh(edge, manager):
    await edge.poller.poll()
    found = await edge.client.applications(kernel_id=KERNEL)
    assert [one.id for one in found.applications] == ["application_1795385647058_0016"]
    assert f"applicationTags={KERNEL}" in manager.seen[-1]


async def test_applications_of_a_kernel_are_old_when_the_manager_is_away(edge, manager):
    await edge.poller.poll()
    await manager.stop()
    found = await edge.client.applications(kernel_id=KERNEL)
    assert found.stale
    assert [one.id for one in found.applications] == ["application_1795385647058_0016"]


@pytest.mark.parametrize(
    "query",
    ["kernel_id=x", "kernel_id=..%2F..", f"kernel_id={KERNEL.upper()}", "user=a%26states%3DKILLED", "user=-x"],
)
async def test_what_is_not_a_name_is_refused(edge, query):
    await edge.poller.poll()
    with pytest.raises(PublicError) as caught:
        await edge.client._call("GET", f"/api/applications?{query}")
    assert (caught.value.code, caught.value.status) == ("bad-request", 400)


async def test_a_kernel_is_ended_as_its_owner(edge, manager):
    found = await edge.client.end_kernel(KERNEL, reason="asked\nby bob\x00")
    assert [one.id for one in found.applications] == ["application_1795385647058_0016"]
    assert manager.kills == [
        ("application_1795385647058_0016", "bob", {"state": "KILLED", "diagnostics": "asked by bob"})
    ]


async def test_a_kernel_is_ended_as_ourselves_when_its_owner_may_not(edge, manager):
    manager.may_kill = {"hub"}
    await edge.client.end_kernel(KERNEL, reason="")
    assert [user for _, user, _ in manager.kills] == ["bob", "hub"]


async def test_a_refused_end_is_told(edge, manager):
    manager.may_kill = set()
    with pytest.raises(PublicError) as caught:
        await edge.client.end_kernel(KERNEL, reason="")
    assert caught.value.code == "applications-not-ended"
    assert "remote user hub" in caught.value.details[0]


async def test_other_kernels_are_left_alone(edge, manager):
    other = KERNEL.replace("f9ed", "0000")
    assert (await edge.client.end_kernel(other, reason="")).applications == ()
    assert manager.kills == []


async def test_a_kernel_whose_application_has_its_id_in_its_name_alone_is_found_and_ended(edge, manager):
    written = json.loads((RECORDED / "apps-running.json").read_text())
    (app,) = [one for one in written["apps"]["app"] if KERNEL in one["applicationTags"]]
    app.update(applicationTags="", name=f"kernel-{KERNEL}")
    manager.overrides["/ws/v1/cluster/apps"] = (200, {}, json.dumps(written))
    await edge.poller.poll()
    # Asked by tag, the ResourceManager has none.
    manager.overrides["/ws/v1/cluster/apps"] = (200, {}, '{"apps": null}')
    assert [one.id for one in (await edge.client.applications(kernel_id=KERNEL)).applications] == [app["id"]]
    assert [one.id for one in (await edge.client.end_kernel(KERNEL, reason="x")).applications] == [app["id"]]
    assert [one[0] for one in manager.kills] == [app["id"]]


async def test_the_standby_is_passed_over(manager):
    standby = RecordedManager()
    standby.overrides["/ws/v1/cluster/info"] = (200, {}, '{"clusterInfo":{"haState":"STANDBY"}}')
    standby.start()
    rm = client_of(standby, manager)
    assert (await rm.info())["haState"] == "ACTIVE"
    await standby.stop()


async def test_a_failover_is_followed(manager):
    other = RecordedManager()
    other.overrides["/ws/v1/cluster/info"] = (200, {}, '{"clusterInfo":{"haState":"STANDBY"}}')
    other.start()
    rm = client_of(manager, other)
    assert (await rm.info())["haState"] == "ACTIVE"
    await manager.stop()
    other.overrides.clear()
    assert (await rm.info())["haState"] == "ACTIVE"
    await other.stop()


async def test_no_active_manager_is_told_for_each(manager):
    manager.overrides["/ws/v1/cluster/info"] = (200, {}, '{"clusterInfo":{"haState":"STANDBY"}}')
    with pytest.raises(ResourceManagerError) as caught:
        await client_of(manager, "http://127.0.0.1:1").info()
    assert f"The ResourceManager at {manager.url} is STANDBY, not ACTIVE." in str(caught.value)
    assert "refused the connection at http://127.0.0.1:1." in str(caught.value)


async def test_a_redirect_is_not_followed(manager):
    target = RecordedManager()
    target.start()
    for path in ANSWERS:
        manager.overrides[path] = (307, {"Location": f"{target.url}{path}"}, "")
    with pytest.raises(ResourceManagerError, match="redirect, which is not followed"):
        await client_of(manager).info()
    del manager.overrides["/ws/v1/cluster/info"]
    with pytest.raises(ResourceManagerError, match="redirect, which is not followed"):
        await client_of(manager).get("/ws/v1/cluster/metrics", dict)
    assert target.seen == []
    await target.stop()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((200, {}, "There is no active RM right now."), "something that is not JSON"),
        ((500, {}, "<html>stack trace</html>"), "answered 500$"),
        ((404, {}, '{"RemoteException":{"message":"not found"}}'), "answered 404 not found$"),
        ((200, {}, "x" * 2_000_000), "larger than 1 MB"),
    ],
)
async def test_answers_that_can_not_be_used(manager, answer, sentence):
    manager.overrides["/ws/v1/cluster/metrics"] = answer
    with pytest.raises(ResourceManagerError, match=sentence):
        await client_of(manager).get("/ws/v1/cluster/metrics", dict)


async def test_a_slow_manager_does_not_hold_us(manager):
    manager.delay = 5
    with pytest.raises(ResourceManagerError, match=r"did not answer in 0\.2 s"):
        await client_of(manager, timeout=0.2).info()


async def test_what_an_older_version_does_not_know_is_left_out(manager):
    rm = client_of(manager)
    everything = "resourceRequests,timeouts,appNodeLabelExpression,amNodeLabelExpression,resourceInfo"
    manager.refused_deselects = {everything, "resourceRequests"}
    assert await rm.applications(dict)
    manager.seen.clear()
    assert await rm.applications(dict)
    assert [uri for uri in manager.seen if "deSelects" in uri] == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://rm1:8088/ws", "http://rm1:8088"),
        ("https://user:secret@rm1.example.org/x?y=z", "https://rm1.example.org"),
        ("http://[::1]:8088", "http://[::1]:8088"),
    ],
)
def test_an_address_is_shown_without_credentials(url, shown):
    assert origin(url) == shown


@pytest.mark.parametrize("url", ["ftp://rm1", "rm1:8088", "http://user:pw@rm1:8088", "http://rm1:8088?a=b", ""])
def test_an_unusable_address_is_refused_at_the_start(url):
    with pytest.raises(Exception, match="resource_manager_urls takes addresses like"):
        HadoopEdge(resource_manager_urls=[url])


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("idle\r\nfor 2 h", "idle for 2 h"),
        ("", "ended by the notebook platform"),
        (None, "ended by the notebook platform"),
    ],
)
def test_the_reason_is_one_line(given, line):
    assert reason_of(given) == line


def test_a_long_reason_is_cut():
    assert len(reason_of("x" * 5000)) == 500


async def test_settings_that_change_while_the_manager_runs_are_noticed(manager, monkeypatch):
    """``yarn rmadmin -refreshQueues`` changes the largest container and how it is counted without a new start."""
    moment = [0.0]
    monkeypatch.setattr("hadoop_edge.poller.time.monotonic", lambda: moment[0])
    manager.overrides[CALCULATOR_PATH] = CONF_MEMORY
    made = poller_of(manager)
    assert await made.poll()
    recorded = json.loads(manager.answer("/ws/v1/cluster/scheduler")[2])
    recorded["scheduler"]["schedulerInfo"]["maximumAllocation"]["memory"] = 3072
    manager.overrides["/ws/v1/cluster/scheduler"] = (200, {}, json.dumps(recorded))
    manager.overrides[CALCULATOR_PATH] = CONF_WITHOUT
    manager.settings["yarn.scheduler.minimum-allocation-mb"] = "512"
    asked = len(manager.seen)
    assert await made.poll()
    assert not any("/conf" in uri or "scheduler-conf" in uri for uri in manager.seen[asked:])
    moment[0] = 6.0
    assert await made.poll()
    state = (await made.current()).state
    assert (state.maximum_allocation_mb, state.minimum_allocation_mb) == (3072, 512)
    assert state.resource_calculator == "dominant"


async def test_what_is_known_of_the_scheduler_stays_while_the_manager_is_too_busy_to_tell(manager, monkeypatch):
    moment = [0.0]
    monkeypatch.setattr("hadoop_edge.poller.time.monotonic", lambda: moment[0])
    made = poller_of(manager)
    assert await made.poll()
    before = (await made.current()).state
    moment[0] = 6.0
    manager.overrides["/conf"] = (503, {}, "busy")
    assert not await made.poll()
    state = (await made.current()).state
    assert (state.minimum_allocation_mb, state.as_of, state.stale) == (256, before.as_of, True)
    del manager.overrides["/conf"]
    assert await made.poll()
