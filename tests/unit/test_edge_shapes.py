"""What the ResourceManager writes, in every form that a version of it writes, becomes the same plain data."""

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from hadoop_edge import schedulers, shapes
from hub_ext.names import application_order

RECORDED = Path(__file__).parent.parent / "fixtures" / "yarn"


def recorded(name):
    return json.loads((RECORDED / name).read_text())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, []),
        ({}, []),
        ({"app": None}, []),
        ({"app": []}, []),
        ({"app": {"id": "a"}}, [{"id": "a"}]),
        ({"app": [{"id": "a"}, {"id": "b"}]}, [{"id": "a"}, {"id": "b"}]),
        ({"app": [{"id": "a"}, "noise", None]}, [{"id": "a"}]),
        ([{"id": "a"}], [{"id": "a"}]),
        ("noise", []),
        (7, []),
    ],
)
def test_a_list_in_any_form(written, expected):
    assert shapes.items(written, "app") == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (12, 12),
        ("12", 12),
        (12.9, 12),
        ("12.9", 12),
        (-1, 0),
        ("NaN", 0),
        (float("inf"), 0),
        (True, 0),
        (None, 0),
        ({}, 0),
    ],
)
def test_a_whole_number_in_any_form(written, expected):
    assert shapes.whole(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"), [(True, True), ("true", True), (False, False), ("no", False), (None, False)]
)
def test_a_truth_in_any_form(written, expected):
    assert shapes.truth(written) is expected


def test_totals_of_a_running_cluster():
    assert shapes.totals(recorded("metrics.json")) == {
        "memory_used_mb": 1536,
        "memory_total_mb": 12288,
        "vcores_used": 2,
        "vcores_total": 16,
        "nodes_active": 2,
        "nodes_total": 2,
        "applications_running": 1,
        "applications_waiting": 0,
    }


def test_totals_of_a_version_without_partitions():
    metrics = {"allocatedMB": "2048", "totalMB": 8192, "allocatedVirtualCores": 2, "totalVirtualCores": 8}
    found = shapes.totals({"clusterMetrics": metrics})
    assert (found["memory_used_mb"], found["memory_total_mb"]) == (2048, 8192)
    assert (found["vcores_used"], found["vcores_total"]) == (2, 8)


def test_totals_count_labelled_nodes_too():
    across = {
        "totalMB": 1000,
        "totalClusterResourcesAcrossPartition": {"memory": 3000, "vCores": 12},
        "totalUsedResourcesAcrossPartition": {"memory": 1500, "vCores": 3},
        "crossPartitionMetricsAvailable": "true",
    }
    found = shapes.totals({"clusterMetrics": across})
    assert (found["memory_used_mb"], found["memory_total_mb"]) == (1500, 3000)


def test_nodes_taken_out_on_purpose_are_not_missing():
    counts = {"totalNodes": 9, "activeNodes": 5, "unhealthyNodes": 1, "decommissionedNodes": 2, "shutdownNodes": 1}
    found = shapes.totals({"clusterMetrics": counts})
    assert (found["nodes_active"], found["nodes_total"]) == (5, 6)


def test_nodes():
    found = shapes.nodes(recorded("nodes.json"))
    assert [(one.host, one.state, one.memory_used_mb, one.memory_total_mb, one.vcores_total) for one in found] == [
        ("127.0.0.2", "RUNNING", 768, 6144, 8),
        ("127.0.0.3", "RUNNING", 768, 6144, 8),
    ]


@pytest.mark.parametrize("name", ["apps-none.json", "nodes-none.json"])
def test_nothing_is_an_empty_list(name):
    assert shapes.applications(recorded(name)) == ()
    assert shapes.nodes(recorded(name)) == ()


def test_a_running_application():
    (found,) = shapes.applications(recorded("apps-running.json"))
    assert found.id == "application_1795385647058_0016"
    assert (found.user, found.queue, found.state, found.final_status) == (
        "bob",
        "root.notebooks",
        "RUNNING",
        "UNDEFINED",
    )
    assert found.tags == ("f9ed359d-07f3-45e0-a3f6-b7f676625dd8", "labkernel")
    assert (found.memory_mb, found.vcores, found.containers) == (1536, 2, 2)
    assert found.started_at == datetime(2026, 11, 22, 22, 20, 53, 157000, tzinfo=timezone.utc)
    assert found.finished_at is None
    assert not found.ended


