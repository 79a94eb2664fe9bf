import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.sizes import NOTHING, KernelSize, Rules, exact_mb, footprint, human_mb, overhead_mb, round_up_mb


@pytest.mark.parametrize(
    ("heap", "explicit", "expected"),
    [(1024, None, 384), (4096, None, 409), (8192, None, 819), (512, 128, 128), (900, 0, 0)],
)
def test_overhead_is_sparks_rule(heap, explicit, expected):
    assert overhead_mb(heap, explicit) == expected


@pytest.mark.parametrize(
    ("asked", "minimum", "expected"), [(1408, 1024, 2048), (4505, 1024, 5120), (1408, 256, 1536), (1024, 1024, 1024)]
)
def test_rounding_is_the_schedulers(asked, minimum, expected):
    assert round_up_mb(asked, minimum) == expected


def test_a_minimum_allocation_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        round_up_mb(100, 0)


def test_footprint_counts_driver_and_every_executor():
    size = KernelSize(driver_memory_mb=640, executors=3, executor_memory_mb=1024, executor_cores=2)
    found = footprint(size, Rules(256))
    assert (found.driver_mb, found.executor_mb) == (1024, 1536)
    assert (found.memory_mb, found.vcores, found.containers) == (1024 + 3 * 1536, 1 + 3 * 2, 4)


def test_a_kernel_without_executors_is_its_driver():
    assert footprint(KernelSize(driver_memory_mb=640), Rules(256)).memory_mb == 1024


sizes = st.builds(
    KernelSize,
    driver_memory_mb=st.integers(1, 100_000),
    executors=st.integers(0, 50),
    executor_memory_mb=st.integers(1, 100_000),
)


@given(sizes, st.integers(1, 4096))
def test_allocation_is_a_multiple_and_never_below_what_was_asked(size, minimum):
    found = footprint(size, Rules(minimum))
    asked = size.driver_memory_mb + overhead_mb(size.driver_memory_mb)
    assert found.driver_mb % minimum == 0
    assert asked <= found.driver_mb < asked + minimum
    assert found.memory_mb == found.driver_mb + size.executors * found.executor_mb


@pytest.mark.parametrize(("mb", "text"), [(640, "640 MB"), (2048, "2.0 GB"), (1992294, "1.9 TB")])
def test_memory_in_words(mb, text):
    assert human_mb(mb) == text


EXPLICIT = KernelSize(
    512,
    2,
    executors=2,
    executor_memory_mb=512,
    executor_cores=2,
    driver_overhead_mb=700,
    executor_overhead_mb=150,
)
DYNAMIC = KernelSize(
    600,
    2,
    executors=1,
    executor_memory_mb=600,
    executor_cores=2,
    overhead_factor=0.7,
    pyspark_memory_mb=100,
    off_heap_mb=64,
    executors_max=2,
)
#: What a real ResourceManager (YARN 3.5.0, Spark 4.3.0, steps of 256 MiB) reported as allocated when all containers
#: were there; tests/integration/test_sizes_in_yarn.py starts these kernels. The driver gets no off-heap memory.
RECORDED = [
    (KernelSize(640), "dominant", (1024, 1, 1)),
    (EXPLICIT, "dominant", (2816, 6, 3)),
    (KernelSize(1000, executors=1, executor_memory_mb=900, overhead_factor=0.55), "dominant", (3328, 2, 2)),
    (KernelSize(700, executors=1, executor_memory_mb=660, overhead_factor=0.2), "dominant", (2560, 2, 2)),
    (KernelSize(640, executors=1, executor_memory_mb=512, pyspark_memory_mb=300), "dominant", (2304, 2, 2)),
    (KernelSize(700, executors=1, executor_memory_mb=512, off_heap_mb=200), "dominant", (2560, 2, 2)),
    (
        KernelSize(640, executors=4, executor_memory_mb=512, executor_cores=3, executor_overhead_mb=1),
        "dominant",
        (4096, 13, 5),
    ),
    (KernelSize(640, executor_memory_mb=512, executors_max=3), "dominant", (4096, 4, 4)),
    (DYNAMIC, "dominant", (3584, 6, 3)),
    # The same two kernels where the scheduler has DefaultResourceCalculator.
    (EXPLICIT, "memory", (2816, 3, 3)),
    (DYNAMIC, "memory", (3584, 3, 3)),
]


@pytest.mark.parametrize(("size", "calculator", "allocated"), RECORDED)
def test_what_a_real_cluster_allocated(size, calculator, allocated):
    found = footprint(size, Rules(256, calculator, maximum_allocation_mb=6144))
    assert (found.memory_mb, found.vcores, found.containers) == allocated


