import pytest

from hadoop_edge.starts import start_states, used_percent
from hub_ext.cluster import Application, ClusterState, Queue

IDS = [f"{number:08d}-0f9d-4a53-9d0e-1f2a3b4c5d6e" for number in range(6)]
QUEUES = (
    Queue(name="notebooks", path="root.notebooks", state="RUNNING", used_percent=40.0, maximum_percent=80.0),
    Queue(name="small", path="root.small", state="RUNNING", used_percent=30.0, maximum_percent=20.0),
    Queue(name="endless", path="root.endless", state="RUNNING"),
)
STATE = ClusterState(queues=QUEUES)


def application(number, kernel, state="ACCEPTED", **more):
    given = {"id": f"application_1795_{number:04d}", "user": "u", "queue": "root.notebooks", "state": state}
    return Application(**{**given, "tags": () if kernel is None else (IDS[kernel],), **more})


CLUSTER = [
    application(1, None),
    application(2, 0),
    application(3, 1, "RUNNING", containers=1, host="n17"),
    application(4, 2, queue="root.small"),
    application(5, None, containers=1),
    application(6, 3, queue="notebooks", diagnostics="x" * 900),
    application(7, 4, "KILLED"),
    application(10, 5, "SUBMITTED"),
]


def test_ahead_are_those_that_came_earlier_into_the_same_queue_and_wait_too():
    found = {one.kernel_id: one for one in start_states(IDS, CLUSTER[::-1], STATE)}
    assert set(found) == {IDS[0], IDS[1], IDS[2], IDS[3], IDS[5]}
    assert [found[IDS[number]].ahead for number in (0, 2, 3, 5)] == [1, 0, 2, 3]
    assert (found[IDS[1]].state, found[IDS[1]].host) == ("RUNNING", "n17")
    assert len(found[IDS[3]].diagnostics) == 500
    assert start_states([], CLUSTER, STATE) == ()


def test_a_restarted_kernels_newest_application_is_told():
    found = start_states(IDS[:1], [application(2, 0), application(11, 0, "RUNNING")], STATE)
    assert [one.state for one in found] == ["RUNNING"]


@pytest.mark.parametrize(
    ("queue", "expected"), [("root.notebooks", 50), ("small", 100), ("endless", None), ("nowhere", None)]
)
def test_how_full_a_queue_is_counts_from_what_it_may_have(queue, expected):
    assert used_percent(queue, STATE) == expected
