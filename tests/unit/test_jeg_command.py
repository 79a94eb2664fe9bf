import json
from itertools import pairwise

import pytest

from jeg_plugin.command import PASSED_ON, SUBMIT_CLASS, Start, argv_of, environment_of
from jeg_plugin.definition import Definition, DefinitionError, Size
from jeg_plugin.launch import MAXIMUM_BYTES, prepare

KERNEL_ID = "074a5e12-ffe3-423e-8d13-a6c2289ef55a"
KEY = "MIGf" + "A" * 200
START = Start(KERNEL_ID, "alice", "10.0.0.5:8877", KEY)
SITE = {
    "SPARK_HOME": "/opt/spark",
    "JAVA_HOME": "/opt/java",
    "SPARK_CONF_DIR": "/etc/spark",
    "HADOOP_CONF_DIR": "/etc/hadoop",
}
SPARK = Definition("spark-python", Size(640, 1, 2, 512, 4), queue="notebooks", python="/opt/py/bin/python")
PYTHON = Definition("python", Size(640))


def options(argv, name):
    return [value for option, value in pairwise(argv) if option == name]


def conf(argv):
    return dict(pair.split("=", 1) for pair in options(argv, "--conf"))


def test_the_program_and_its_class_path():
    argv = argv_of(SPARK, START, SITE)
    assert argv[0] == "/opt/java/bin/java"
    assert options(argv, "-cp") == ["/etc/spark:/etc/hadoop:/opt/spark/jars/*"]
    assert argv.index(SUBMIT_CLASS) > argv.index("-cp")
    assert argv_of(SPARK, START, {"SPARK_HOME": "/opt/spark"})[0] == "java"


def test_one_folder_for_both_configurations_is_named_once():
    argv = argv_of(SPARK, START, {**SITE, "SPARK_CONF_DIR": "/etc/hadoop"})
    assert options(argv, "-cp") == ["/etc/hadoop:/opt/spark/jars/*"]


def test_what_is_asked_of_yarn():
    argv = argv_of(SPARK, START, SITE)
    assert options(argv, "--master") == ["yarn"]
    assert options(argv, "--deploy-mode") == ["cluster"]
    assert options(argv, "--queue") == ["notebooks"]
    assert options(argv, "--driver-memory") == ["640m"]
    assert KERNEL_ID in options(argv, "--name")[0]
    settings = conf(argv)
    assert settings["spark.yarn.tags"] == KERNEL_ID
    assert settings["spark.yarn.maxAppAttempts"] == "1"
    assert settings["spark.yarn.submit.waitAppCompletion"] == "false"
    assert settings["spark.dynamicAllocation.enabled"] == "false"
    assert (settings["spark.executor.instances"], settings["spark.executor.cores"]) == ("2", "4")
    assert settings["spark.executor.memory"] == "512m"
    assert (settings["spark.driver.memoryOverhead"], settings["spark.executor.memoryOverhead"]) == ("384m", "384m")
    assert settings["spark.yarn.appMasterEnv.PYSPARK_PYTHON"] == "/opt/py/bin/python"
    assert settings["spark.executorEnv.PYSPARK_PYTHON"] == "/opt/py/bin/python"


def test_a_kernel_without_executors_asks_for_none():
    argv = argv_of(PYTHON, START, SITE)
    # Spark's client refuses the number zero; the driver is told instead.
    assert "spark.executor.instances" not in conf(argv)
    assert options(argv, "--executors") == ["0"]
    # The driver has no say in this one; what YARN's placement rules do with it, they do with a missing one.
    assert options(argv, "--queue") == ["default"]
    assert conf(argv)["spark.executor.memory"] == "512m"


def test_overheads_and_archive():
    size = Size(640, executors=1, executor_memory_mb=512, driver_overhead_mb=100, executor_overhead_mb=200)
    settings = conf(argv_of(Definition("spark-python", size, archive="hdfs:///e/x.tar.gz"), START, SITE))
    assert settings["spark.driver.memoryOverhead"] == "100m"
    assert settings["spark.executor.memoryOverhead"] == "200m"
    assert settings["spark.yarn.dist.archives"] == "hdfs:///e/x.tar.gz#environment"
    assert settings["spark.yarn.appMasterEnv.PYSPARK_PYTHON"] == "./environment/bin/python"


