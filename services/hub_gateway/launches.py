"""Launches of kernels that have their place: in line, at Enterprise Gateway, and undone when they come to nothing."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter, Histogram

from hub_ext.cluster import ClusterState
from hub_ext.database import Kernel
from hub_ext.errors import PublicError, internal_error
from hub_ext.kernels import KernelDefinition
from hub_ext.limits.admission import Admission
from hub_ext.logs import request_id
from hub_ext.sizes import Rules

from .counted import counted_environment
from .ends import Ends, Tasks, ended_meanwhile, was_answered, words
from .environment import upstream_body
from .leases import Leases, Work
from .upstream import EnterpriseGateway
from .waiting.handover import deliver
from .waiting.line import Line, Ticket
from .waiting.room import Room
from .waiting.rooms import Rooms
from .waiting.tiny_kernel import Deed

log = logging.getLogger("hub_gateway")

STARTS = Counter("hub_gateway_kernel_starts_total", "Kernel starts by outcome", ["outcome"])
START_SECONDS = Histogram(
    "hub_gateway_kernel_start_seconds",
    "Time from the request to a connected kernel",
    buckets=(1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600),
)
#: Seconds beyond the launch timeout that Enterprise Gateway has to answer.
ANSWER_MARGIN = 30.0
#: Seconds that are left for a launch however long it has waited in line.
SHORTEST_LAUNCH = 30
#: Seconds after which a launch that YARN still does not know lets the next one begin.
LONGEST_SUBMISSION = 30.0
#: Seconds after which Enterprise Gateway is asked what a start took that was not known when it was answered, and how
#: often: Spark may take its time, and a first cell is run by somebody.
COUNTED_AFTER, COUNTED_AT_MOST = 30.0, 10
#: Seconds for the handshake by which what clients have left behind is delivered.
DELIVERY_SECONDS = 90.0
GATEWAY_STOPS = "start failed: its gateway is being stopped"
INTERRUPTED = "interrupted while it was starting"
SHUT_DOWN = "stopped by its owner"


@dataclass(frozen=True)
class Settings:
    """What the site decided; see the traits of `HubGateway`."""

    user_domain: str
    launch_timeout: int
    allowed_env: frozenset[str]
    spark_overhead_factor: float
    spark_minimum_overhead_mb: int
    submissions_at_once: int = 5

    def rules(self, cluster: ClusterState) -> Rules:
        """Return how a cluster makes containers."""
        return cluster.rules(self.spark_overhead_factor, self.spark_minimum_overhead_mb)


class Launches:
    """Launches kernels whatever becomes of those who asked for them."""

    def __init__(
        self,
        admission: Admission,
        leases: Leases,
        upstream: EnterpriseGateway,
        ends: Ends,
        rooms: Rooms,
        settings: Settings,
    ) -> None:
        self._admission = admission
        self._leases = leases
        self._upstream = upstream
        self._ends = ends
        self._rooms = rooms
        self._settings = settings
        self._line = Line(settings.submissions_at_once)
        self._tasks = Tasks()
        self._later = Tasks()
        self._starts: set[Work] = set()

    def begin(
        self, kernel: Kernel, definition: KernelDefinition, client_env: dict[str, Any], work: Work
    ) -> "asyncio.Task[dict[str, Any]]":
        """Launch a kernel that has its place; the task gives its model, when it runs."""

        def wish(deed: Deed) -> None:
            if deed == "restart":
                room.forget()
            else:
                self._tasks.begin(self.end(kernel, INTERRUPTED if deed == "interrupt" else SHUT_DOWN))

        log.info("Kernel admitted: kernel=%s kernelspec=%s user=%s", kernel.id, kernel.kernelspec, kernel.owner)
        room = self._rooms.open(kernel, definition.language, wish)
        room.client_env = client_env
        room.ticket = self._line.enter(kernel.owner)
        return self._tasks.begin(self._launch(kernel, definition, client_env, work, room, room.ticket))

    async def end(self, kernel: Kernel, reason: str) -> bool:
        """End a start that is under way; False when it is not any more."""
        return await self._ends.left_to_its_worker(kernel, reason)

    async def _launch(
        self,
        kernel: Kernel,
        definition: KernelDefinition,
        client_env: dict[str, Any],
        work: Work,
        room: Room,
        ticket: Ticket,
    ) -> dict[str, Any]:
        """Launch a kernel, to the end: it runs and is confirmed, or it is undone."""
        answered = False
        self._starts.add(work)
        with self._leases.held(kernel.id, work):
            try:
                with START_SECONDS.time():
                    seconds = await self._turn(ticket, work)
                    room.submitting()
                    model = await self._ends.answered(
                        self._submitted(kernel, definition, client_env, seconds), kernel, work
                    )
                answered = True
                if work.to_end.is_set() or not await self._admission.confirm(kernel.id) or work.to_end.is_set():
                    raise ended_meanwhile("start")
            except Exception as error:
                STARTS.labels(outcome="ended" if work.to_end.is_set() else _outcome(error)).inc()
                log.warning("Start of kernel=%s failed: %s", kernel.id, error)
                ticket.release()
                reason = work.reason or f"start failed: {words(error)}"
                told = _told(error, work)
                try:
                    await self._ends.undo(kernel, reason, answered=answered or was_answered(error))
                finally:  # whatever becomes of that, nobody waits on
                    room.fail(told, dismissed=work.to_end.is_set() and work.reason != INTERRUPTED)
                if work.reason == GATEWAY_STOPS:
                    raise told from error
                raise
            finally:
                ticket.release()
                self._starts.discard(work)
                self._rooms.close(room)
        STARTS.labels(outcome="started").inc()
        log.info("Kernel connected: kernel=%s user=%s", kernel.id, kernel.owner)
        room.ready()
        room.clock.count(model)
        if kernel.warm_until is None:  # until somebody uses such a one, its times are nobody's
            self._later.begin(self._count_later(kernel.id, room))
        self.deliver_left(room)
        return model

    async def _turn(self, ticket: Ticket, work: Work) -> int:
        """Wait until a launch may begin; return the seconds that it has then.

        Raises
        ------
        PublicError
            It is to end, or did not come to its turn in time.
        """
        began = asyncio.get_running_loop().time()
        called, to_end = asyncio.ensure_future(ticket.called.wait()), asyncio.ensure_future(work.to_end.wait())
        try:
            limit = self._settings.launch_timeout
            await asyncio.wait({called, to_end}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            called.cancel()
            to_end.cancel()
        if work.to_end.is_set():
            raise ended_meanwhile("start")
        if not ticket.called.is_set():
            raise _never_called(ticket, limit)
        asyncio.get_running_loop().call_later(LONGEST_SUBMISSION, ticket.release)
        waited = asyncio.get_running_loop().time() - began
        return max(int(limit - waited), min(SHORTEST_LAUNCH, limit))

    async def _submitted(
        self, kernel: Kernel, definition: KernelDefinition, client_env: dict[str, Any], seconds: int
    ) -> dict[str, Any]:
        """Have Enterprise Gateway launch it."""
        body = upstream_body(
            kernel.kernelspec,
            kernel.id,
            kernel.cluster_user,
            seconds,
            client_env,
            self._settings.allowed_env,
            # The cluster rounds containers; what stands beside a heap is Spark's rule on this site alone.
            counted_environment(definition, self._settings.rules(ClusterState())),
            request_id(),
        )
        log.info("Kernel submitted: kernel=%s kernelspec=%s user=%s", kernel.id, kernel.kernelspec, kernel.owner)
        return await self._upstream.start(body, seconds + ANSWER_MARGIN)

    async def _count_later(self, kernel_id: str, room: Room) -> None:
        """Count what Enterprise Gateway learns after the kernel has come: when Spark was ready, when a cell had run."""
        for _ in range(COUNTED_AT_MOST):
            await asyncio.sleep(COUNTED_AFTER)
            if room.clock.complete:
                return
            try:
                room.clock.count(await self._upstream.kernel(kernel_id))
            except PublicError as error:
                if error.code == "no-such-kernel":
                    return

    def deliver_left(self, room: Room) -> None:
        """Have a kernel that has come run what clients have left for it that did not come back."""
        for kept in room.left.values():
            self._later.begin(deliver(self._upstream, room.kernel.id, kept.all(), DELIVERY_SECONDS))

    def undo(self, kernel: Kernel, reason: str) -> None:
        """Have a kernel ended that runs and that nobody learned of."""
        self._tasks.begin(self._ends.undo(kernel, reason, answered=True))

    async def close(self, seconds: float) -> None:
        """End the launches under way, whose clients this gateway leaves; what takes longer is for the reconciler."""
        for work in self._starts:
            work.end(GATEWAY_STOPS)
        await self._tasks.finish(seconds)
        await self._later.finish(0)


def _told(error: Exception, work: Work) -> PublicError:
    """Say why a kernel will not come, to those who wait for it."""
    if work.reason == GATEWAY_STOPS:
        return PublicError(
            "gateway-stopping",
            "The kernel's start was ended, because the gateway is being stopped.",
            remedy="Start it again in a minute. If that stays, tell your Hub administrator.",
        )
    if work.to_end.is_set() and work.reason:
        return PublicError(
            "kernel-start-failed",
            f"Its start was ended: {work.reason.removeprefix('start failed: ')}.",
            remedy="Restart the kernel to begin anew.",
        )
    if isinstance(error, PublicError):
        return error
    return internal_error("see the gateway's log")


def _never_called(ticket: Ticket, limit: int) -> PublicError:
    return PublicError(
        "kernel-start-timeout",
        f"So many kernels are being started that this one was not submitted within {limit} s.",
        details=[f"{ticket.ahead} were still ahead of it."],
        remedy="Try again in a few minutes. If it stays, tell your Hub administrator.",
    )


def _outcome(error: Exception) -> str:
    """Name a failed start for the metrics."""
    return error.code if isinstance(error, PublicError) else "error"
