"""What stands on the pages, from the models that gateway and edge service give."""

from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.cluster import Application, ClusterState, Node, Queue
from hub_ext.errors import PublicError
from hub_ext.kernels import KernelDefinition, Size
from hub_ext.sizes import UNBOUNDED_EXECUTORS, Rules
from hub_portal.gateway import read_catalogue, read_kernels
from hub_portal.hub import read_server
from hub_portal.models import Catalogue, RunningKernel, Server
from hub_portal.views import words
from hub_portal.views.cluster import cluster_view, room, tiles
from hub_portal.views.kernels import audience, card, cards, details, launcher_names, logo_of, size_words
from hub_portal.views.running import kernel_rows, newest, state_words
from hub_portal.views.server import server_view
from hub_portal.views.tables import Usage, node_rows, queue_rows, trouble, usage

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
KERNEL = "f9ed359d-07f3-45e0-a3f6-b7f676625dd8"


def state_of(**more):
    values = {
        "as_of": NOW - timedelta(seconds=3),
        "stale": False,
        "memory_used_mb": 6144,
        "memory_total_mb": 12288,
        "vcores_used": 4,
        "vcores_total": 16,
        "nodes_active": 2,
        "nodes_total": 2,
        "applications_running": 3,
        "applications_waiting": 1,
    }
    return ClusterState(**{**values, **more})


def application_of(**more):
    values = {
        "id": "application_1795_0007",
        "user": "alice",
        "queue": "root.notebooks",
        "state": "RUNNING",
        "tags": (KERNEL,),
        "started_at": NOW - timedelta(minutes=10),
        "memory_mb": 2048,
        "vcores": 2,
        "containers": 2,
    }
    return Application(**{**values, **more})


def kernel_of(**more):
    values = {"id": KERNEL, "kernelspec": "spark", "owner": "alice", "state": "idle", "connections": 1}
    return RunningKernel(**{**values, **more})


def definition_of(**more):
    return KernelDefinition(**{"name": "spark", "display_name": "Spark (Python)", "language": "python", **more})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (7800, "2 h 10 min"),
        (86400, "1 d"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(("part", "whole", "share"), [(1, 3, 33.3), (5, 4, 100.0), (-1, 4, 0.0), (1, 0, 0.0)])
def test_shares(part, whole, share):
    assert words.percent(part, whole) == share


@pytest.mark.parametrize(("share", "level"), [(0, "free"), (74.9, "free"), (75, "busy"), (89.9, "busy"), (90, "full")])
def test_levels(share, level):
    assert words.level(share) == level


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a", "b"], "a, b"), (["a", "b", "c", "d", "e"], "a, b, c and 2 more")]
)
def test_lists_of_names(names, text):
    assert words.listed(names) == text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "There is room: 6.0 GB and 12 vcores free."),
        ({"memory_used_mb": 10000}, "It is busy: 2.2 GB and 12 vcores free."),
        ({"vcores_used": 15}, "It is nearly full: 6.0 GB and 1 vcore free."),
        ({"memory_used_mb": 20000}, "It is nearly full: 0 MB and 12 vcores free."),
        ({"nodes_active": 0}, "No node is running, so no kernel can start now."),
    ],
)
def test_how_much_room_there_is(change, sentence):
    assert room(state_of(**change)) == sentence


def test_tiles_tell_mine_from_others():
    memory, vcores, nodes, applications = tiles(state_of(), Usage(memory_mb=2048, vcores=2, applications=1))
    assert (memory.value, memory.of, memory.word) == ("6.0 GB", "of 12.0 GB", "50 % in use")
    assert (memory.mine, memory.others, memory.note) == (16.7, 33.3, "you 2.0 GB · others 4.0 GB")
    assert (vcores.value, vcores.of, vcores.note) == ("4", "of 16", "you 2 · others 2")
    assert (nodes.value, nodes.word, nodes.level) == ("2", "all working", "free")
    assert (applications.value, applications.word, applications.note) == ("3", "1 waiting for room", "yours: 1")
    assert (applications.mine, applications.others) == (25.0, 50.0)


def test_tiles_of_an_empty_cluster():
    empty = ClusterState(as_of=NOW, stale=False)
    assert [(tile.mine, tile.others) for tile in tiles(empty, Usage())] == [(0.0, 0.0)] * 4


def test_a_share_that_yarn_does_not_tell_is_not_zero():
    hidden = application_of(started_at=None, memory_mb=0, vcores=0)
    memory = tiles(state_of(), usage([hidden]))[0]
    assert memory.note == "your share is not told"
    (row,) = kernel_rows([kernel_of()], [hidden], {}, NOW)
    assert (row.size, row.containers) == (words.NOTHING, "")