def test_waiting_applications_say_what_they_wait_for():
    found = shapes.applications(recorded("apps-waiting.json"))
    assert [one.id[-4:] for one in found] == ["0042", "0041", "0040"]
    assert any("AM resource limit exceeded" in one.diagnostics for one in found)


def test_ended_applications_hold_nothing_and_keep_their_cause():
    found = {one.id[-4:]: one for one in shapes.applications(recorded("apps-ended.json"))}
    assert all(one.ended and one.memory_mb == 0 and one.containers == 0 for one in found.values())
    assert (found["0003"].state, found["0003"].final_status) == ("FINISHED", "SUCCEEDED")
    assert "beyond the 'PHYSICAL' memory limit" in found["0001"].diagnostics
    assert "does not exist" in found["0042"].diagnostics


def test_long_diagnostics_keep_beginning_and_end():
    text = "cause " + "x" * 60_000 + " tail"
    (found,) = shapes.applications({"apps": {"app": {"id": "application_1_1", "diagnostics": text}}})
    assert found.diagnostics.startswith("cause ")
    assert found.diagnostics.endswith(" tail")
    assert len(found.diagnostics) < 8100


def test_an_application_that_is_hidden_from_us_has_no_start():
    (found,) = shapes.applications(recorded("apps-withheld.json"))
    assert found.started_at is None
    assert found.memory_mb == 0


@pytest.mark.parametrize(
    ("identifier", "order"),
    [
        ("application_17_0009", (17, 9)),
        ("application_17_12345", (17, 12345)),
        ("", (0, 0)),
        ("application_x_1", (0, 0)),
    ],
)
def test_order_of_application_ids(identifier, order):
    assert application_order(identifier) == order


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({"property": {"key": "a", "value": "256"}}, "256"),
        ({"properties": [{"key": "a", "value": "512"}]}, "512"),
        ({"properties": []}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_setting(answer, value):
    assert shapes.setting(answer) == value


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("app-not-found.json", "app with id: application_1795383246853_0099 not found"),
        ("no-such-path.json", "Not Found"),
        ("metrics.json", ""),
    ],
)
def test_text_of_an_error(name, expected):
    assert shapes.error_text(recorded(name)) == expected


def test_capacity_scheduler():
    found = schedulers.scheduler(recorded("scheduler.json"))
    assert (found.kind, found.maximum_allocation_mb, found.maximum_allocation_vcores) == ("capacityScheduler", 4096, 4)
    queues = {one.path: one for one in found.queues}
    assert sorted(queues) == ["root.default", "root.notebooks", "root.small"]
    notebooks = queues["root.notebooks"]
    assert (notebooks.capacity_percent, notebooks.maximum_percent, notebooks.used_percent) == (60.0, 100.0, 12.5)
    assert (notebooks.memory_used_mb, notebooks.vcores_used) == (1536, 2)
    assert (notebooks.applications_running, notebooks.applications_waiting) == (1, 0)
    small = queues["root.small"]
    assert small.maximum_percent == 10.0
    assert (small.maximum_memory_mb, small.maximum_vcores) == (1228, 1)
    assert (small.maximum_allocation_mb, small.maximum_allocation_vcores) == (1024, 4)
    assert (notebooks.maximum_memory_mb, notebooks.maximum_allocation_mb) == (12288, 4096)
    assert found.calculator == "dominant"
    assert found.queues_fixed


def test_capacity_scheduler_that_counts_memory_alone():
    assert schedulers.scheduler(recorded("scheduler-memory.json")).calculator == "memory"


@pytest.mark.parametrize(
    "queue",
    [
        {"autoCreateChildQueueEnabled": "true"},
        {"autoCreationEligibility": "flexible"},
        {"autoCreationEligibility": "legacy"},
    ],
)
def test_capacity_scheduler_that_makes_queues(queue):
    parent = {"queueName": "users", "queueType": "parent", **queue}
    info = {"type": "capacityScheduler", "queueName": "root", "queues": {"queue": [parent]}}
    assert not schedulers.scheduler({"scheduler": {"schedulerInfo": info}}).queues_fixed


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({"property": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]}, "2"),
        ({"property": {"name": "b", "value": "2"}}, "2"),
        ({"property": None}, ""),
        (None, ""),
    ],
)
def test_a_setting_of_the_scheduler(answer, value):
    assert shapes.scheduler_setting(answer, "b") == value


