import json

import pytest

from hub_ext.kernels import Size as HubSize
from hub_ext.sizes import KernelSize
from jeg_plugin.definition import DefinitionError, Size, definition_of, kernel_id_of, user_of

SIZE = {"driver_memory_mb": 640, "driver_cores": 1, "executors": 1, "executor_memory_mb": 512, "executor_cores": 2}
BLOCK = {
    "type": "spark-python",
    "description": "x",
    "queue": "root.teams.a-b_c",
    "size": SIZE,
    "python": "/opt/python/bin/python3.11",
    "archive": None,
    "spark_conf": {"spark.sql.shuffle.partitions": "8"},
}


def kernel_json(**changes):
    return {"metadata": {"remote_kernel": {**BLOCK, **changes}}}


def test_a_full_block():
    definition = definition_of(kernel_json())
    assert definition.type == "spark-python"
    assert definition.queue == "root.teams.a-b_c"
    assert (definition.size.driver_memory_mb, definition.size.executors, definition.size.executor_cores) == (640, 1, 2)
    assert definition.size.driver_overhead_mb is None
    assert definition.spark_conf == {"spark.sql.shuffle.partitions": "8"}


def test_every_part_of_a_size():
    more = {
        "driver_overhead_mb": 1,
        "executor_overhead_mb": 2,
        "overhead_factor": 0.25,
        "pyspark_memory_mb": 3,
        "off_heap_mb": 4,
        "executors_max": 5,
    }
    size = definition_of(kernel_json(size={**SIZE, **more})).size
    assert {name: getattr(size, name) for name in more} == more
    assert set(Size.__dataclass_fields__) == set(KernelSize.__dataclass_fields__) == set(HubSize.model_fields)
    assert HubSize(**SIZE, **more).as_kernel_size() == KernelSize(**SIZE, **more)


@pytest.mark.parametrize(
    "changes",
    [
        {"overhead_factor": 0},
        {"overhead_factor": -0.1},
        {"overhead_factor": 11},
        {"overhead_factor": True},
        {"overhead_factor": "0.1"},
        {"overhead_factor": float("nan")},
        {"overhead_factor": [0.1]},
        {"pyspark_memory_mb": -1},
        {"off_heap_mb": "1g"},
        {"off_heap_mb": 1.5},
        # fewer than at the beginning, and more than there may be
        {"executors_max": 0},
        {"executors_max": 2**31 - 1},
        {"executors": 0, "executors_max": 2, "executor_memory_mb": 0},
    ],
)
def test_new_parts_of_a_size_that_are_refused(changes):
    with pytest.raises(DefinitionError):
        definition_of(kernel_json(size={**SIZE, **changes}))


def test_a_python_kernel_has_no_executors_later_either():
    with pytest.raises(DefinitionError, match="no executors"):
        definition_of(kernel_json(type="python", size={**SIZE, "executors": 0, "executors_max": 1}))


def test_the_least_block():
    definition = definition_of({"metadata": {"remote_kernel": {"type": "python", "size": {"driver_memory_mb": 1}}}})
    assert (definition.queue, definition.python, definition.archive, definition.spark_conf) == (None, None, None, {})
    assert definition.size.executors == 0


@pytest.mark.parametrize(
    "archive",
    [
        "hdfs://nameservice1/envs/0a1b.tar.gz",
        "viewfs://platform/data/envs/x.zip",
        "/shared/envs/x.tgz",
        "hdfs:///envs/x.tar.gz",
        "s3a://bucket/x.tar.gz",
    ],
)
def test_archives_that_can_be_used(archive):
    assert definition_of(kernel_json(archive=archive, python="./environment/bin/python")).archive == archive


BAD_TEXTS = [
    "",
    " ",
    "a b",
    "a;b",
    "a'b",
    'a"b',
    "a$(b)",
    "a`b`",
    "a\nb",
    "a,b",
    "a#b",
    "a{{b}}",
    "a<b",
    "é",
    "-a",
    "x" * 200,
]


@pytest.mark.parametrize("value", [*BAD_TEXTS, 1, True, ["a"], {}])
def test_queues_that_are_refused(value):
    with pytest.raises(DefinitionError, match="queue"):
        definition_of(kernel_json(queue=value))


@pytest.mark.parametrize(
    "value", [*BAD_TEXTS, "python", "bin/python", "/a/../b", "/a//b", "/a/", "./other/bin/python", 3]
)
def test_pythons_that_are_refused(value):
    with pytest.raises(DefinitionError, match="python"):
        definition_of(kernel_json(python=value))


@pytest.mark.parametrize(
    ("archive", "python"),
    [("/e.tar.gz", "/usr/bin/python"), (None, "./environment/bin/python"), ("/e.tar.gz", "./environment/../bin/sh")],
)
def test_python_and_archive_must_fit(archive, python):
    with pytest.raises(DefinitionError, match="python"):
        definition_of(kernel_json(archive=archive, python=python))


@pytest.mark.parametrize(
    "value",
    [
        *BAD_TEXTS,
        "/a.tar.xz",
        "/a/../b.zip",
        "http://x/a.zip",
        "file:a.zip",
        "/a.zip#b",
        "/a.zip,/b.zip",
        "/a b.zip",
        5,
    ],
)
def test_archives_that_are_refused(value):
    with pytest.raises(DefinitionError, match="archive"):
        definition_of(kernel_json(archive=value, python=None))


