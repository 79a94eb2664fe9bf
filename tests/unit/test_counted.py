"""What the gateway counted and what the launcher starts are the same: both sides held against each other."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.kernels import definition_of as hub_definition_of
from hub_ext.sizes import MINIMUM_OVERHEAD_MB, OVERHEAD_FACTOR, Rules, driver_asked_mb, executor_asked_mb
from hub_gateway import counted as gateway
from jeg_plugin import counted as plugin
from jeg_plugin.definition import definition_of as plugin_definition_of
from jeg_plugin.failures import of_client
from jeg_plugin.launch import prepare

KERNEL_ID = "074a5e12-ffe3-423e-8d13-a6c2289ef55a"
ENVIRON = {"KERNEL_ID": KERNEL_ID, "KERNEL_USERNAME": "alice", "SPARK_HOME": "/opt/spark"}
ARGV = ["python", "-I", "-m", "jeg_plugin.launch", "{resource_dir}"]
LEAST = {"type": "spark-python", "size": {"driver_memory_mb": 640}}
EXPLICIT = {
    "type": "spark-python",
    "queue": None,
    "size": {
        "driver_memory_mb": 640,
        "driver_cores": 1,
        "executors": 0,
        "executor_memory_mb": 0,
        "executor_cores": 1,
        "driver_overhead_mb": None,
        "executor_overhead_mb": None,
        "overhead_factor": None,
        "pyspark_memory_mb": None,
        "off_heap_mb": None,
        "executors_max": None,
    },
}


def digests(block, **spec):
    kernel_json = {"argv": ARGV, **spec, "metadata": {"remote_kernel": block}}
    return (
        gateway.digest_of(hub_definition_of("k", {"spec": kernel_json})),
        plugin.digest_of(plugin_definition_of(kernel_json)),
    )


def with_size(**changes):
    return {**LEAST, "size": {**LEAST["size"], **changes}}


CHANGES = [
    {**LEAST, "type": "python"},
    {**LEAST, "queue": "notebooks"},
    with_size(driver_memory_mb=641),
    with_size(driver_cores=2),
    with_size(executors=1, executor_memory_mb=512),
    with_size(executor_memory_mb=512, executors_max=4),
    with_size(overhead_factor=1),
    with_size(overhead_factor=0.25),
    with_size(driver_overhead_mb=0),
    with_size(executor_overhead_mb=384),
    with_size(pyspark_memory_mb=1),
    with_size(off_heap_mb=1),
    with_size(executor_cores=2),
]


@pytest.mark.parametrize("block", [LEAST, EXPLICIT, *CHANGES])
def test_both_sides_have_the_same_digest(block):
    ours, theirs = digests(block)
    assert ours == theirs


def test_a_missing_field_is_its_default():
    assert digests(LEAST) == digests(EXPLICIT)


def test_every_change_of_type_size_or_queue_changes_the_digest():
    assert len({digests(block) for block in (LEAST, *CHANGES)}) == len(CHANGES) + 1


def test_what_takes_nothing_more_may_be_changed():
    assert digests({**LEAST, "description": "new", "python": "/opt/p", "visibility": "everyone"}) == digests(LEAST)


def test_options_beside_our_launcher_count_for_nothing():
    options = {"SPARK_OPTS": "--queue night --driver-memory 64g"}
    assert digests(LEAST, env=options) == digests(LEAST)


optional = st.none() | st.integers(0, 100_000)
sizes = st.fixed_dictionaries(
    {"driver_memory_mb": st.integers(1, 100_000)},
    optional={
        "driver_cores": st.integers(1, 100),
        "executors": st.integers(0, 100),
        "executor_cores": st.integers(1, 100),
        "driver_overhead_mb": optional,
        "executor_overhead_mb": optional,
        "overhead_factor": st.none() | st.floats(0.0001, 10) | st.integers(1, 10),
        "pyspark_memory_mb": optional,
        "off_heap_mb": optional,
        "executors_max": st.none() | st.integers(100, 200),
    },
)
queues = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}", fullmatch=True)


@given(sizes, st.integers(1, 100_000), queues, st.floats(0.01, 2), st.integers(0, 1000))
def test_whatever_a_definition_says_both_sides_agree(size, executor_mb, queue, factor, minimum):
    block = {"type": "spark-python", "queue": queue, "size": {**size, "executor_memory_mb": executor_mb}}
    ours, theirs = digests(block)
    assert ours == theirs
    kernel_json = {"argv": ARGV, "metadata": {"remote_kernel": block}}
    found, rules = hub_definition_of("k", {"spec": kernel_json}), Rules(1, "memory", factor, minimum)
    started = plugin.as_counted(plugin_definition_of(kernel_json), gateway.counted_environment(found, rules)).size
    counted = found.size.as_kernel_size()
    assert started.driver_memory_mb + started.driver_overhead_mb == driver_asked_mb(counted, rules)
    beside = (started.pyspark_memory_mb or 0) + (started.off_heap_mb or 0)
    assert started.executor_memory_mb + started.executor_overhead_mb + beside == executor_asked_mb(counted, rules)


def test_the_names_and_the_rule_are_the_same_on_both_sides():
    assert (gateway.DIGEST, gateway.DRIVER_OVERHEAD, gateway.EXECUTOR_OVERHEAD) == (
        plugin.DIGEST,
        plugin.DRIVER_OVERHEAD,
        plugin.EXECUTOR_OVERHEAD,
    )
    assert (plugin.OVERHEAD_FACTOR, plugin.MINIMUM_OVERHEAD_MB) == (OVERHEAD_FACTOR, MINIMUM_OVERHEAD_MB)


def start(folder, **environ):
    arguments = [str(folder), KERNEL_ID, "10.0.0.5:8877", "MIGf" + "A" * 200, "0..0"]
    return prepare(arguments, {**ENVIRON, **environ})


def write(folder, block):
    (folder / "kernel.json").write_text(json.dumps({"argv": ARGV, "metadata": {"remote_kernel": block}}))


def test_a_changed_definition_is_not_launched(tmp_path):
    digest, _ = digests(LEAST)
    write(tmp_path, EXPLICIT)
    prepared = start(tmp_path, KERNEL_DEFINITION_DIGEST=digest)
    assert digest not in str(prepared)
    assert KERNEL_ID in str(prepared)
    write(tmp_path, CHANGES[2])
    with pytest.raises(plugin.DefinitionChangedError, match="was changed since it was started: start a new kernel"):
        start(tmp_path, KERNEL_DEFINITION_DIGEST=digest)
    with pytest.raises(plugin.DefinitionChangedError):
        start(tmp_path, KERNEL_DEFINITION_DIGEST="")
    # Another client than the gateway counts nothing.
    assert start(tmp_path)


def test_the_overheads_that_were_counted_are_those_that_are_asked(tmp_path):
    write(tmp_path, with_size(executors=1, executor_memory_mb=512))
    argv, _, request = start(tmp_path, KERNEL_DRIVER_OVERHEAD_MB="500", KERNEL_EXECUTOR_OVERHEAD_MB="600")
    asked = {"spark.driver.memoryOverhead": "500m", "spark.executor.memoryOverhead": "600m"}
    assert {f"{name}={value}" for name, value in asked.items()} <= set(argv)
    assert asked.items() <= request.settings.items()
    for wrong in ("", "-1", "1g", "1" * 10, "²"):
        with pytest.raises(ValueError, match="not a number"):
            start(tmp_path, KERNEL_DRIVER_OVERHEAD_MB=wrong)


def test_the_sentence_arrives_under_its_code():
    failure = of_client(f"Error: {plugin.CHANGED}\n", 2)
    assert (failure.code, failure.text, failure.status) == ("definition-changed", plugin.CHANGED, 409)