def test_memory_beside_the_heap():
    size = Size(640, executors=1, executor_memory_mb=4000, overhead_factor=0.25, pyspark_memory_mb=300, off_heap_mb=200)
    argv = argv_of(Definition("spark-python", size), START, SITE)
    settings = conf(argv)
    assert (settings["spark.driver.memoryOverhead"], settings["spark.executor.memoryOverhead"]) == ("384m", "1000m")
    assert settings["spark.executor.pyspark.memory"] == "300m"
    assert not options(argv, "--without")
    assert (settings["spark.memory.offHeap.enabled"], settings["spark.memory.offHeap.size"]) == ("true", "200m")


def test_a_sites_own_memory_beside_the_heap_is_switched_off_where_a_kernel_has_none():
    argv = argv_of(SPARK, START, SITE)
    settings = conf(argv)
    assert settings["spark.memory.offHeap.enabled"] == "false"
    assert not {"spark.memory.offHeap.size", "spark.executor.pyspark.memory"} & set(settings)
    # Zero would be a limit; the driver takes the site's setting away.
    assert options(argv, "--without") == ["spark.executor.pyspark.memory"]


#: Whatever a site's spark-defaults.conf says of these, a container has the size that is counted.
DECIDE_THE_SIZE = {
    "spark.driver.memoryOverhead",
    "spark.executor.memory",
    "spark.executor.memoryOverhead",
    "spark.executor.cores",
    "spark.memory.offHeap.enabled",
    "spark.dynamicAllocation.enabled",
}


@pytest.mark.parametrize(
    "size", [Size(640), Size(640, 1, 2, 512, 4), Size(640, executor_memory_mb=512, executors_max=3)]
)
def test_nothing_is_left_to_a_sites_defaults(size):
    argv = argv_of(Definition("spark-python", size), START, SITE)
    assert set(conf(argv)) >= DECIDE_THE_SIZE
    assert all(options(argv, name) for name in ("--driver-memory", "--driver-cores", "--queue", "--executors"))
    if size.has_executors:
        assert conf(argv)["spark.executor.instances"] == str(size.executors)


@pytest.mark.parametrize("executors", [0, 2])
def test_dynamic_allocation(executors):
    size = Size(640, executors=executors, executor_memory_mb=512, executors_max=5)
    argv = argv_of(Definition("spark-python", size), START, SITE)
    settings = conf(argv)
    dynamic = {name.rsplit(".", 1)[-1]: value for name, value in settings.items() if "dynamicAllocation" in name}
    assert settings["spark.dynamicAllocation.shuffleTracking.enabled"] == "true"
    assert settings["spark.dynamicAllocation.enabled"] == "true"
    assert dynamic | {"enabled": ""} == {
        "enabled": "",
        "minExecutors": str(executors),
        "initialExecutors": str(executors),
        "maxExecutors": "5",
    }
    assert settings["spark.executor.memory"] == "512m"
    assert settings["spark.executor.instances"] == str(executors)
    assert options(argv, "--executors") == [str(executors)]


def test_a_definitions_settings_never_win():
    hostile = Definition(
        "spark-python", Size(640), spark_conf={"spark.yarn.tags": "mine", "spark.sql.ansi.enabled": "true"}
    )
    argv = argv_of(hostile, START, SITE)
    assert conf(argv)["spark.yarn.tags"] == KERNEL_ID
    assert [pair for pair in options(argv, "--conf") if pair.startswith("spark.yarn.tags=")] == [
        f"spark.yarn.tags={KERNEL_ID}"
    ]
    assert conf(argv)["spark.sql.ansi.enabled"] == "true"


def test_the_driver_and_its_arguments_come_last():
    argv = argv_of(SPARK, START, SITE)
    driver = next(n for n, part in enumerate(argv) if part.endswith("/driver.py"))
    expected = [
        "--type",
        "spark-python",
        "--executors",
        "2",
        "--without",
        "spark.executor.pyspark.memory",
        "--kernel-id",
        KERNEL_ID,
        "--user",
        "alice",
        "--request-id=-",
        "--response-address",
        "10.0.0.5:8877",
    ]
    assert argv[driver + 1 : driver + 14] == expected
    assert argv[driver + 14 :] == ["--public-key", KEY, "--port-range", "0..0"]


