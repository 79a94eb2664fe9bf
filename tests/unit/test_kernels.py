import pytest

from hub_ext.kernels import Size, definition_of, public_model
from hub_ext.sizes import UNBOUNDED_EXECUTORS, KernelSize, Rules, footprint


def model(**block):
    return {
        "name": "k",
        "spec": {
            "display_name": "K",
            "language": "python",
            "argv": ["/opt/secret/bin/launch"],
            "env": {"SPARK_HOME": "/opt/spark"},
            "metadata": {"process_proxy": {"class_name": "x"}, **({"remote_kernel": block} if block else {})},
        },
        "resources": {"logo-svg": "/kernelspecs/k/logo-svg.svg"},
    }


@pytest.mark.parametrize(
    ("block", "user", "groups", "admin", "visible"),
    [
        ({}, "bob", set(), False, True),
        ({"visibility": "everyone"}, "bob", set(), False, True),
        ({"visibility": "private", "owner": "alice"}, "alice", set(), False, True),
        ({"visibility": "private", "owner": "alice"}, "bob", set(), False, False),
        ({"visibility": "private", "owner": "alice"}, "bob", set(), True, True),
        ({"visibility": "group", "groups": ["g"], "owner": "alice"}, "bob", {"g"}, False, True),
        ({"visibility": "group", "groups": ["g"], "owner": "alice"}, "bob", {"h"}, False, False),
        ({"visibility": "group", "groups": ["g"], "owner": "alice"}, "alice", set(), False, True),
        ({"visibility": "nonsense"}, "bob", {"g"}, False, False),
        ({"size": {"driver_memory_mb": -1}}, "bob", set(), False, False),
        ({"size": {"driver_memory_mb": 1, "unknown": 2}}, "bob", set(), True, True),
    ],
)
def test_who_may_see_a_kernel(block, user, groups, admin, visible):
    assert definition_of("k", model(**block)).visible_to(user, groups, admin) is visible


def test_the_public_model_keeps_the_edge_nodes_paths_to_itself():
    shown = public_model("k", model(type="spark-python", python="/opt/env/bin/python", archive="hdfs:///x"))
    assert "/opt" not in str(shown)
    assert "hdfs" not in str(shown)
    assert "process_proxy" not in str(shown)
    assert shown["spec"]["metadata"]["remote_kernel"] == {"type": "spark-python"}
    assert shown["resources"] == {"logo-svg": "/kernelspecs/k/logo-svg.svg"}


def test_a_block_cannot_rename_the_kernel():
    assert definition_of("k", model(name="other", display_name="other")).name == "k"


YARN_PROXY = "enterprise_gateway.services.processproxies.yarn.YarnClusterProcessProxy"
#: What Spark itself takes where nothing is said.
DEFAULTS = KernelSize(1024, 1, 2, 1024, 1)


def handwritten(options="", proxy=YARN_PROXY, argv=(), block=None, **env):
    metadata = {"process_proxy": {"class_name": proxy}} if proxy else {}
    if block is not None:
        metadata["remote_kernel"] = block
    spec = {
        "display_name": "H",
        "language": "python",
        "argv": ["/opt/kernels/run.sh", *argv, "--RemoteProcessProxy.kernel-id", "{kernel_id}"],
        "env": {"SPARK_HOME": "/opt/spark", **({"SPARK_OPTS": options} if options else {}), **env},
        "metadata": metadata,
    }
    return {"name": "h", "spec": spec, "resources": {}}


