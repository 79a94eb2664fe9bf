"""What YARN really takes for a kernel: heap plus what stands beside it, rounded up, for the driver and every executor.

The formula is that of Spark on YARN (``Client.scala``, ``ResourceProfile.scala``) and of the scheduler's
normalisation: https://spark.apache.org/docs/latest/running-on-yarn.html. All memory is in MiB.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

OVERHEAD_FACTOR = 0.10
MINIMUM_OVERHEAD_MB = 384
#: What Spark itself takes for ``spark.dynamicAllocation.maxExecutors`` when it is not set.
UNBOUNDED_EXECUTORS: Final = 2**31 - 1

#: What the scheduler counts: memory alone (each container has 1 vcore then, whatever was asked), or vcores too.
Calculator = Literal["memory", "dominant"]


@dataclass(frozen=True)
class Rules:
    """How this cluster and this Spark make containers out of what is asked for.

    Parameters
    ----------
    minimum_allocation_mb : int
        The smallest container, and the step to which the scheduler rounds up.
    calculator : str
        ``memory`` (DefaultResourceCalculator) or ``dominant`` (DominantResourceCalculator).
    overhead_factor, minimum_overhead_mb
        Spark's rule for memory beside the heap, where a kernel does not say it.
    minimum_vcores : int
        The smallest number of vcores of a container, and the step to which the scheduler rounds up.
    increment_mb : int
        The step where it is not the minimum (FairScheduler); 0: it is.
    maximum_allocation_mb : int
        The largest container, beyond which nothing is rounded; 0: not known.
    """

    minimum_allocation_mb: int
    calculator: Calculator = "dominant"
    overhead_factor: float = OVERHEAD_FACTOR
    minimum_overhead_mb: int = MINIMUM_OVERHEAD_MB
    minimum_vcores: int = 1
    increment_mb: int = 0
    maximum_allocation_mb: int = 0

    @property
    def step_mb(self) -> int:
        """What the memory of a container is a multiple of."""
        return self.increment_mb or self.minimum_allocation_mb

    def container_mb(self, asked_mb: int) -> int:
        """Return the memory of the container that is given for `asked_mb`."""
        rounded = round_up_mb(max(asked_mb, self.minimum_allocation_mb), self.step_mb)
        if asked_mb <= self.maximum_allocation_mb:
            return min(rounded, self.maximum_allocation_mb)
        return rounded

    def container_vcores(self, asked: int) -> int:
        """Return the vcores of the container that is given for `asked`."""
        if self.calculator == "memory":
            return 1
        step = max(1, self.minimum_vcores)
        return -(-max(asked, step) // step) * step


@dataclass(frozen=True)
class KernelSize:
    """What a kernel asks for. Memory in MiB; an overhead of None means Spark's own rule.

    `executors_max` is the maximum of dynamic allocation, with `executors` its beginning; None: no dynamic allocation.
    `UNBOUNDED_EXECUTORS` stands for dynamic allocation that has no maximum.
    """

    driver_memory_mb: int
    driver_cores: int = 1
    executors: int = 0
    executor_memory_mb: int = 0
    executor_cores: int = 1
    driver_overhead_mb: int | None = None
    executor_overhead_mb: int | None = None
    overhead_factor: float | None = None
    pyspark_memory_mb: int | None = None
    off_heap_mb: int | None = None
    executors_max: int | None = None

    @property
    def largest_executors(self) -> int:
        """The executors that there can be at the same time: dynamic allocation counts at its maximum."""
        return max(self.executors, self.executors_max or 0)

    @property
    def unbounded(self) -> bool:
        """True when nothing bounds the number of executors."""
        return self.largest_executors >= UNBOUNDED_EXECUTORS


@dataclass(frozen=True)
class Footprint:
    """What YARN allocates for a kernel: MiB, vcores and containers, the driver's included."""

    driver_mb: int
    executor_mb: int
    memory_mb: int
    vcores: int
    containers: int
    driver_vcores: int = field(default=1, kw_only=True)
    executor_vcores: int = field(default=0, kw_only=True)

    @property
    def executors(self) -> int:
        """The executors that are counted."""
        return max(0, self.containers - 1)


