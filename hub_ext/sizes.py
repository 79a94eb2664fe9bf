"""What YARN really takes for a kernel: heap plus overhead, rounded up, for the driver and every executor.

The formula is that of Spark on YARN (``Client.scala``, ``ResourceProfile.scala``) and of the CapacityScheduler's
normalisation: https://spark.apache.org/docs/latest/running-on-yarn.html. All memory is in MiB.
"""

from dataclasses import dataclass

OVERHEAD_FACTOR = 0.10
MINIMUM_OVERHEAD_MB = 384


@dataclass(frozen=True)
class KernelSize:
    """What a kernel asks for. Memory in MiB; an overhead of None means Spark's own rule."""

    driver_memory_mb: int
    driver_cores: int = 1
    executors: int = 0
    executor_memory_mb: int = 0
    executor_cores: int = 1
    driver_overhead_mb: int | None = None
    executor_overhead_mb: int | None = None


@dataclass(frozen=True)
class Footprint:
    """What YARN allocates for a kernel: MiB, vcores and containers, the driver's included."""

    driver_mb: int
    executor_mb: int
    memory_mb: int
    vcores: int
    containers: int


def overhead_mb(heap_mb: int, explicit_mb: int | None = None) -> int:
    """Return the memory beside the heap that Spark asks for: ``max(10 %, 384)`` unless given."""
    if explicit_mb is not None:
        return explicit_mb
    return max(int(heap_mb * OVERHEAD_FACTOR), MINIMUM_OVERHEAD_MB)


def round_up_mb(asked_mb: int, minimum_allocation_mb: int) -> int:
    """Round up to a multiple of the scheduler's minimum allocation, as the ResourceManager does."""
    if minimum_allocation_mb < 1:
        raise ValueError("the minimum allocation is at least 1 MiB")
    return -(-asked_mb // minimum_allocation_mb) * minimum_allocation_mb


def footprint(size: KernelSize, minimum_allocation_mb: int) -> Footprint:
    """Compute what YARN allocates for `size` on a cluster with this minimum allocation."""
    driver = round_up_mb(
        size.driver_memory_mb + overhead_mb(size.driver_memory_mb, size.driver_overhead_mb),
        minimum_allocation_mb,
    )
    executor = 0
    if size.executors:
        executor = round_up_mb(
            size.executor_memory_mb + overhead_mb(size.executor_memory_mb, size.executor_overhead_mb),
            minimum_allocation_mb,
        )
    return Footprint(
        driver_mb=driver,
        executor_mb=executor,
        memory_mb=driver + size.executors * executor,
        vcores=size.driver_cores + size.executors * size.executor_cores,
        containers=1 + size.executors,
    )


def human_mb(memory_mb: int) -> str:
    """Write MiB for people: ``640 MB``, ``2.0 GB``, ``1.9 TB`` (powers of 1024, as YARN counts)."""
    if memory_mb < 1024:
        return f"{memory_mb} MB"
    if memory_mb < 1024 * 1024:
        return f"{memory_mb / 1024:.1f} GB"
    return f"{memory_mb / 1024 / 1024:.1f} TB"