@pytest.mark.parametrize(
    ("rules", "asked_mb", "container_mb"),
    [
        (Rules(1024), 1, 1024),
        (Rules(1024), 1025, 2048),
        # the fair scheduler's own step
        (Rules(1024, increment_mb=512), 400, 1024),
        (Rules(1024, increment_mb=512), 1025, 1536),
        # nothing is rounded beyond the largest container; what is larger is refused elsewhere
        (Rules(1024, maximum_allocation_mb=5000), 4500, 5000),
        (Rules(1024, maximum_allocation_mb=5000), 5000, 5000),
        (Rules(1024, maximum_allocation_mb=5000), 5001, 5120),
    ],
)
def test_a_container(rules, asked_mb, container_mb):
    assert rules.container_mb(asked_mb) == container_mb


@pytest.mark.parametrize(
    ("rules", "asked", "vcores"),
    [
        (Rules(1024), 3, 3),
        (Rules(1024, minimum_vcores=2), 1, 2),
        (Rules(1024, minimum_vcores=2), 3, 4),
        (Rules(1024, minimum_vcores=0), 1, 1),
        (Rules(1024, "memory", minimum_vcores=2), 8, 1),
    ],
)
def test_vcores_of_a_container(rules, asked, vcores):
    assert rules.container_vcores(asked) == vcores


@pytest.mark.parametrize(
    ("size", "rules", "memory_mb"),
    [
        # the site's own rule for the overhead, and a kernel's that wins over it
        (KernelSize(1000), Rules(1, overhead_factor=0.5), 1500),
        (KernelSize(1000, overhead_factor=0.6), Rules(1, overhead_factor=0.5), 1600),
        (KernelSize(1000, overhead_factor=0.6, driver_overhead_mb=7), Rules(1, overhead_factor=0.5), 1007),
        (KernelSize(1000), Rules(1, minimum_overhead_mb=100), 1100),
        (KernelSize(8192, overhead_factor=0.2), Rules(1), 9830),
        # memory for executors alone
        (KernelSize(1000, off_heap_mb=500, pyspark_memory_mb=500, executor_memory_mb=900), Rules(1), 1384),
    ],
)
def test_memory_beside_the_heap(size, rules, memory_mb):
    assert footprint(size, rules).memory_mb == memory_mb


@pytest.mark.parametrize(
    ("executors", "executors_max", "counted"), [(2, None, 2), (1, 5, 5), (3, 2, 3), (0, 0, 0), (4, 0, 4)]
)
def test_dynamic_allocation_counts_at_its_maximum(executors, executors_max, counted):
    size = KernelSize(640, executors=executors, executor_memory_mb=640, executors_max=executors_max)
    assert footprint(size, Rules(256)).executors == counted
    assert not size.unbounded


def test_a_kernel_outside_yarn_takes_nothing_there():
    found = footprint(None, Rules(256))
    assert found == NOTHING
    assert (found.memory_mb, found.vcores, found.containers, found.executors) == (0, 0, 0, 0)


@given(
    st.builds(
        KernelSize,
        driver_memory_mb=st.integers(1, 100_000),
        driver_cores=st.integers(1, 64),
        executors=st.integers(0, 50),
        executor_memory_mb=st.integers(1, 100_000),
        executor_cores=st.integers(1, 64),
        overhead_factor=st.none() | st.floats(0.01, 2),
        pyspark_memory_mb=st.none() | st.integers(0, 5000),
        off_heap_mb=st.none() | st.integers(0, 5000),
        executors_max=st.none() | st.integers(0, 60),
    ),
    st.builds(
        Rules,
        st.integers(1, 4096),
        st.sampled_from(["memory", "dominant"]),
        minimum_vcores=st.integers(1, 4),
        maximum_allocation_mb=st.integers(0, 60_000),
    ),
)
def test_a_footprint_is_the_sum_of_its_containers(size, rules):
    found = footprint(size, rules)
    assert found.memory_mb == found.driver_mb + found.executors * found.executor_mb
    assert found.vcores == found.driver_vcores + found.executors * found.executor_vcores
    assert found.executors == max(size.executors, size.executors_max or 0)
    assert found.driver_mb >= size.driver_memory_mb
    if found.executors:
        assert found.executor_mb >= size.executor_memory_mb + (size.off_heap_mb or 0) + (size.pyspark_memory_mb or 0)
    if rules.calculator == "memory":
        assert found.vcores == found.containers


@pytest.mark.parametrize(
    ("mb", "text"),
    [(0, "0 MB"), (640, "640 MB"), (1024, "1.0 GB"), (1280, "1.25 GB"), (1536, "1.5 GB"), (1409, "1409 MB")],
)
def test_memory_in_words_without_rounding(mb, text):
    assert exact_mb(mb) == text
