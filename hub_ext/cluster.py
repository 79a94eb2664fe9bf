"""What the edge service tells of the cluster: plain data, the same on both sides of its API.

Memory is MiB, time is UTC.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


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
    """A leaf queue of the scheduler. Percentages are of the whole cluster (0 to 100)."""

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

    @property
    def ended(self) -> bool:
        """True when YARN will not run it any more."""
        return self.state in {"FINISHED", "FAILED", "KILLED"}


class ClusterState(Plain):
    """The cluster as the poller last saw it.

    `as_of` is None when the ResourceManager never answered since the edge service started. `stale` says that the
    last poll
    failed; the numbers are then those of `as_of`, and `error` says why in words.
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
    maximum_allocation_mb: int = 0
    maximum_allocation_vcores: int = 0
    resource_manager_version: str = ""
    nodes: tuple[Node, ...] = ()
    queues: tuple[Queue, ...] = ()


class Applications(Plain):
    """Applications that matched a question, with the age of the answer."""

    as_of: datetime | None = None
    stale: bool = True
    error: str = ""
    applications: tuple[Application, ...] = ()
