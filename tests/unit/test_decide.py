from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.cluster import Queue
from hub_ext.limits import UNLIMITED
from hub_ext.limits.decide import Ask, limit_refusal, physical_refusal
from hub_ext.sizes import NOTHING, UNBOUNDED_EXECUTORS, KernelSize

from .limits_support import NODE, ask, cluster, held, limits, sizes, some_held, some_limits

SPARK = KernelSize(1664, 1, 2, 3712, 2)  # 2048 + 2 x 4096 MiB, 5 vcores
OUTSIDE = Ask("alice", "local", "Local", None, NOTHING)


def code(refusal):
    return refusal.code if refusal else None


@pytest.mark.parametrize(
    ("given", "has", "expected"),
    [
        ({}, (), None),
        ({"memory_mb": UNLIMITED, "executors": UNLIMITED, "queues": UNLIMITED}, (), None),
        # exactly as much as allowed, and one less
        ({"memory_mb": 10240}, (), None),
        ({"memory_mb": 10239}, (), "over-total-limit"),
        ({"memory_mb": 12288}, (("a", 2048, 1),), None),
        ({"memory_mb": 12287}, (("a", 2048, 1),), "over-total-limit"),
        ({"cores": 5}, (), None),
        ({"cores": 4}, (), "over-total-limit"),
        ({"kernels": 2}, (("a", 0, 0),), None),
        ({"kernels": 1}, (("a", 0, 0),), "too-many-kernels"),
        ({"kernels": 0}, (), "too-many-kernels"),
        ({"driver_memory_mb": 1664}, (), None),
        ({"driver_memory_mb": 1663}, (), "over-kernel-limit"),
        ({"driver_cores": 0}, (), "over-kernel-limit"),
        ({"executors": 2}, (), None),
        ({"executors": 1}, (), "over-kernel-limit"),
        ({"executors": 0}, (), "over-kernel-limit"),
        ({"executor_memory_mb": 3711}, (), "over-kernel-limit"),
        ({"executor_cores": 1}, (), "over-kernel-limit"),
        ({"memory_mb": 0}, (), "over-total-limit"),
        ({"queues": ("notebooks", "default")}, (), None),
        ({"queues": ("root.notebooks",)}, (), None),
        ({"queues": ("science",)}, (), "queue-not-allowed"),
        ({"queues": ()}, (), "queue-not-allowed"),
        # the order: queue, the kernel itself, number of kernels, totals
        ({"queues": (), "executors": 0, "kernels": 0, "memory_mb": 0}, (), "queue-not-allowed"),
        ({"executors": 0, "kernels": 0, "memory_mb": 0}, (), "over-kernel-limit"),
        ({"kernels": 0, "memory_mb": 0}, (), "too-many-kernels"),
    ],
)
def test_own_limits(given, has, expected):
    assert code(limit_refusal(ask(SPARK), limits(**given), held(*has))) == expected


def test_a_driver_alone_is_not_measured_by_limits_of_executors():
    alone = ask(KernelSize(1664, executor_memory_mb=9999, executor_cores=99))
    assert limit_refusal(alone, limits(executors=0, executor_memory_mb=0, executor_cores=0), []) is None


def test_a_kernel_outside_yarn_counts_as_a_kernel_and_nothing_else():
    nothing = limits(memory_mb=0, cores=0, driver_memory_mb=0, queues=())
    assert limit_refusal(OUTSIDE, nothing, held(("a", 4096, 1))) is None
    assert code(limit_refusal(OUTSIDE, limits(kernels=1), held(("a", 0, 0)))) == "too-many-kernels"
    assert physical_refusal(OUTSIDE, cluster(queues=(), nodes=())) is None


@pytest.mark.parametrize(("memory_mb", "expected"), [(5119, "over-total-limit"), (5120, None)])
def test_dynamic_allocation_counts_at_its_maximum(memory_mb, expected):
    size = KernelSize(640, executors=1, executor_memory_mb=640, executors_max=4)
    assert code(limit_refusal(ask(size), limits(memory_mb=memory_mb), [])) == expected


@pytest.mark.parametrize("field", ["executors", "memory_mb", "cores"])
def test_dynamic_allocation_without_a_maximum_is_refused_by_every_finite_limit(field):
    size = KernelSize(640, executor_memory_mb=640, executors_max=UNBOUNDED_EXECUTORS)
    refusal = limit_refusal(ask(size), limits(**{field: 10_000_000}), [])
    assert refusal.code in ("over-kernel-limit", "over-total-limit")
    assert "spark.dynamicAllocation.maxExecutors" in str(refusal)
    assert refusal.numbers["asked"] == UNLIMITED
    assert limit_refusal(ask(size), limits(**{field: UNLIMITED}), []) is None
    for state in (cluster(), cluster(queues=(), nodes=(), memory_total_mb=0, vcores_total=0)):
        refusal = physical_refusal(ask(size), state)
        assert (refusal.code, refusal.numbers["asked"]) == ("queue-too-small", UNLIMITED)
        assert "spark.dynamicAllocation.maxExecutors" in str(refusal)


