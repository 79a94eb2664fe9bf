import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.sizes import KernelSize, Rules, footprint, human_mb, overhead_mb, round_up_mb


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
