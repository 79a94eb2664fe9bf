"""Clusters, limits and kernels for tests of decisions."""

from hypothesis import strategies as st

from hub_ext.cluster import ClusterState, Node, Queue
from hub_ext.limits import UNLIMITED, ResolvedLimit
from hub_ext.limits.decide import Ask, Held
from hub_ext.sizes import KernelSize, footprint

NODE = Node(id="n1:1", host="n1", state="RUNNING", memory_total_mb=6144, vcores_total=8)
NOTEBOOKS = Queue(
    name="notebooks",
    path="root.notebooks",
    state="RUNNING",
    maximum_percent=100.0,
    maximum_memory_mb=12288,
    maximum_vcores=16,
)
SMALL = Queue(
    name="small",
    path="root.science.small",
    state="RUNNING",
    maximum_percent=25.0,
    maximum_memory_mb=3072,
    maximum_vcores=4,
    maximum_allocation_mb=1536,
    maximum_allocation_vcores=2,
)


def cluster(**changes):
    values = {
        "memory_total_mb": 12288,
        "vcores_total": 16,
        "nodes_active": 2,
        "nodes_total": 2,
        "minimum_allocation_mb": 256,
        "maximum_allocation_mb": 6144,
        "maximum_allocation_vcores": 8,
        "resource_calculator": "dominant",
        "nodes": (NODE, NODE.model_copy(update={"id": "n2:1", "host": "n2"})),
        "queues": (NOTEBOOKS, SMALL),
    }
    return ClusterState(**{**values, **changes})


def limits(**values):
    """Make limits: a value, or (value, source)."""
    return {
        field: ResolvedLimit(*given) if isinstance(given, tuple) and given and given[-1] in SOURCES else limit(given)
        for field, given in values.items()
    }


SOURCES = ("default", "user", "group analytics")


def limit(value):
    return ResolvedLimit(value, "default")


def ask(size, queue="notebooks", rules=None, name="spark_big", title="Spark big"):
    return Ask("alice", name, title, size, footprint(size, rules or cluster().rules()), queue)


def held(*kernels):
    """Make kernels out of (kernelspec, memory, cores)."""
    return [Held(f"id-{index}", name, memory, cores) for index, (name, memory, cores) in enumerate(kernels)]


sizes = st.builds(
    KernelSize,
    driver_memory_mb=st.integers(1, 9000),
    driver_cores=st.integers(1, 10),
    executors=st.integers(0, 6),
    executor_memory_mb=st.integers(1, 9000),
    executor_cores=st.integers(1, 10),
    executor_overhead_mb=st.none() | st.integers(0, 4000),
    off_heap_mb=st.none() | st.integers(0, 1000),
    executors_max=st.none() | st.integers(0, 8),
)
some_held = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 8000), st.integers(0, 8)), max_size=5).map(
    lambda kernels: held(*kernels)
)


def values(most):
    """Often unlimited, seldom nothing at all."""
    return st.just(UNLIMITED) | st.just(UNLIMITED) | st.integers(most // 4, most) | st.integers(0, most)


some_limits = st.fixed_dictionaries(
    {
        "driver_memory_mb": values(8000),
        "driver_cores": values(10),
        "executors": values(8),
        "executor_memory_mb": values(8000),
        "executor_cores": values(10),
        "kernels": values(6),
        "memory_mb": values(40_000),
        "cores": values(60),
        "queues": st.sampled_from([UNLIMITED, UNLIMITED, ("notebooks",), ("root.science.small",), ()]),
    }
).map(lambda chosen: {field: limit(value) for field, value in chosen.items()})