def test_capacity_scheduler_that_holds_applications_back():
    queues = {one.name: one for one in schedulers.scheduler(recorded("scheduler-waiting.json")).queues}
    assert sum(one.applications_waiting for one in queues.values()) >= 1


def test_capacity_scheduler_of_an_older_version():
    """No paths, a single child as an object, leaves with ``queues: null``."""
    leaf = {"queueName": "adhoc", "state": "RUNNING", "queues": None, "absoluteCapacity": "40.0"}
    parent = {"queueName": "science", "queues": {"queue": leaf}}
    info = {"type": "capacityScheduler", "queueName": "root", "queues": {"queue": [parent]}}
    (found,) = schedulers.scheduler({"scheduler": {"schedulerInfo": info}}).queues
    assert (found.path, found.name, found.capacity_percent) == ("root.science.adhoc", "adhoc", 40.0)


def test_fair_scheduler():
    leaf = {
        "type": "fairSchedulerLeafQueueInfo",
        "queueName": "root.users.alice",
        "usedResources": {"memory": 4096, "vCores": 3},
        "maxResources": {"memory": 16384, "vCores": 16},
        "steadyFairResources": {"memory": 8192, "vCores": 8},
        "numActiveApps": 2,
        "numPendingApps": 1,
    }
    users = {"queueName": "root.users", "childQueues": {"queue": [leaf]}}
    root = {"queueName": "root", "clusterResources": {"memory": 16384, "vCores": 16}, "childQueues": {"queue": users}}
    found = schedulers.scheduler({"scheduler": {"schedulerInfo": {"type": "fairScheduler", "rootQueue": root}}})
    (queue,) = found.queues
    assert (queue.name, queue.path) == ("alice", "root.users.alice")
    assert (queue.capacity_percent, queue.maximum_percent, queue.used_percent) == (50.0, 100.0, 25.0)
    assert (queue.applications_running, queue.applications_waiting, queue.vcores_used) == (2, 1, 3)
    assert (queue.maximum_memory_mb, queue.maximum_vcores) == (16384, 16)
    assert (found.calculator, found.queues_fixed) == ("dominant", False)


def test_fifo_scheduler():
    info = {"type": "fifoScheduler", "qstate": "RUNNING", "usedCapacity": 0.25, "usedNodeMemory": 2048}
    found = schedulers.scheduler({"scheduler": {"schedulerInfo": info}})
    assert found.calculator == "memory"
    (queue,) = found.queues
    assert (queue.name, queue.used_percent, queue.memory_used_mb) == ("default", 25.0, 2048)


@pytest.mark.parametrize("answer", [None, {}, {"scheduler": None}, {"scheduler": {"schedulerInfo": {"type": "new"}}}])
def test_an_unknown_scheduler_has_no_queues(answer):
    assert schedulers.scheduler(answer).queues == ()


def test_what_a_queue_gives_to_drivers_and_to_one_user_is_read():
    queues = {one.name: one for one in schedulers.scheduler(recorded("scheduler.json")).queues}
    found = [
        (one.am_maximum_mb, one.am_maximum_vcores, one.am_used_mb, one.user_maximum_mb, one.user_maximum_vcores)
        for one in queues.values()
    ]
    assert (11264, 15, 0, 36860, 40) in found


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.0, (3686, 4)), (0.5, (1843, 2)), (-1.0, (None, None)), (None, (None, None))]
)
def test_a_factor_below_nothing_bounds_no_user(factor, expected):
    answer = recorded("scheduler.json")
    leaf = answer["scheduler"]["schedulerInfo"]["queues"]["queue"][0]
    leaf["userLimitFactor"] = factor
    (found,) = [one for one in schedulers.scheduler(answer).queues if one.name == leaf["queueName"]]
    assert (found.user_maximum_mb, found.user_maximum_vcores) == expected