def test_missing_nodes_are_named():
    broken = Node(id="n17:8041", host="n17", state="UNHEALTHY", health_report="1/1 local-dirs have errors")
    lost = Node(id="n22:8041", host="n22", state="LOST")
    fine = Node(id="n1:8041", host="n1", state="RUNNING", memory_total_mb=6144)
    leaving = Node(id="n2:8041", host="n2", state="DECOMMISSIONING")
    state = state_of(nodes=(fine, leaving, broken, lost), nodes_active=2, nodes_total=4)
    view = cluster_view(state, (), NOW)
    assert view.trouble == ("n17 is unhealthy: 1/1 local-dirs have errors", "n22 is lost.")
    assert trouble([fine, leaving]) == ()
    tile = view.tiles[2]
    assert (tile.level, tile.word, tile.note) == ("bad", "2 nodes not working", "n17, n22")
    assert [row.host for row in view.nodes][-1] == "n1"


def test_a_large_cluster_shows_the_first_nodes_and_says_how_many_more():
    nodes = tuple(Node(id=f"n{i}:8041", host=f"n{i}", state="RUNNING", memory_total_mb=1) for i in range(1000))
    view = cluster_view(state_of(nodes=nodes), (), NOW)
    assert (len(view.nodes), view.nodes_hidden) == (20, 980)
    assert len(cluster_view(state_of(nodes=nodes), (), NOW, all_nodes=True).nodes) == 1000


def test_ports_tell_nodes_on_one_host_apart():
    twins = [Node(id=f"n1:{port}", host="n1", state="RUNNING") for port in (8041, 8141)]
    assert [row.port for row in node_rows(twins)] == ["8041", "8141"]
    assert [row.port for row in node_rows(twins[:1])] == [""]


def test_stale_numbers_stay():
    view = cluster_view(state_of(stale=True, error="It refused.", as_of=NOW - timedelta(minutes=4)), (), NOW)
    assert (view.stale, view.age, view.error) == (True, "4 min", "It refused.")
    assert view.tiles[0].value == "6.0 GB"


def test_queues_put_mine_first():
    queues = (
        Queue(name="batch", path="root.batch", state="STOPPED", used_percent=10.0, maximum_percent=10.0),
        Queue(name="notebooks", path="root.notebooks", state="RUNNING", used_percent=40.0, maximum_percent=100.0),
    )
    first, second = queue_rows(state_of(queues=queues), [application_of()])
    assert (first.name, first.mine, first.others, first.share, first.level) == (
        "notebooks",
        16.7,
        23.3,
        "2.0 GB",
        "free",
    )
    assert (second.name, second.mine, second.stopped, second.level) == ("batch", 0.0, True, "full")


@pytest.mark.parametrize("queue", ["notebooks", "root.notebooks"])
def test_a_queue_is_known_by_name_and_by_path(queue):
    notebooks = Queue(name="notebooks", path="root.notebooks", state="RUNNING", used_percent=40.0)
    (row,) = queue_rows(state_of(queues=(notebooks,)), [application_of(queue=queue)])
    assert row.share == "2.0 GB"


def test_a_restarted_kernel_shows_its_newest_application():
    found = [application_of(id=f"application_1795_{number}") for number in ("0009", "0010", "0002")]
    assert newest(found, KERNEL).id == "application_1795_0010"
    assert newest(found, "other") is None


@pytest.mark.parametrize(
    ("kernel", "application", "expected"),
    [
        ({}, {}, ("idle", "ok", "")),
        ({"state": "busy"}, {}, ("busy", "working", "")),
        ({"connections": 0}, {}, ("idle", "ok", "no notebook is connected")),
        ({"connections": 0, "state": "starting"}, {}, ("idle", "ok", "no notebook is connected")),
        ({"connections": 0, "state": "busy"}, {}, ("busy", "working", "no notebook is connected")),
        ({"state": "dead"}, None, ("dead", "bad", "no application in YARN")),
        ({"state": "starting"}, None, ("starting", "waiting", "")),
        (
            {"state": "starting"},
            {"state": "ACCEPTED", "containers": 0},
            ("waiting", "waiting", "for room in queue notebooks"),
        ),
        (
            {"state": "starting"},
            {"state": "NEW", "containers": 0, "queue": ""},
            ("waiting", "waiting", "to be submitted"),
        ),
        (
            {"state": "starting"},
            {"state": "ACCEPTED", "containers": 1},
            ("starting", "waiting", "YARN has given the driver its container"),
        ),
        ({"state": "busy"}, {"state": "ACCEPTED", "containers": 1}, ("busy", "working", "")),
        (
            {"state": "starting", "start": "accepted in queue a, 2 ahead of you", "start_waits": True},
            {"state": "ACCEPTED", "containers": 0},
            ("waiting", "waiting", "accepted in queue a, 2 ahead of you"),
        ),
        (
            {"state": "starting", "start": "driver starting on node n17"},
            None,
            ("starting", "waiting", "driver starting on node n17"),
        ),
        ({"state": "new-word"}, {}, ("new-word", "waiting", "")),
    ],
)
def test_states_in_words(kernel, application, expected):
    found = None if application is None else application_of(**application)
    assert state_words(kernel_of(**kernel), found, known=True) == expected


