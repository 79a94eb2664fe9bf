"""The one reader of the cluster: however many people look, the ResourceManager is asked once an interval."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from prometheus_client import Counter, Gauge, Histogram

from hub_ext.cluster import Application, ClusterState, Node
from hub_ext.sizes import Calculator
from hub_ext.web.health import Failing

from . import gauges, shapes
from .resource_manager import API, UNFINISHED, ResourceManager, ResourceManagerError
from .schedulers import Scheduler, scheduler
from .story import Story

log = logging.getLogger("hadoop_edge.poller")

#: What YARN itself assumes when ``yarn.scheduler.minimum-allocation-mb`` is not set.
YARN_MINIMUM_ALLOCATION_MB = 1024
#: The fair scheduler's step: its setting's newer and older name, and what it assumes without either.
INCREMENTS = ("yarn.resource-types.memory-mb.increment-allocation", "yarn.scheduler.increment-allocation-mb")
FAIR_INCREMENT_MB = 1024
CALCULATORS: dict[str, Calculator] = {"memory": "memory", "dominant": "dominant"}
#: A poll may take at most this share of the ResourceManager's time: after a slow one the next waits longer.
LARGEST_SHARE = 0.2
SHORTEST_REST_S = 1.0

POLL_SECONDS = Histogram("hadoop_edge_poll_seconds", "Time of one poll of the ResourceManager")
POLL_FAILURES = Counter("hadoop_edge_poll_failures_total", "Polls of the ResourceManager that failed")
LAST_SUCCESS = Gauge("hadoop_edge_last_success_timestamp_seconds", "When the last poll succeeded")


@dataclass(frozen=True)
class Snapshot:
    """What everyone is told until the next poll.

    `encoded` is `state` as JSON, made once; `seen_at` is when it was asked for, on the monotonic clock.
    """

    state: ClusterState = field(default_factory=ClusterState)
    applications: tuple[Application, ...] = ()
    encoded: bytes = b""
    seen_at: float = float("-inf")

    def failed(self, error: str) -> "Snapshot":
        """Return the same numbers, marked as those of an earlier time."""
        return snapshot(self.state.model_copy(update={"stale": True, "error": error}), self.applications, self.seen_at)


@dataclass(frozen=True)
class Allocation:
    """How the scheduler rounds and bounds a container (MiB, vcores; 0: not told, an increment of 0: the minimum)."""

    minimum_mb: int = YARN_MINIMUM_ALLOCATION_MB
    minimum_vcores: int = 1
    increment_mb: int = 0
    calculator: Calculator | None = None
    maximum_mb: int = 0
    maximum_vcores: int = 0


def snapshot(state: ClusterState, applications: tuple[Application, ...], seen_at: float = float("-inf")) -> Snapshot:
    """Make a snapshot with its JSON."""
    return Snapshot(state, applications, state.model_dump_json().encode(), seen_at)


class Poller:
    """Asks the ResourceManager on a timer and keeps the newest snapshot.

    Parameters
    ----------
    resource_manager : ResourceManager
        The client.
    poll_interval, nodes_interval : float
        Seconds between polls, and between polls that ask for the nodes and the scheduler's settings as well.
    stale_after : float
        Seconds after which numbers count as old even when no poll failed, because one hangs.
    minimum_allocation_mb : int
        Overrides what the ResourceManager tells; 0 asks it.
    resource_calculator : str
        ``memory`` or ``dominant``; ``auto`` asks the ResourceManager.
    now : callable
        The clock, UTC.
    """

    def __init__(
        self,
        resource_manager: ResourceManager,
        *,
        poll_interval: float,
        nodes_interval: float,
        stale_after: float,
        minimum_allocation_mb: int = 0,
        resource_calculator: str = "auto",
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self.resource_manager = resource_manager
        self._poll_interval = poll_interval
        self._nodes_interval = nodes_interval
        self._stale_after = stale_after
        self._minimum_allocation_mb = minimum_allocation_mb
        self._calculator: Calculator | None = CALCULATORS.get(resource_calculator)
        self.now = now
        self.monotonic = time.monotonic
        self._snapshot = snapshot(ClusterState(), ())
        self._polled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._cluster_id = ""
        self._nodes: tuple[Node, ...] = ()
        self._nodes_due = 0.0
        self._allocation = Allocation()
        self._withheld = False
        self._story = Story()

    async def current(self, wait: float = 0.0) -> Snapshot:
        """Return the newest snapshot; right after the start, wait up to `wait` seconds for the first poll."""
        if not self._polled.is_set() and wait:
            try:
                await asyncio.wait_for(self._polled.wait(), wait)
            except (TimeoutError, asyncio.TimeoutError):
                log.debug("The first poll takes longer than %g s.", wait)
        kept = self._snapshot
        if kept.state.as_of is None or kept.state.stale or self.age(kept) <= self._stale_after:
            return kept
        return kept.failed("The ResourceManager takes long to answer.")

    def age(self, kept: Snapshot) -> float:
        """Return the seconds since a snapshot's numbers were asked for, whatever was done to the clock since."""
        return self.monotonic() - kept.seen_at

    def start(self) -> None:
        """Begin to poll."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def probe(self) -> str:
        """Say in a health check that polling goes on."""
        if self._task is None or self._task.done():
            raise Failing("polling has ended")
        return "polls"

    async def probe_resource_manager(self) -> str:
        """Say in a health check whether the last poll worked."""
        state = (await self.current()).state
        if state.stale:
            raise Failing("the last poll failed" if state.as_of else "has not answered yet")
        return f"as of {state.as_of:%H:%M:%S} UTC"

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            answered = await self.poll()
            took = time.monotonic() - began
            # One that did not answer is no busier for being asked again soon, and people wait for it to come back.
            rest = took / LARGEST_SHARE - took if answered else 0.0
            await asyncio.sleep(max(self._poll_interval - took, rest, SHORTEST_REST_S))

    async def poll(self) -> bool:
        """Ask once and publish what came of it; say whether that worked. Never raises."""
        answered = False
        with POLL_SECONDS.time():
            try:
                self._snapshot = await self._asked()
                LAST_SUCCESS.set_to_current_time()
                gauges.show(self._snapshot.state)
                self._story.look(self._snapshot.applications)
                answered = True
            except ResourceManagerError as error:
                POLL_FAILURES.inc()
                log.warning("Poll failed: %s", error)
                self._snapshot = self._snapshot.failed(str(error))
            except Exception:
                # Polling has to go on whatever one answer looks like.
                POLL_FAILURES.inc()
                log.exception("Poll failed")
                self._snapshot = self._snapshot.failed("The ResourceManager's answer can't be read.")
        self._polled.set()
        return answered

    async def _asked(self) -> Snapshot:
        rm = self.resource_manager
        info = await rm.info()
        as_of, seen_at = self.now(), self.monotonic()
        totals, found, applications = await asyncio.gather(
            rm.get(f"{API}/metrics", shapes.totals),
            rm.get(f"{API}/scheduler", scheduler),
            rm.applications(shapes.applications, states=UNFINISHED),
        )
        await self._ask_for_what_changes_rarely(shapes.text(info.get("id")), found)
        self._tell_withheld(applications)
        state = ClusterState(
            as_of=as_of,
            stale=False,
            minimum_allocation_mb=self._allocation.minimum_mb,
            minimum_allocation_vcores=self._allocation.minimum_vcores,
            increment_allocation_mb=self._allocation.increment_mb,
            maximum_allocation_mb=self._allocation.maximum_mb,
            maximum_allocation_vcores=self._allocation.maximum_vcores,
            # What YARN itself takes where nothing is said is the calculator of memory.
            resource_calculator=self._calculator or self._allocation.calculator or found.calculator or "memory",
            resource_manager_version=shapes.text(info.get("resourceManagerVersion")),
            nodes=self._nodes,
            queues=found.queues,
            queues_fixed=found.queues_fixed,
            **totals,
        )
        return await asyncio.to_thread(snapshot, state, applications, seen_at)

    def _tell_withheld(self, applications: tuple[Application, ...]) -> None:
        """Log once when the ResourceManager hides times and sizes, which it does from users without the right."""
        hidden = any(one.started_at is None for one in applications)
        if hidden and not self._withheld:
            log.warning(
                "The ResourceManager withholds sizes of applications from user %s: name it in yarn.admin.acl.",
                self.resource_manager.user,
            )
        self._withheld = hidden

    async def _ask_for_what_changes_rarely(self, cluster_id: str, found: Scheduler) -> None:
        """Ask for nodes and settings on their own timer, and after every start of the ResourceManager.

        Settings change also without one: ``yarn rmadmin -refreshQueues`` is enough.
        """
        if cluster_id == self._cluster_id and time.monotonic() < self._nodes_due:
            return
        self._nodes = await self.resource_manager.nodes(shapes.nodes)
        self._allocation = await self._ask_allocation(found)
        self._nodes_due = time.monotonic() + self._nodes_interval
        self._cluster_id = cluster_id

    async def _ask_allocation(self, found: Scheduler) -> Allocation:
        """Ask how containers are rounded: by the minimum, or by the fair scheduler's own increment."""
        rm = self.resource_manager
        return Allocation(
            minimum_mb=self._minimum_allocation_mb
            or shapes.whole(await rm.setting("yarn.scheduler.minimum-allocation-mb"))
            or YARN_MINIMUM_ALLOCATION_MB,
            minimum_vcores=shapes.whole(await rm.setting("yarn.scheduler.minimum-allocation-vcores")) or 1,
            increment_mb=0 if self._minimum_allocation_mb else await self._ask_increment(found),
            calculator=await self._ask_calculator(found),
            maximum_mb=found.maximum_allocation_mb
            or shapes.whole(await rm.setting("yarn.scheduler.maximum-allocation-mb")),
            maximum_vcores=found.maximum_allocation_vcores
            or shapes.whole(await rm.setting("yarn.scheduler.maximum-allocation-vcores")),
        )

    async def _ask_increment(self, found: Scheduler) -> int:
        if found.kind != "fairScheduler":
            return 0
        for name in INCREMENTS:
            asked = shapes.whole(await self.resource_manager.setting(name))
            if asked:
                return asked
        return FAIR_INCREMENT_MB

    async def _ask_calculator(self, found: Scheduler) -> Calculator | None:
        if found.kind != "capacityScheduler":
            return None
        name = await self.resource_manager.scheduler_setting("yarn.scheduler.capacity.resource-calculator")
        if not name:
            return None
        return "dominant" if "Dominant" in name.rsplit(".", 1)[-1] else "memory"
