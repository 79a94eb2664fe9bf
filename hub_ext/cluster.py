"""What the edge service tells of the cluster: plain data, the same on both sides of its API.

Memory is MiB, time is UTC.
"""

import re
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from .names import KERNEL_ID_PATTERN, is_kernel_id
from .sizes import MINIMUM_OVERHEAD_MB, OVERHEAD_FACTOR, Calculator, Rules

#: Where an application runs that names no queue: Spark's own default.
DEFAULT_QUEUE = "default"


class Plain(BaseModel):
    """Immutable plain data; unknown fields of a newer edge are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Node(Plain):
    """A NodeManager."""

    id: str
    host: str
    state: str
    memory_used_mb: int = 0
    memory_total_mb: int = 0
    vcores_used: int = 0
    vcores_total: int = 0
    containers: int = 0
    health_report: str = ""


class Queue(Plain):
    """A leaf queue of the scheduler. Percentages are of the whole cluster (0 to 100).

    `maximum_memory_mb` and `maximum_vcores` are what its applications can hold together at most, the
    `maximum_allocation` fields one container of it; 0: not told. The `am` fields are of application masters, which
    drivers are; the `user_maximum` fields are what one user's applications can hold together; None: no bound is told.
    """

    name: str
    path: str
    state: str
    capacity_percent: float = 0.0
    maximum_percent: float = 0.0
    used_percent: float = 0.0
    memory_used_mb: int = 0
    vcores_used: int = 0
    applications_running: int = 0
    applications_waiting: int = 0
    maximum_memory_mb: int = 0
    maximum_vcores: int = 0
    maximum_allocation_mb: int = 0
    maximum_allocation_vcores: int = 0
    am_maximum_mb: int | None = None
    am_maximum_vcores: int | None = None
    am_used_mb: int = 0
    am_used_vcores: int = 0
    user_maximum_mb: int | None = None
    user_maximum_vcores: int | None = None


class Application(Plain):
    """A YARN application."""

    id: str
    user: str
    name: str = ""
    queue: str = ""
    state: str
    final_status: str = ""
    tags: tuple[str, ...] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    memory_mb: int = 0
    vcores: int = 0
    containers: int = 0
    diagnostics: str = ""
    #: The node of its driver, once that has a container.
    host: str = ""

    @property
    def ended(self) -> bool:
        """True when YARN will not run it any more."""
        return self.state in {"FINISHED", "FAILED", "KILLED"}

    @property
    def kernel_ids(self) -> frozenset[str]:
        """The kernels it may belong to: by its tags, and by its name, which is all that a hand-written one may have."""
        return frozenset(
            [*(tag for tag in self.tags if is_kernel_id(tag)), *re.findall(rf"\b{KERNEL_ID_PATTERN}\b", self.name)]
        )


class ClusterState(Plain):
    """The cluster as the poller last saw it.

    `as_of` is None when the ResourceManager never answered since the edge service started. `stale` says that the
    last poll failed; the numbers are then those of `as_of`, and `error` says why in words.

    Containers are rounded up to multiples of the minimum allocation, or of `increment_allocation_mb` where that is
    not 0. `queues_fixed` is False where the scheduler makes queues when an application asks for them.
    """

    as_of: datetime | None = None
    stale: bool = True
    error: str = ""
    memory_used_mb: int = 0
    memory_total_mb: int = 0
    vcores_used: int = 0
    vcores_total: int = 0
    nodes_active: int = 0
    nodes_total: int = 0
    applications_running: int = 0
    applications_waiting: int = 0
    minimum_allocation_mb: int = 1024
    minimum_allocation_vcores: int = 1
    increment_allocation_mb: int = 0
    maximum_allocation_mb: int = 0
    maximum_allocation_vcores: int = 0
    resource_calculator: Calculator = "memory"
    resource_manager_version: str = ""
    nodes: tuple[Node, ...] = ()
    queues: tuple[Queue, ...] = ()
    queues_fixed: bool = True

    def rules(self, overhead_factor: float = OVERHEAD_FACTOR, minimum_overhead_mb: int = MINIMUM_OVERHEAD_MB) -> Rules:
        """Return how this cluster makes containers, with Spark's rule for the overhead on this site."""
        return Rules(
            minimum_allocation_mb=self.minimum_allocation_mb,
            calculator=self.resource_calculator,
            overhead_factor=overhead_factor,
            minimum_overhead_mb=minimum_overhead_mb,
            minimum_vcores=self.minimum_allocation_vcores,
            increment_mb=self.increment_allocation_mb,
            maximum_allocation_mb=self.maximum_allocation_mb,
        )

    def queue(self, name: str | None) -> Queue | None:
        """Find a leaf queue as the scheduler does: by its path, or by its name when only one has it."""
        wanted = queue_path(name)
        found = [one for one in self.queues if queue_path(one.path) == wanted]
        found = found or [one for one in self.queues if one.name == wanted]
        return found[0] if len(found) == 1 else None


def queue_path(name: str | None) -> str:
    """Return a queue's path without the root, which may be left out everywhere: ``a.b`` for ``root.a.b``."""
    return (name or DEFAULT_QUEUE).removeprefix("root.")


class Applications(Plain):
    """Applications that matched a question, with the age of the answer."""

    as_of: datetime | None = None
    stale: bool = True
    error: str = ""
    applications: tuple[Application, ...] = ()


class StartState(Plain):
    """Where the application of a kernel that starts is. `ahead` counts those that came earlier into the same queue and
    wait too; `used_percent` is the share of what the queue may have at most; None: not known."""

    kernel_id: str
    state: str
    queue: str = ""
    ahead: int | None = None
    used_percent: int | None = None
    containers: int = 0
    host: str = ""
    diagnostics: str = ""


class StartStates(Plain):
    """Where some starts are; one that YARN does not have yet is not among them."""

    as_of: datetime | None = None
    stale: bool = True
    starts: tuple[StartState, ...] = ()