@pytest.mark.parametrize(
    "changes",
    [
        {"driver_memory_mb": 0},
        {"driver_memory_mb": -1},
        {"driver_memory_mb": True},
        {"driver_memory_mb": "640"},
        {"driver_memory_mb": 640.0},
        {"driver_memory_mb": None},
        {"driver_memory_mb": 10**9},
        {"driver_cores": 0},
        {"executors": -1},
        {"executors": 10_001},
        {"executor_memory_mb": 0},
        {"executor_cores": "1"},
        {"driver_overhead_mb": "1g"},
        {"executor_overhead_mb": -5},
        {"surprise": 1},
    ],
)
def test_sizes_that_are_refused(changes):
    with pytest.raises(DefinitionError):
        definition_of(kernel_json(size={**SIZE, **changes}))


@pytest.mark.parametrize(
    "key",
    [
        "spark.yarn.queue",
        "spark.yarn.tags",
        "spark.yarn.dist.files",
        "spark.yarn.appMasterEnv.PATH",
        "spark.executorEnv.LD_PRELOAD",
        "spark.driver.extraJavaOptions",
        "spark.executor.extraJavaOptions",
        "spark.driver.extraClassPath",
        "spark.driver.memory",
        "spark.driver.memoryOverhead",
        "spark.executor.instances",
        "spark.executor.pyspark.memory",
        "spark.dynamicAllocation.enabled",
        "spark.jars",
        "spark.jars.packages",
        "spark.files",
        "spark.archives",
        "spark.submit.pyFiles",
        "spark.submit.deployMode",
        "spark.master",
        "spark.app.name",
        "spark.hadoop.fs.defaultFS",
        "spark.kerberos.keytab",
        "spark.authenticate",
        "spark.ui.proxyBase",
        "spark.plugins",
        "spark.extraListeners",
        "spark.sql.extensions",
        "spark.sql.catalog.x",
        "spark.sql.warehouse.dir",
        "spark.sql.hive.metastore.jars",
        "spark.pyspark.python",
        "spark.shuffle.service.enabled",
        "spark.port.maxRetries",
        "spark.driver.bindAddress",
        "spark.sql.shuffle.partitions=1 --conf spark.yarn.queue",
        "spark.sql.shuffle.partitions\n",
        "--queue",
        "",
    ],
)
def test_settings_that_a_definition_may_not_carry(key):
    with pytest.raises(DefinitionError, match="may not carry"):
        definition_of(kernel_json(spark_conf={key: "1"}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.sql.shuffle.partitions", "200"),
        ("spark.sql.adaptive.enabled", "true"),
        ("spark.sql.adaptive.coalescePartitions.minPartitionSize", "1MB"),
        ("spark.sql.execution.arrow.pyspark.enabled", "true"),
        ("spark.sql.session.timeZone", "Europe/Berlin"),
        ("spark.default.parallelism", "16"),
        ("spark.memory.fraction", "0.5"),
        ("spark.kryoserializer.buffer.max", "128m"),
        ("spark.task.maxFailures", "4"),
        ("spark.network.timeout", "300s"),
    ],
)
def test_settings_that_a_definition_may_carry(key, value):
    assert definition_of(kernel_json(spark_conf={key: value})).spark_conf == {key: value}


@pytest.mark.parametrize(
    "value", ["${env:HOME}", "{{PWD}}", "a\nb", "'", '"', "$x", "`x`", "<x>", "a\\b", "x" * 501, 1, None]
)
def test_values_that_are_refused(value):
    with pytest.raises(DefinitionError, match="spark_conf"):
        definition_of(kernel_json(spark_conf={"spark.sql.session.timeZone": value}))


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "x",
        {},
        {"metadata": None},
        {"metadata": {}},
        {"metadata": {"remote_kernel": []}},
        kernel_json(type="r"),
    ],
)
def test_files_without_a_block_are_refused(content):
    with pytest.raises(DefinitionError):
        definition_of(content)


def test_python_in_yarn_has_no_executors():
    with pytest.raises(DefinitionError, match="no executors"):
        definition_of(kernel_json(type="python"))


def test_no_refusal_repeats_the_value():
    for block in (
        kernel_json(queue="secret value"),
        kernel_json(python="secret value"),
        kernel_json(type="secret value"),
    ):
        with pytest.raises(DefinitionError) as caught:
            definition_of(json.loads(json.dumps(block)))
        assert "secret value" not in str(caught.value)


@pytest.mark.parametrize("name", ["alice", "Alice.B-c_d", "_x", "a" * 63])
def test_users_that_can_be_used(name):
    assert user_of(name) == name


@pytest.mark.parametrize(
    "name", [None, "", "a b", "alice\n", "a/b", "../a", "a$(b)", "-a", "1a", "jürgen", "a" * 64, "a@b"]
)
def test_users_that_are_refused(name):
    with pytest.raises(DefinitionError):
        user_of(name)


@pytest.mark.parametrize(
    "text", [None, "", "x", "074A5E12-ffe3-423e-8d13-a6c2289ef55a", "074a5e12-ffe3-423e-8d13-a6c2289ef55a\n"]
)
def test_kernel_ids_that_are_refused(text):
    with pytest.raises(DefinitionError):
        kernel_id_of(text)
