"""What `hub_ext.sizes` computes is what a real ResourceManager allocates, to the MiB and the vcore."""

import asyncio

import pytest

from hadoop_edge.poller import Poller
from hadoop_edge.resource_manager import ResourceManager
from hub_ext.cluster import DEFAULT_QUEUE
from hub_ext.embedded import hadoop
from hub_ext.embedded.layout import LOOPBACK
from hub_ext.limits.ask import Ask
from hub_ext.limits.decide import physical_refusal
from hub_ext.sizes import KernelSize, footprint

from .yarn_stack import Stack, wait_for

#: Each is a kernel of its own. Those with a maximum of executors are brought there by a job of many tasks.
SIZES = {
    "driver_only": KernelSize(640),
    "explicit_overhead": KernelSize(
        512, 2, executors=2, executor_memory_mb=512, executor_cores=2, driver_overhead_mb=700, executor_overhead_mb=150
    ),
    "factor": KernelSize(1000, executors=1, executor_memory_mb=900, overhead_factor=0.55),
    "factor_below_the_minimum": KernelSize(700, executors=1, executor_memory_mb=660, overhead_factor=0.2),
    "pyspark_memory": KernelSize(640, executors=1, executor_memory_mb=512, pyspark_memory_mb=300),
    # With off-heap memory of its own the driver would take 1536.
    "off_heap": KernelSize(700, executors=1, executor_memory_mb=512, off_heap_mb=200),
    "many_small": KernelSize(640, executors=4, executor_memory_mb=512, executor_cores=3, executor_overhead_mb=1),
    "dynamic": KernelSize(640, executors=0, executor_memory_mb=512, executors_max=3),
    "dynamic_with_everything": KernelSize(
        600,
        2,
        executors=1,
        executor_memory_mb=600,
        executor_cores=2,
        overhead_factor=0.7,
        pyspark_memory_mb=100,
        off_heap_mb=64,
        executors_max=2,
    ),
}
DOMINANT, MEMORY = "DominantResourceCalculator", "DefaultResourceCalculator"
#: Where only memory is counted two sizes are enough to see it.
KERNELS = {DOMINANT: tuple(SIZES), MEMORY: ("explicit_overhead", "dynamic_with_everything")}
#: A site's spark-defaults.conf that would make every container larger, if anything were left to it.
GENEROUS_SITE = {
    "spark.driver.cores": "3",
    "spark.driver.memoryOverhead": "2g",
    "spark.driver.memoryOverheadFactor": "2",
    "spark.executor.cores": "4",
    "spark.executor.instances": "3",
    "spark.executor.memory": "2g",
    "spark.executor.memoryOverhead": "2g",
    "spark.executor.memoryOverheadFactor": "2",
    "spark.executor.pyspark.memory": "700m",
    "spark.memory.offHeap.enabled": "true",
    "spark.memory.offHeap.size": "800m",
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.minExecutors": "2",
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.yarn.queue": "nowhere",
}
MANY_TASKS = "import time; sc.parallelize(range(200), 200).foreach(lambda _: time.sleep(0.5))"


def block(size):
    given = {name: value for name, value in vars(size).items() if value is not None}
    return {"type": "spark-python" if size.largest_executors else "python", "size": given}


@pytest.fixture(scope="module", params=[DOMINANT, MEMORY])
def stack(request, tmp_path_factory):
    made = Stack(tmp_path_factory.mktemp("sizes") / "p")
    settings = made.layout.hadoop_conf / "capacity-scheduler.xml"
    settings.write_text(settings.read_text().replace(DOMINANT, request.param))
    with (made.layout.hadoop_conf / "spark-defaults.conf").open("a") as defaults:
        defaults.writelines(f"{name}={value}\n" for name, value in GENEROUS_SITE.items())
    made.calculator = "dominant" if request.param == DOMINANT else "memory"
    made.kernels = KERNELS[request.param]
    for name, size in SIZES.items():
        made.add_kernelspec(name, **block(size))
    try:
        made.start_all()
        # Its nodes are counted a moment before it calls itself active.
        wait_for(lambda: made.rm("info")["clusterInfo"]["haState"] == "ACTIVE", 30, "an active ResourceManager")
        yield made
    finally:
        made.stop_all()


def cluster_state(stack, user):
    """Ask the ResourceManager once, as the edge service does."""

    async def ask():
        manager = ResourceManager(
            [f"http://{LOOPBACK}:{stack.ports.rm_web}"], user=user, timeout=5.0, maximum_bytes=2**24
        )
        poller = Poller(manager, poll_interval=5, nodes_interval=5, stale_after=20)
        assert await poller.poll()
        return (await poller.current()).state

    return asyncio.run(ask())


def test_how_the_scheduler_counts_is_learned_from_it(stack):
    for user in (hadoop.service_user(), "alice"):
        state = cluster_state(stack, user)
        assert state.resource_calculator == stack.calculator
        assert (state.minimum_allocation_mb, state.minimum_allocation_vcores) == (256, 1)
        assert (state.maximum_allocation_mb, state.maximum_allocation_vcores) == (6144, 8)
        assert {one.name: one.maximum_memory_mb for one in state.queues} == {"default": 12288, "notebooks": 12288}
        assert state.queues_fixed


def allocated(stack, kernel_id):
    (application,) = stack.applications(kernel_id)
    return {
        "memory_mb": application["allocatedMB"],
        "vcores": application["allocatedVCores"],
        "containers": application["runningContainers"],
    }


def taken_by(stack, name, expected):
    """Start a kernel, wait until as many containers are there as were computed, and return what they take."""
    kernel = stack.start_kernel(name)
    try:
        dynamic = SIZES[name].executors_max is not None
        message = kernel.send(MANY_TASKS if dynamic else "1 + 1")
        found = {}

        def all_there():
            found.update(allocated(stack, kernel.kernel_id))
            return found["containers"] >= expected.containers

        wait_for(all_there, 90, f"{expected.containers} containers of {name}")
        if dynamic:
            kernel.interrupt()
        kernel.collect(message)
        return found
    finally:
        kernel.delete()


def test_kernels_take_what_was_computed(stack):
    state = cluster_state(stack, hadoop.service_user())
    computed, found = {}, {}
    for name in stack.kernels:
        expected = footprint(SIZES[name], state.rules())
        assert physical_refusal(Ask("alice", name, name, SIZES[name], expected, "notebooks"), state) is None
        computed[name] = {
            "memory_mb": expected.memory_mb,
            "vcores": expected.vcores,
            "containers": expected.containers,
        }
        found[name] = taken_by(stack, name, expected)
        print(f"{stack.calculator} {name}: computed {computed[name]}, allocated {found[name]}")
    assert found == computed


def test_a_kernel_that_names_no_queue_is_where_it_is_counted(stack):
    stack.add_kernelspec("no_queue", **block(SIZES["driver_only"]), queue=None)
    kernel = stack.start_kernel("no_queue")
    (application,) = stack.applications(kernel.kernel_id)
    kernel.delete()
    assert application["queue"] == f"root.{DEFAULT_QUEUE}"


def test_vcores_above_the_maximum_are_refused_whatever_is_counted(stack):
    size = KernelSize(640, driver_cores=9)
    stack.add_kernelspec("too_many_cores", **block(size))
    assert stack.failure("too_many_cores")[1] == "container-too-large"
    state = cluster_state(stack, hadoop.service_user())
    refused = physical_refusal(Ask("alice", "k", "K", size, footprint(size, state.rules()), "notebooks"), state)
    assert refused is not None
    assert (refused.code, refused.numbers["asked"], refused.numbers["limit"]) == ("container-too-large", 9, 8)