@pytest.mark.parametrize(
    ("queue", "allowed", "expected"),
    [
        ("small", ("root.science.small",), None),
        ("root.science.small", ("small",), None),
        ("science.small", ("root.science.small",), None),
        ("small", ("root.other.small",), "queue-not-allowed"),
        (None, ("default",), None),
        (None, ("notebooks",), "queue-not-allowed"),
    ],
)
def test_a_queue_may_be_named_short(queue, allowed, expected):
    refusal = limit_refusal(ask(KernelSize(640), queue), limits(queues=(allowed, "default")), [], cluster())
    assert code(refusal) == expected


def test_without_the_cluster_a_short_name_is_no_path():
    """Another queue may have the same name at its end."""
    assert limit_refusal(ask(KernelSize(640), "science.small"), limits(queues=(("small",), "default")), []) is not None


def test_two_queues_of_one_name_are_told_apart():
    other = Queue(name="small", path="root.other.small", state="RUNNING")
    state = cluster(queues=(*cluster().queues, other))
    assert state.queue("small") is None
    assert state.queue("other.small") is other
    refusal = limit_refusal(
        ask(KernelSize(640), "other.small"), limits(queues=(("science.small",), "default")), [], state
    )
    assert code(refusal) == "queue-not-allowed"


@pytest.mark.parametrize(
    ("size", "queue", "changes", "expected", "numbers"),
    [
        (SPARK, "notebooks", {}, None, {}),
        (KernelSize(640), "nowhere", {}, "unknown-queue", {"asked": "nowhere"}),
        (KernelSize(640), "nowhere", {"queues_fixed": False}, None, {}),
        (KernelSize(640), "nowhere", {"queues": ()}, None, {}),
        (KernelSize(640), None, {}, None, {}),
        # 5586 + 558 = 6144, the largest container
        (KernelSize(5586), "notebooks", {}, None, {}),
        (KernelSize(5587), "notebooks", {}, "container-too-large", {"part": "driver", "asked": 6400, "limit": 6144}),
        (
            KernelSize(640, executors=1, executor_memory_mb=5587),
            "notebooks",
            {},
            "container-too-large",
            {"part": "executor", "asked": 6400, "limit": 6144, "source": "cluster"},
        ),
        (KernelSize(640, 9), "notebooks", {}, "container-too-large", {"field": "cores", "asked": 9, "limit": 8}),
        (
            KernelSize(640, 9),
            "notebooks",
            {"resource_calculator": "memory"},
            "container-too-large",
            {"field": "cores", "asked": 9, "limit": 8},
        ),
        (
            KernelSize(1400),
            "small",
            {},
            "container-too-large",
            {"asked": 1792, "limit": 1536, "source": "queue root.science.small"},
        ),
        (
            KernelSize(3000),
            "notebooks",
            {"nodes": (NODE.model_copy(update={"memory_total_mb": 3072}),)},
            "node-too-small",
            {"part": "driver", "field": "memory_mb", "asked": 3584, "limit": 3072},
        ),
        # a large node that does not work does not count
        (
            KernelSize(3000),
            "notebooks",
            {"nodes": (NODE.model_copy(update={"memory_total_mb": 3072}), NODE.model_copy(update={"state": "LOST"}))},
            "node-too-small",
            {},
        ),
        (
            KernelSize(640, 8),
            "notebooks",
            {"nodes": (NODE.model_copy(update={"vcores_total": 6}),)},
            "node-too-small",
            {"field": "cores", "asked": 8, "limit": 6},
        ),
        (
            KernelSize(640, 8),
            "notebooks",
            {"nodes": (NODE.model_copy(update={"vcores_total": 6}),), "resource_calculator": "memory"},
            None,
            {},
        ),
        (KernelSize(3000), "notebooks", {"nodes": ()}, None, {}),
        (KernelSize(640, executors=11, executor_memory_mb=640), "notebooks", {}, None, {}),
        (
            KernelSize(640, executors=12, executor_memory_mb=640),
            "notebooks",
            {},
            "queue-too-small",
            {"field": "memory_mb", "asked": 13312, "limit": 12288, "source": "queue root.notebooks"},
        ),
        (
            KernelSize(640, executors=4, executor_memory_mb=512, executor_cores=4),
            "notebooks",
            {},
            "queue-too-small",
            {"field": "cores", "asked": 17, "limit": 16},
        ),
    ],
)
def test_what_the_cluster_could_never_give(size, queue, changes, expected, numbers):
    state = cluster(**changes)
    refusal = physical_refusal(ask(size, queue, state.rules()), state)
    assert code(refusal) == expected
    if refusal:
        assert {name: refusal.numbers[name] for name in numbers} == numbers
        assert refusal.status == 409