def test_a_kernel_is_shown_while_yarn_can_not_be_asked():
    (row,) = kernel_rows([kernel_of(started_at=NOW - timedelta(minutes=5))], None, {"spark": "Spark (Python)"}, NOW)
    assert (row.title, row.state, row.note, row.application, row.age) == ("Spark (Python)", "idle", "", "", "5 min")


def test_the_youngest_kernel_comes_first():
    old = kernel_of(id="old", started_at=NOW - timedelta(hours=1))
    young = kernel_of(id="young", started_at=NOW - timedelta(minutes=1), last_activity=NOW - timedelta(seconds=30))
    rows = kernel_rows([old, young], [], {}, NOW)
    assert [(row.id, row.idle) for row in rows] == [("young", "30 s ago"), ("old", words.NOTHING)]


SMALL = Size(driver_memory_mb=640, executors=2, executor_memory_mb=2048, executor_cores=2)
DYNAMIC = SMALL.model_copy(update={"executors_max": 4})
UNBOUNDED = SMALL.model_copy(update={"executors_max": UNBOUNDED_EXECUTORS})


@pytest.mark.parametrize(
    ("size", "step", "text"),
    [
        (None, 256, ""),
        (SMALL, 256, "6.0 GB and 5 vcores · 2 executors"),
        (SMALL, 1024, "7.0 GB and 5 vcores · 2 executors"),
        (SMALL, None, "5.8 GB and 5 vcores · 2 executors"),
        (Size(driver_memory_mb=640), 256, "1.0 GB and 1 vcore · no executors"),
        (DYNAMIC, 256, "11.0 GB and 9 vcores · up to 4 executors"),
        (UNBOUNDED, 256, "at least 1.0 GB · any number of executors"),
    ],
)
def test_sizes_in_words(size, step, text):
    assert size_words(size, Rules(step) if step else None) == text


def test_details_show_the_sum():
    found = details(definition_of(size=SMALL, spark_conf={"b": "2", "a": "1"}), True, Rules(256))
    driver, executors = found.lines
    assert (driver.asked, driver.rounded, driver.vcores) == ("640 MB heap + 384 MB overhead", "1.0 GB", "1")
    assert executors.what == "2 executors"
    assert executors.asked == "2.0 GB heap + 384 MB overhead"
    assert executors.rounded == f"2 {words.TIMES} 2.5 GB"
    assert found.total == "6.0 GB, 5 vcores, 3 containers"
    assert found.rounding == "YARN rounds each container up to a multiple of 256 MB."
    assert found.settings == (("a", "1"), ("b", "2"))
    assert found.queue == "the cluster's default queue"


def test_details_show_what_stands_beside_the_heap():
    size = DYNAMIC.model_copy(update={"overhead_factor": 0.5, "pyspark_memory_mb": 512, "off_heap_mb": 1024})
    found = details(definition_of(size=size), True, Rules(256, "memory"))
    driver, executors = found.lines
    assert driver.asked == "640 MB heap + 384 MB overhead"
    assert executors.what == "Up to 4 executors"
    assert executors.asked == "2.0 GB heap + 1.0 GB overhead + 512 MB Python + 1.0 GB off-heap"
    assert (executors.rounded, executors.vcores) == (f"4 {words.TIMES} 4.5 GB", f"4 {words.TIMES} 1")
    assert found.total == "19.0 GB, 5 vcores, 5 containers"
    unbounded = details(definition_of(size=UNBOUNDED), True, Rules(256))
    assert unbounded.total == "any amount, as nothing bounds the number of executors"
    assert unbounded.lines[1].rounded == f"n {words.TIMES} 2.5 GB"


@pytest.mark.parametrize(("maximum", "warned"), [(0, False), (2560, False), (2048, True)])
def test_a_container_larger_than_the_largest_is_told(maximum, warned):
    text = details(definition_of(size=SMALL), False, Rules(256), maximum).fits
    assert bool(text) is warned
    assert not warned or ("2.5 GB" in text and "2.0 GB" in text)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "everyone"),
        ({"visibility": "group", "groups": ("research",)}, "group research"),
        ({"visibility": "group", "groups": ("a", "b")}, "groups a, b"),
        ({"visibility": "private", "owner": "alice"}, "only alice"),
        ({"visibility": "private"}, "administrators"),
    ],
)
def test_who_may_use_a_kernel(fields, text):
    assert audience(definition_of(**fields)) == text


