import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_ext.cluster import Node
from hub_ext.limits import UNLIMITED
from hub_ext.limits.decide import Ask, limit_refusal, physical_refusal
from hub_ext.limits.largest import LEAST_HEAP_MB, largest_kernel
from hub_ext.limits.room import against, room_of
from hub_ext.sizes import KernelSize, footprint

from .limits_support import NODE, NOTEBOOKS, SMALL, cluster, held, limits, some_held, some_limits

GROUP = "group analytics"


def queue(**changes):
    return NOTEBOOKS.model_copy(update=changes)


def bounds(largest):
    return [one.field or one.what for one in largest.bound_by]


@pytest.mark.parametrize(
    ("given_limits", "has", "changes", "text", "first_bound"),
    [
        (
            {"driver_memory_mb": 2048, "executor_memory_mb": 2048, "executors": 3, "memory_mb": 16384},
            [("a", 2048, 1)],
            {},
            "1 driver of 2.0 GB and 3 executors of 2.0 GB (10.0 GB in YARN)",
            "executors",
        ),
        (
            {"driver_memory_mb": 1024, "executors": 0},
            [],
            {},
            "1 driver of 1.0 GB without executors (1.5 GB in YARN)",
            "executors",
        ),
        # the queue is the smaller bound
        (
            {"driver_memory_mb": 640, "queues": (("small",), GROUP)},
            [],
            {},
            "1 driver of 640 MB and 2 executors of 640 MB (3.0 GB in YARN)",
            "queue",
        ),
        # as much as is free now, on nodes that hold other things
        (
            {"driver_memory_mb": 640},
            [],
            {"nodes": (NODE.model_copy(update={"memory_used_mb": 3072}),)},
            "1 driver of 640 MB and 1 executor of 1.6 GB (3.0 GB in YARN)",
            "nodes",
        ),
        ({}, [], {}, "1 driver of 5.5 GB and 1 executor of 5.5 GB (12.0 GB in YARN)", "queue"),
        # A queue that gives drivers a tenth, as YARN does where nobody has set it, and has some already.
        (
            {},
            [],
            {"queues": (queue(am_maximum_mb=2048, am_maximum_vcores=4, am_used_mb=512, applications_running=1),)},
            "1 driver of 1.1 GB and 7 executors of 1.1 GB (12.0 GB in YARN)",
            "queue",
        ),
        # The first application of a queue is let in, however large.
        (
            {"executors": 0},
            [],
            {"queues": (queue(am_maximum_mb=2048, am_maximum_vcores=4),)},
            "1 driver of 5.5 GB without executors (6.0 GB in YARN)",
            "executors",
        ),
        # A user gets the queue's own share, once (user-limit-factor 1), and holds some of it.
        (
            {},
            [("a", 1024, 1)],
            {"queues": (queue(user_maximum_mb=4096, user_maximum_vcores=8),)},
            "1 driver of 2.6 GB without executors (3.0 GB in YARN)",
            "user",
        ),
        (
            {"memory_mb": 4096},
            [("a", 2048, 1)],
            {},
            "1 driver of 1.6 GB without executors (2.0 GB in YARN)",
            "memory_mb",
        ),
        (
            {"driver_memory_mb": 640, "cores": (2, GROUP)},
            [],
            {},
            "1 driver of 640 MB and 1 executor of 5.5 GB (7.0 GB in YARN)",
            "cores",
        ),
    ],
)
def test_the_largest_kernel_in_words(given_limits, has, changes, text, first_bound):
    found = largest_kernel(limits(**given_limits), held(*has), cluster(**changes))
    assert found.text == text
    assert bounds(found)[0] == first_bound


@pytest.mark.parametrize(
    ("given_limits", "has", "changes", "bound", "words"),
    [
        (
            {"kernels": (1, GROUP)},
            [("a", 0, 0)],
            {},
            "kernels",
            "Kernels: your limit is 1 kernel (from group analytics)",
        ),
        ({"memory_mb": 512}, [], {}, "memory_mb", "Memory of all kernels: your limit is 512 MB (the default)"),
        ({"memory_mb": 1024}, [("a", 4096, 1)], {}, "memory_mb", "4.0 GB are in use"),
        ({"driver_memory_mb": 0}, [], {}, "driver_memory_mb", "Driver memory: your limit is 0 MB"),
        (
            {"queues": (("gone",), "user")},
            [],
            {},
            "queues",
            "You may use no queue that is open (set for you by an administrator).",
        ),
        ({}, [], {"nodes": (NODE.model_copy(update={"memory_used_mb": 6144}),)}, "nodes", "what is larger waits"),
        ({}, [], {"nodes": ()}, "nodes", "The nodes have 0 MB free"),
        (
            {},
            [],
            {"queues": (queue(am_maximum_mb=1024, am_maximum_vcores=9, am_used_mb=512, applications_running=1),)},
            "drivers",
            "Queue notebooks has 512 MB and 9 vcores left for drivers; a larger one waits.",
        ),
        (
            {},
            [("a", 4096, 1)],
            {"queues": (queue(user_maximum_mb=4096, user_maximum_vcores=8),)},
            "user",
            "Queue notebooks gives you 0 MB and 7 vcores more; what is larger waits.",
        ),
    ],
)
def test_when_no_kernel_can_start_the_reason_is_told(given_limits, has, changes, bound, words):
    found = largest_kernel(limits(**given_limits), held(*has), cluster(**changes))
    assert (found.driver_memory_mb, found.text) == (0, "No kernel can start now.")
    assert bounds(found)[0] == bound
    assert words in found.bound_by[0].text