def size_of(model):
    size = definition_of("h", model).size
    return size.as_kernel_size() if size else None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {}),
        ("--driver-memory 2g", {"driver_memory_mb": 2048}),
        ("--driver-memory=2g", {"driver_memory_mb": 2048}),
        ("--conf spark.driver.memory=512m", {"driver_memory_mb": 512}),
        ("--conf=spark.driver.memory=512m", {"driver_memory_mb": 512}),
        ("-c spark.driver.memory=1536", {"driver_memory_mb": 1536}),
        ("--conf spark.driver.memory=1T", {"driver_memory_mb": 1048576}),
        ("--conf spark.driver.memory=2097152k", {"driver_memory_mb": 2048}),
        ("--conf spark.driver.memory=2147483648b", {"driver_memory_mb": 2048}),
        ("--conf spark.driver.memory=2GB", {"driver_memory_mb": 2048}),
        # the option wins over the setting, and the last of two counts
        ("--driver-memory 2g --conf spark.driver.memory=9g", {"driver_memory_mb": 2048}),
        ("--driver-memory 2g --driver-memory 3g", {"driver_memory_mb": 3072}),
        ("--driver-cores 3", {"driver_cores": 3}),
        ("--num-executors 7 --executor-memory 4g --executor-cores 5",
         {"executors": 7, "executor_memory_mb": 4096, "executor_cores": 5}),
        ("--conf spark.executor.instances=0", {"executors": 0}),
        ("--conf spark.driver.cores=2 --conf spark.executor.cores=2", {"driver_cores": 2, "executor_cores": 2}),
        ("--conf spark.driver.memoryOverhead=1g --conf spark.executor.memoryOverhead=700",
         {"driver_overhead_mb": 1024, "executor_overhead_mb": 700}),
        # a factor of each becomes what it comes to
        ("--driver-memory 8g --conf spark.driver.memoryOverheadFactor=0.2",
         {"driver_memory_mb": 8192, "driver_overhead_mb": 1638}),
        ("--conf spark.executor.memoryOverheadFactor=0.1", {"executor_overhead_mb": 384}),
        ("--conf spark.executor.minMemoryOverhead=64m", {"executor_overhead_mb": 102}),
        ("--conf spark.executor.pyspark.memory=2g", {"pyspark_memory_mb": 2048}),
        ("--conf spark.memory.offHeap.enabled=true --conf spark.memory.offHeap.size=1g", {"off_heap_mb": 1024}),
        ("--conf spark.memory.offHeap.enabled=true --conf spark.memory.offHeap.size=1073741824",
         {"off_heap_mb": 1024}),
        ("--conf spark.memory.offHeap.size=1g", {}),
        ("--conf spark.dynamicAllocation.enabled=true",
         {"executors": 0, "executors_max": UNBOUNDED_EXECUTORS}),
        ("--conf spark.dynamicAllocation.enabled=TRUE --conf spark.dynamicAllocation.maxExecutors=9"
         " --conf spark.dynamicAllocation.minExecutors=1 --conf spark.dynamicAllocation.initialExecutors=3",
         {"executors": 3, "executors_max": 9}),
        ("--conf spark.dynamicAllocation.maxExecutors=9", {}),
        # quotes, a shell's variables and their defaults
        ("--conf 'spark.driver.memory=2g' --name \"a b\"", {"driver_memory_mb": 2048}),
        ("--driver-memory ${DRIVER:-3g} ${KERNEL_EXTRA_SPARK_OPTS}", {"driver_memory_mb": 3072}),
        ("--driver-memory ${SIZE_OF_IT} --executor-memory $SIZE_OF_IT",
         {"driver_memory_mb": 6144, "executor_memory_mb": 6144}),
        # rubbish
        ("--driver-memory", {}),
        ("--driver-memory lots --num-executors -3 --executor-cores 0.5", {}),
        ("--conf spark.driver.memory --conf =2g --conf", {}),
        ("--driver-memory 2g 'open", {"driver_memory_mb": 2048}),
        ("--num-executors 99999999999", {"executors": 10_000}),
        ("--driver-memory 99999999999999999p", {"driver_memory_mb": 4_194_304}),
        ("\x00 --driver-memory 2g \n --driver-cores 2", {"driver_memory_mb": 2048, "driver_cores": 2}),
        ("$(rm -rf /tmp/nothing) `id` --driver-memory 2g", {"driver_memory_mb": 2048}),
    ],
)  # fmt: skip
def test_a_handwritten_kernelspec_has_the_size_of_its_spark_options(options, expected):
    found = size_of(handwritten(options, SIZE_OF_IT="6g"))
    assert found == KernelSize(**{**vars(DEFAULTS), **expected})


@pytest.mark.parametrize(
    "model",
    [
        handwritten(PYSPARK_SUBMIT_ARGS="--driver-memory 2g pyspark-shell"),
        handwritten(SPARK_SUBMIT_OPTIONS="--driver-memory 2g"),
        handwritten(argv=["--driver-memory", "2g"]),
        handwritten(argv=["--driver-memory=2g"]),
        handwritten(argv=["exec spark-submit --driver-memory 2g launch.py"]),
        handwritten("--driver-memory 9g", argv=["--driver-memory", "2g"]),
    ],
)
def test_spark_options_stand_in_several_places(model):
    assert size_of(model) == KernelSize(2048, 1, 2, 1024, 1)