def test_as_whom():
    environ = {
        "PATH": "/bin",
        "HADOOP_USER_NAME": "root",
        "EG_AUTH_TOKEN": "secret",
        "LD_PRELOAD": "x",
        "KERNEL_X": "y",
    }
    assert environment_of(START, environ) == {"PATH": "/bin", "HADOOP_USER_NAME": "alice"}
    impersonating = Start(KERNEL_ID, "alice", "10.0.0.5:8877", KEY, impersonate=True)
    assert environment_of(impersonating, environ) == {"PATH": "/bin"}
    assert options(argv_of(SPARK, impersonating, SITE), "--proxy-user") == ["alice"]
    assert "--proxy-user" not in argv_of(SPARK, START, SITE)
    assert not any("TOKEN" in name or "SECRET" in name for name in PASSED_ON)


@pytest.mark.parametrize(
    "changes",
    [
        {"response_address": "10.0.0.5"},
        {"response_address": "10.0.0.5:8877 --queue x"},
        {"response_address": "$(x):1"},
        {"public_key": "short"},
        {"public_key": KEY + "\n"},
        {"public_key": "-" + KEY},
        {"port_range": "1-2"},
        {"port_range": "1..2;x"},
    ],
)
def test_addresses_and_keys_that_are_none(changes):
    values = {"response_address": START.response_address, "public_key": KEY, "port_range": "0..0", **changes}
    with pytest.raises(DefinitionError, match="Enterprise Gateway"):
        Start(KERNEL_ID, "alice", **values)


def test_without_spark_there_is_no_command():
    with pytest.raises(DefinitionError, match="SPARK_HOME"):
        argv_of(SPARK, START, {})


@pytest.fixture
def resource_dir(tmp_path):
    block = {"type": "python", "size": {"driver_memory_mb": 640}, "queue": "notebooks"}
    (tmp_path / "kernel.json").write_text(json.dumps({"metadata": {"remote_kernel": block}}))
    return tmp_path


ENVIRON = {"KERNEL_ID": KERNEL_ID, "KERNEL_USERNAME": "alice", "SPARK_HOME": "/opt/spark"}


def arguments(folder):
    return [str(folder), KERNEL_ID, "10.0.0.5:8877", KEY, "0..0"]


def test_the_launcher_reads_kernel_json(resource_dir):
    argv, environment, request = prepare(arguments(resource_dir), {**ENVIRON, "EG_AUTH_TOKEN": "secret"})
    assert (request.user, request.settings["spark.yarn.queue"]) == ("alice", "notebooks")
    assert options(argv, "--queue") == ["notebooks"]
    assert environment == {"SPARK_HOME": "/opt/spark", "HADOOP_USER_NAME": "alice"}
    assert options(prepare(arguments(resource_dir), {**ENVIRON, "EG_IMPERSONATION_ENABLED": "True"})[0], "--proxy-user")


@pytest.mark.parametrize(
    "changes",
    [
        {"KERNEL_USERNAME": "a;b"},
        {"KERNEL_USERNAME": ""},
        {"KERNEL_ID": "x"},
        {"KERNEL_ID": KERNEL_ID.replace("0", "1")},
    ],
)
def test_the_launcher_refuses_a_hostile_environment(resource_dir, changes):
    with pytest.raises(DefinitionError):
        prepare(arguments(resource_dir), {**ENVIRON, **changes})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"metadata": {}}', " " * (MAXIMUM_BYTES + 1)])
def test_the_launcher_refuses_a_file_that_is_no_definition(resource_dir, content):
    (resource_dir / "kernel.json").write_text(content)
    with pytest.raises(DefinitionError):
        prepare(arguments(resource_dir), ENVIRON)


def test_the_launcher_wants_all_arguments(resource_dir):
    with pytest.raises(DefinitionError, match="usage"):
        prepare(arguments(resource_dir)[:4], ENVIRON)