def test_it_is_plain_json():
    found = json.loads(json.dumps(largest_kernel(limits(executors=1), [], cluster()).as_json()))
    assert found["bound_by"][0] == {"text": "Executors: your limit is 1 executor (the default).", "field": "executors"}
    assert {"driver_memory_mb", "executor_cores", "memory_mb", "cores", "text", "queue"} <= set(found)


def test_the_queue_with_most_left_is_taken():
    busy = NOTEBOOKS.model_copy(update={"memory_used_mb": 11264})
    assert largest_kernel({}, [], cluster(queues=(busy, SMALL))).queue == "root.science.small"
    assert largest_kernel({}, [], cluster(queues=(busy, SMALL)), queue="notebooks").queue == "root.notebooks"
    # Nor one that has most left, but nothing for another driver, or for this user.
    for nothing in ({"am_maximum_mb": 512, "am_used_mb": 512, "applications_running": 1}, {"user_maximum_mb": 0}):
        closed = NOTEBOOKS.model_copy(update={"am_maximum_vcores": 9, "user_maximum_vcores": 9, **nothing})
        assert largest_kernel({}, [], cluster(queues=(closed, SMALL))).queue == "root.science.small"
    stopped = NOTEBOOKS.model_copy(update={"state": "STOPPED"})
    assert largest_kernel({}, [], cluster(queues=(stopped, SMALL))).queue == "root.science.small"


some_nodes = st.lists(
    st.builds(
        lambda total, used, vcores, busy: Node(
            id="n",
            host="n",
            state="RUNNING",
            memory_total_mb=total * 512,
            memory_used_mb=min(total, used) * 512,
            vcores_total=vcores,
            vcores_used=min(vcores, busy),
        ),
        st.integers(2, 24),
        st.integers(0, 8),
        st.integers(1, 12),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=5,
).map(tuple)


def numbers(least, most):
    return st.just(UNLIMITED) | st.integers(least, most)


#: Mostly enough for a kernel, unlike `some_limits`.
roomy_limits = st.fixed_dictionaries(
    {
        "driver_memory_mb": numbers(512, 6000),
        "driver_cores": numbers(1, 8),
        "executors": numbers(0, 8),
        "executor_memory_mb": numbers(400, 6000),
        "executor_cores": numbers(1, 8),
        "memory_mb": numbers(2000, 20_000),
        "cores": numbers(1, 30),
        "queues": st.sampled_from([UNLIMITED, ("notebooks",), ("root.science.small",)]),
    }
).map(lambda chosen: limits(**{field: (value, "default") for field, value in chosen.items()}))
few_held = st.lists(st.tuples(st.just("a"), st.integers(0, 2000), st.integers(0, 2)), max_size=1).map(
    lambda kernels: held(*kernels)
)


@settings(max_examples=150)
@given(
    roomy_limits | some_limits,
    few_held | some_held,
    some_nodes,
    st.sampled_from(["memory", "dominant"]),
    st.sampled_from([256, 1000]),
)
def test_it_starts_and_nothing_larger_does(chosen, has, nodes, calculator, step):
    total_mb, total_vcores = sum(one.memory_total_mb for one in nodes), sum(one.vcores_total for one in nodes)
    state = cluster(
        nodes=nodes,
        memory_total_mb=total_mb,
        vcores_total=total_vcores,
        resource_calculator=calculator,
        minimum_allocation_mb=step,
    )
    rules = state.rules()
    found = largest_kernel(chosen, has, state, rules)

    def refused(size):
        wanted = Ask("alice", "k", "K", size, footprint(size, rules), found.queue)
        return limit_refusal(wanted, chosen, has, state) or physical_refusal(wanted, state)

    room = room_of(chosen, has, state, state.queue(found.queue) if found.queue else None)

    def too_large(size):
        return bool(against(size, room, rules))

    if not found.driver_memory_mb:
        assert found.bound_by
        assert refused(KernelSize(LEAST_HEAP_MB)) or too_large(KernelSize(LEAST_HEAP_MB))
        return
    size = found.size
    assert refused(size) is None
    assert not too_large(size)
    assert (found.memory_mb, found.cores) == (footprint(size, rules).memory_mb, footprint(size, rules).vcores)
    heap = max(size.executor_memory_mb, LEAST_HEAP_MB)
    assert too_large(replace(size, executors=size.executors + 1, executor_memory_mb=heap))
    assert too_large(replace(size, driver_memory_mb=size.driver_memory_mb + 1))
    if size.executors:
        assert too_large(replace(size, executor_memory_mb=size.executor_memory_mb + 1))
        assert too_large(replace(size, executor_cores=size.executor_cores + 1)) or size.executor_cores == 1024
    # What a limit of its own bounds is refused, not only made to wait.
    if bounds(found)[0] in ("memory_mb", "executors"):
        assert refused(replace(size, executors=size.executors + 1, executor_memory_mb=heap))


def test_five_thousand_nodes_are_no_matter():
    nodes = tuple(
        NODE.model_copy(update={"id": str(n), "memory_total_mb": 262144, "memory_used_mb": n * 37, "vcores_total": 64})
        for n in range(5000)
    )
    totals = {"memory_total_mb": 5000 * 262144, "vcores_total": 320_000, "maximum_allocation_mb": 65536}
    found = largest_kernel(limits(memory_mb=UNLIMITED, executors=500), [], cluster(nodes=nodes, queues=(), **totals))
    assert found.executors == 500