#: What a kernel outside YARN takes there.
NOTHING = Footprint(0, 0, 0, 0, 0, driver_vcores=0)


def overhead_mb(
    heap_mb: int,
    explicit_mb: int | None = None,
    factor: float = OVERHEAD_FACTOR,
    minimum_mb: int = MINIMUM_OVERHEAD_MB,
) -> int:
    """Return the memory beside the heap that Spark asks for: ``max(10 %, 384)`` unless given."""
    if explicit_mb is not None:
        return explicit_mb
    return max(int(factor * heap_mb), minimum_mb)


def round_up_mb(asked_mb: int, minimum_allocation_mb: int) -> int:
    """Round up to a multiple of the scheduler's minimum allocation, as the ResourceManager does."""
    if minimum_allocation_mb < 1:
        raise ValueError("the minimum allocation is at least 1 MiB")
    return -(-asked_mb // minimum_allocation_mb) * minimum_allocation_mb


def driver_overhead_mb(size: KernelSize, rules: Rules) -> int:
    """Return the memory beside the driver's heap."""
    return _overhead_mb(size.driver_memory_mb, size.driver_overhead_mb, size, rules)


def executor_overhead_mb(size: KernelSize, rules: Rules) -> int:
    """Return the memory beside each executor's heap."""
    return _overhead_mb(size.executor_memory_mb, size.executor_overhead_mb, size, rules)


def driver_asked_mb(size: KernelSize, rules: Rules) -> int:
    """Return the memory that Spark asks for the driver's container, before rounding."""
    return size.driver_memory_mb + driver_overhead_mb(size, rules)


def executor_asked_mb(size: KernelSize, rules: Rules) -> int:
    """Return the memory that Spark asks for an executor's container, before rounding."""
    beside = executor_overhead_mb(size, rules)
    return size.executor_memory_mb + beside + (size.pyspark_memory_mb or 0) + (size.off_heap_mb or 0)


def _overhead_mb(heap_mb: int, explicit_mb: int | None, size: KernelSize, rules: Rules) -> int:
    factor = rules.overhead_factor if size.overhead_factor is None else size.overhead_factor
    return overhead_mb(heap_mb, explicit_mb, factor, rules.minimum_overhead_mb)


def footprint(size: KernelSize | None, rules: Rules) -> Footprint:
    """Compute what YARN allocates for `size` under these rules; nothing for None, a kernel outside YARN."""
    if size is None:
        return NOTHING
    driver = rules.container_mb(driver_asked_mb(size, rules))
    driver_vcores = rules.container_vcores(size.driver_cores)
    executors, executor, executor_vcores = size.largest_executors, 0, 0
    if executors:
        executor = rules.container_mb(executor_asked_mb(size, rules))
        executor_vcores = rules.container_vcores(size.executor_cores)
    return Footprint(
        driver_mb=driver,
        executor_mb=executor,
        memory_mb=driver + executors * executor,
        vcores=driver_vcores + executors * executor_vcores,
        containers=1 + executors,
        driver_vcores=driver_vcores,
        executor_vcores=executor_vcores,
    )


def human_mb(memory_mb: int) -> str:
    """Write MiB for people: ``640 MB``, ``2.0 GB``, ``1.9 TB`` (powers of 1024, as YARN counts)."""
    if memory_mb < 1024:
        return f"{memory_mb} MB"
    if memory_mb < 1024 * 1024:
        return f"{memory_mb / 1024:.1f} GB"
    return f"{memory_mb / 1024 / 1024:.1f} TB"


def exact_mb(memory_mb: int) -> str:
    """Write MiB for people without rounding: ``2.0 GB``, ``1.25 GB``, ``1409 MB``; sums of them add up."""
    if memory_mb < 1024 or memory_mb * 100 % 1024:
        return f"{memory_mb} MB"
    hundredths = memory_mb * 100 // 1024
    return f"{hundredths / 100:.1f} GB" if hundredths % 10 == 0 else f"{hundredths / 100:.2f} GB"