def test_a_queue_that_tells_only_its_share():
    queue = Queue(name="half", path="root.half", state="RUNNING", maximum_percent=50.0)
    state = cluster(queues=(queue,))
    size = KernelSize(640, executors=6, executor_memory_mb=640)
    refusal = physical_refusal(ask(size, "half"), state)
    assert (refusal.code, refusal.numbers["asked"], refusal.numbers["limit"]) == ("queue-too-small", 7168, 6144)


def total(held_kernels, what):
    return sum(getattr(one, what) for one in held_kernels)


@given(sizes, some_limits, some_held)
def test_what_fits_is_never_refused_and_what_does_not_always_is(size, chosen, has):
    wanted = ask(size)
    numbers = {field: limit.value for field, limit in chosen.items() if isinstance(limit.value, int)}
    asked = {
        "driver_memory_mb": size.driver_memory_mb,
        "driver_cores": size.driver_cores,
        "executors": size.largest_executors,
        "executor_memory_mb": size.executor_memory_mb if size.largest_executors else 0,
        "executor_cores": size.executor_cores if size.largest_executors else 0,
        "kernels": len(has) + 1,
        "memory_mb": total(has, "memory_mb") + wanted.footprint.memory_mb,
        "cores": total(has, "cores") + wanted.footprint.vcores,
    }
    fits = all(asked[field] <= most for field, most in numbers.items())
    in_queue = chosen["queues"].value in (UNLIMITED, ("notebooks",))
    refusal = limit_refusal(wanted, chosen, has, cluster())
    assert (refusal is None) == (fits and in_queue)


@given(sizes, some_limits, some_held)
def test_the_numbers_of_a_refusal_add_up(size, chosen, has):
    refusal = limit_refusal(ask(size), chosen, has, cluster())
    if refusal is None or refusal.code == "queue-not-allowed":
        return
    numbers = refusal.numbers
    limit = chosen[numbers["field"]]
    assert (numbers["limit"], numbers["source"]) == (limit.value, limit.source)
    assert numbers["used"] + numbers["asked"] > numbers["limit"]
    assert numbers["free"] == max(0, numbers["limit"] - numbers["used"]) == numbers["largest"]
    used = {"kernels": len(has), "memory_mb": total(has, "memory_mb"), "cores": total(has, "cores")}
    assert numbers["used"] == used.get(numbers["field"], 0)


@given(sizes, st.sampled_from(["notebooks", "small"]), st.sampled_from(["memory", "dominant"]))
def test_the_cluster_refuses_what_it_can_not_hold_and_nothing_else(size, queue, calculator):
    state = cluster(resource_calculator=calculator)
    found = state.queue(queue)
    wanted = ask(size, queue, state.rules())
    most_mb = found.maximum_allocation_mb or state.maximum_allocation_mb
    most_cores = found.maximum_allocation_vcores or state.maximum_allocation_vcores
    cores = max(size.driver_cores, size.executor_cores if size.largest_executors else 0)
    fits = (
        max(wanted.footprint.driver_mb, wanted.footprint.executor_mb) <= most_mb
        and cores <= most_cores
        and wanted.footprint.memory_mb <= found.maximum_memory_mb
        and (calculator == "memory" or wanted.footprint.vcores <= found.maximum_vcores)
    )
    assert (physical_refusal(wanted, state) is None) == fits


def test_a_queue_is_named_only_where_its_own_largest_container_is_smaller_than_the_clusters():
    """Every queue tells a maximum; mostly it is the cluster's."""
    state = cluster()
    same = tuple(
        one.model_copy(update={"maximum_allocation_mb": 6144, "maximum_allocation_vcores": 8}) for one in state.queues
    )
    for queues, words, source in (
        (same, "the largest container that this cluster gives", "cluster"),
        (
            tuple(one.model_copy(update={"maximum_allocation_mb": 5120}) for one in state.queues),
            "the largest container that queue notebooks gives",
            "queue root.notebooks",
        ),
    ):
        refusal = physical_refusal(ask(KernelSize(9000), "notebooks"), state.model_copy(update={"queues": queues}))
        assert words in refusal.message
        assert refusal.numbers["source"] == source


@pytest.mark.parametrize(
    ("given_limits", "code"),
    [
        ({}, None),
        ({"kernels": 3, "idle_timeout": 60}, None),
        ({"memory_mb": 10**6}, "size-unknown"),
        ({"cores": 10**6}, "size-unknown"),
        ({"executors": 10**6}, "size-unknown"),
        ({"queues": ("notebooks",)}, "size-unknown"),
    ],
)
def test_a_kernel_of_unknown_size_starts_only_for_who_has_no_limit_on_it(given_limits, code):
    asked = replace(ask(KernelSize(640), "notebooks"), size_unknown=True)
    refusal = limit_refusal(asked, limits(**given_limits), ())
    assert (refusal.code if refusal else None) == code
    assert refusal is None or "--properties-file" in str(refusal)