@pytest.mark.parametrize(
    ("proxy", "options", "size"),
    [
        (YARN_PROXY, "", DEFAULTS),
        ("my.site.YARNProxy", "", DEFAULTS),
        ("enterprise_gateway.services.processproxies.k8s.KubernetesProcessProxy", "--driver-memory 2g", None),
        ("enterprise_gateway.services.processproxies.distributed.DistributedProcessProxy", "", None),
        ("", "--driver-memory 2g", None),
        # The driver runs elsewhere, its executors and an application master in YARN.
        (
            "enterprise_gateway.services.processproxies.distributed.DistributedProcessProxy",
            "--master yarn --deploy-mode client --driver-memory 9g",
            KernelSize(512, 1, 2, 1024, 1),
        ),
        ("", "--master yarn --conf spark.yarn.am.memory=1g --num-executors 1", KernelSize(1024, 1, 1, 1024, 1)),
        ("", "--master yarn --conf spark.submit.deployMode=cluster", DEFAULTS),
        ("", "--master local[2]", None),
    ],
)
def test_only_what_runs_in_yarn_takes_anything_there(proxy, options, size):
    found = size_of(handwritten(options, proxy))
    assert found == size
    assert bool(footprint(found, Rules(256)).memory_mb) == (size is not None)


@pytest.mark.parametrize(
    ("options", "queue"), [("", None), ("--queue a.b", "a.b"), ("--conf spark.yarn.queue=c", "c"), ("--queue ''", None)]
)
def test_a_handwritten_kernelspec_has_the_queue_of_its_spark_options(options, queue):
    assert definition_of("h", handwritten(options)).queue == queue


def test_a_block_without_a_size_does_not_make_a_kernel_free():
    model = handwritten("--driver-memory 2g --queue q", block={"visibility": "group", "groups": ["g"], "queue": None})
    found = definition_of("h", model)
    assert (found.visibility, found.queue, found.size.driver_memory_mb) == ("group", "q", 2048)
    unreadable = definition_of("h", handwritten("--driver-memory 2g", block={"visibility": "nonsense"}))
    assert (unreadable.visibility, unreadable.size.driver_memory_mb) == ("private", 2048)
    own = definition_of("h", handwritten("--driver-memory 2g", block={"size": {"driver_memory_mb": 640}}))
    assert own.size == Size(driver_memory_mb=640)


def test_a_notebook_server_learns_a_handwritten_kernels_size_and_nothing_more():
    shown = public_model("h", handwritten("--driver-memory 2g --queue q --conf spark.secret=hidden"))
    assert "hidden" not in str(shown)
    found = definition_of("h", shown)
    assert (found.queue, found.size, found.visibility) == (
        "q",
        Size(driver_memory_mb=2048, executors=2, executor_memory_mb=1024),
        "everyone",
    )
    assert "remote_kernel" not in public_model("h", handwritten(proxy=""))["spec"]["metadata"]


@pytest.mark.parametrize(
    "spec", [{}, {"argv": None, "env": None}, {"argv": "x", "env": [1]}, {"metadata": {"process_proxy": 1}}]
)
def test_a_kernelspec_that_is_hardly_one_has_no_size(spec):
    assert definition_of("h", {"spec": spec}).size is None


@pytest.mark.parametrize(
    ("options", "variables", "expected"),
    [
        ("", {"SPARK_DRIVER_MEMORY": "3g"}, {"driver_memory_mb": 3072}),
        (
            "",
            {"SPARK_EXECUTOR_MEMORY": "2g", "SPARK_EXECUTOR_CORES": "3", "SPARK_EXECUTOR_INSTANCES": "4"},
            {"executor_memory_mb": 2048, "executor_cores": 3, "executors": 4},
        ),
        # what is said aloud wins
        ("--executor-memory 5g", {"SPARK_EXECUTOR_MEMORY": "2g"}, {"executor_memory_mb": 5120}),
        ("--conf spark.driver.memory=5g", {"SPARK_DRIVER_MEMORY": "2g"}, {"driver_memory_mb": 5120}),
        ("", {"SPARK_EXECUTOR_MEMORY": ""}, {}),
    ],
)
def test_variables_that_spark_reads_itself(options, variables, expected):
    found = size_of(handwritten(options, **variables))
    assert found == KernelSize(**{**vars(DEFAULTS), **expected})


@pytest.mark.parametrize(
    "model",
    [
        handwritten("--properties-file /etc/big.conf"),
        handwritten("--properties-file=/etc/big.conf --driver-memory 1g"),
        handwritten(argv=["--properties-file", "/etc/big.conf"]),
    ],
)
def test_a_file_of_properties_makes_the_size_unknown(model):
    assert definition_of("k", model).size_unknown
    # Whoever writes a size into the block vouches for it.
    model["spec"]["metadata"]["remote_kernel"] = {"size": {"driver_memory_mb": 640}}
    assert not definition_of("k", model).size_unknown
    model["spec"]["metadata"]["remote_kernel"] = {"size_unknown": False, "description": "x"}
    assert definition_of("k", model).size_unknown


def test_without_such_a_file_it_is_known():
    assert not definition_of("k", handwritten("--driver-memory 1g")).size_unknown