@pytest.mark.parametrize(
    ("resources", "logo"),
    [
        ({}, ""),
        ({"kernel.js": "/kernelspecs/spark/kernel.js"}, ""),
        ({"logo-64x64": "/services/gateway/user/a/kernelspecs/spark/logo-64x64.png?v=1"}, "logo-64x64.png"),
        ({"logo-64x64": "/x/logo-64x64.png", "logo-svg": "/x/logo-svg.svg"}, "logo-svg.svg"),
    ],
)
def test_pictures(resources, logo):
    assert logo_of(definition_of(resources=resources)) == logo


@pytest.mark.parametrize(("language", "badge"), [("python", "Py"), ("R", "R"), ("scala", "Sc"), ("", "Sp")])
def test_letters_for_a_kernel_without_picture(language, badge):
    assert card(definition_of(language=language), False, Rules(256)).badge == badge


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["spark", "big", "plain"]),
        ("SPARK", ["spark", "big"]),
        ("spark research", ["big"]),
        ("everyone", ["spark", "plain"]),
        ("nothing of the kind", []),
    ],
)
def test_search(query, names):
    definitions = [
        definition_of(name="plain", display_name="Python"),
        definition_of(name="big", display_name="Big Spark", visibility="group", groups=("research",)),
        definition_of(),
    ]
    assert [one.name for one in cards(definitions, "spark", Rules(256), query)] == names


def test_the_launcher_lists_the_default_first():
    definitions = [definition_of(name="a", display_name="Aaa"), definition_of()]
    assert launcher_names(definitions, "spark") == (("spark", "Spark (Python)"), ("a", "Aaa"))


@pytest.mark.parametrize(
    ("server", "label", "href"),
    [
        (Server(known=True), "Start my notebook", "/jh/hub/spawn"),
        (Server(), "Open my notebook", "/jh/hub/spawn"),
        (Server(known=True, running=True, url="/jh/user/a%20b/"), "Open JupyterLab", "/jh/user/a%20b/lab"),
        (Server(known=True, running=True), "Open JupyterLab", "/jh/user/a%20b/lab"),
        (Server(known=True, pending="spawn"), "See it start", "/jh/hub/spawn-pending/a%20b"),
        (Server(known=True, pending="stop"), "To the Hub's home page", "/jh/hub/home"),
    ],
)
def test_the_button_to_the_notebook(server, label, href):
    found = server_view(server, "a b", "/jh/", "/jh/hub/")
    assert (found.label, found.href) == (label, href)


@pytest.mark.parametrize(
    ("model", "server"),
    [
        ({}, Server()),
        (None, Server()),
        ({"servers": None}, Server()),
        ({"servers": {}}, Server(known=True)),
        ({"servers": {"other": {"ready": True}}}, Server(known=True)),
        (
            {"servers": {"": {"ready": True, "pending": None, "url": "/user/alice/"}}},
            Server(known=True, running=True, url="/user/alice/"),
        ),
        ({"servers": {"": {"ready": False, "pending": "spawn"}}}, Server(known=True, pending="spawn")),
    ],
)
def test_the_hubs_word_on_a_server(model, server):
    assert read_server(model) == server


def test_kernels_as_the_gateway_lists_them():
    model = {
        "id": KERNEL,
        "name": "spark",
        "last_activity": "2026-11-23T11:59:30.000000Z",
        "execution_state": "busy",
        "connections": 2,
        "remote_kernel": {"owner": "alice", "kernelspec": "spark", "started_at": "2026-11-23T11:00:00+00:00"},
    }
    (found,) = read_kernels([model, "noise"])
    assert (found.owner, found.state, found.connections) == ("alice", "busy", 2)
    assert NOW - found.started_at == timedelta(hours=1)
    assert NOW - found.last_activity == timedelta(seconds=30)
    (bare,) = read_kernels([{"id": KERNEL, "name": "spark", "last_activity": "yesterday"}])
    assert (bare.kernelspec, bare.state, bare.last_activity, bare.started_at) == ("spark", "unknown", None, None)
    assert read_kernels({"message": "no"}) == ()


def test_the_catalogue_as_the_gateway_gives_it():
    model = {"name": "spark", "spec": {"display_name": "Spark", "language": "python"}, "resources": {}}
    found = read_catalogue({"default": "spark", "kernelspecs": {"spark": model, "broken": None}})
    assert found.titles == {"spark": "Spark"}
    assert found.find("spark").display_name == "Spark"
    with pytest.raises(PublicError) as caught:
        found.find("other")
    assert caught.value.code == "no-such-kernelspec"
    assert read_catalogue([]) == Catalogue(default="", definitions=())
