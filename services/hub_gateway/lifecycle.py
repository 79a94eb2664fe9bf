"""A kernel's life as the gateway sees it: start, list, restart, stop. No HTTP in here."""

import asyncio
import logging
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter, Histogram

from hub_ext.cluster import ClusterState
from hub_ext.database import Kernel
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError
from hub_ext.kernels import KernelDefinition
from hub_ext.limits.admission import ENDING, RESTARTING, STARTING, Admission, Starter
from hub_ext.limits.ask import Ask
from hub_ext.limits.decide import physical_refusal
from hub_ext.limits.people import People
from hub_ext.names import cluster_user
from hub_ext.sizes import NOTHING, Rules, footprint

from .catalogue import Catalogue, Person
from .cluster_view import ClusterView
from .counted import counted_environment
from .ends import Ends, Tasks, ended_meanwhile, was_answered, words
from .environment import upstream_body
from .failures import no_such_kernel
from .leases import Leases, Work
from .limits_view import LimitsView
from .models import described, ended_model, starting_model
from .people_notes import PeopleNotes
from .registry import Registry, by_id
from .upstream import EnterpriseGateway

log = logging.getLogger("hub_gateway")

STARTS = Counter("hub_gateway_kernel_starts_total", "Kernel starts by outcome", ["outcome"])
REFUSALS = Counter("hub_gateway_refusals_total", "Kernel starts that were refused before anything began", ["code"])
START_SECONDS = Histogram(
    "hub_gateway_kernel_start_seconds",
    "Time from the request to a connected kernel",
    buckets=(1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600),
)
#: Seconds beyond the launch timeout that Enterprise Gateway has to answer.
ANSWER_MARGIN = 30.0
CLIENT_GONE = "start failed: whoever asked for it went away"
GATEWAY_STOPS = "start failed: its gateway is being stopped"


@dataclass(frozen=True)
class Settings:
    """What the site decided; see the traits of `HubGateway`."""

    user_domain: str
    launch_timeout: int
    allowed_env: frozenset[str]
    spark_overhead_factor: float
    spark_minimum_overhead_mb: int


@dataclass(frozen=True)
class Books:
    """What is written down of kernels and people, and what they may use."""

    registry: Registry
    admission: Admission
    leases: Leases
    people: People
    notes: PeopleNotes
    limits: LimitsView


class Lifecycle:
    """Starts and ends kernels, and answers who may see which."""

    def __init__(
        self, books: Books, upstream: EnterpriseGateway, edge: EdgeClient, cluster: ClusterView, settings: Settings
    ) -> None:
        self.catalogue = Catalogue(upstream)
        self._registry = books.registry
        self._admission = books.admission
        self._leases = books.leases
        self._people = books.people
        self._notes = books.notes
        self._limits = books.limits
        self._upstream = upstream
        self._edge = edge
        self._cluster = cluster
        self._settings = settings
        self.ends = Ends(upstream, edge, books.admission, books.leases)
        self._tasks = Tasks()
        self._starts: set[Work] = set()
        self._restarts: dict[str, asyncio.Task[dict[str, Any]]] = {}

    async def start(self, person: Person, kernelspec: str, client_env: dict[str, Any]) -> dict[str, Any]:
        """Start a kernel for this person and return its model: reserve its place, start, confirm.

        Whatever goes wrong after the request went upstream, no application stays behind, and the place is given back
        when the launch has ended: Enterprise Gateway goes on with it when its client goes away, that is when this is
        cancelled.
        """
        owner = cluster_user(person.name, self._settings.user_domain)
        definition = await self.catalogue.definition(person, kernelspec)
        groups = person.groups if person.own else frozenset(await self._people.groups_of(person.name))
        limits = await self._limits.of(person.name, groups)
        try:
            kernel = await self._reserve(person, Starter(str(uuid.uuid4()), owner, person.server, groups), definition)
        except PublicError as error:
            REFUSALS.labels(code=error.code).inc()
            log.info("Refused kernelspec=%s user=%s: %s", definition.name, person.name, error.code)
            self._notes.refused(person.name, definition, error)
            raise
        work = Work()
        launch = self._tasks.begin(self._launch(kernel, definition, client_env, work))
        try:
            model = await asyncio.shield(launch)
        except asyncio.CancelledError:
            self._forsaken(kernel, work, launch)
            raise
        # Nothing is waited for from here on: a client that went away now would leave a kernel that it does not know.
        self._notes.started(person.name)
        return described(model, kernel, limits)

    def _forsaken(self, kernel: Kernel, work: Work, launch: "asyncio.Task[dict[str, Any]]") -> None:
        """Have a kernel ended whose client has gone."""
        if not launch.done():
            work.end(CLIENT_GONE)
        elif not launch.cancelled() and launch.exception() is None:
            self._tasks.begin(self.ends.undo(kernel, CLIENT_GONE, answered=True))

    async def _reserve(self, person: Person, starter: Starter, definition: KernelDefinition) -> Kernel:
        """Take a place for the kernel; the size is the definition's, whatever the client says."""
        cluster = await self._cluster.state()
        ask = self.ask(person.name, definition, cluster)
        refusal = physical_refusal(ask, cluster)
        if refusal is not None:
            raise refusal
        return await self._admission.reserve(ask, starter, cluster)

    def ask(self, owner: str, definition: KernelDefinition, cluster: ClusterState) -> Ask:
        """Return what a start of this definition asks for on this cluster."""
        size = definition.size.as_kernel_size() if definition.size is not None else None
        rules = self._rules(cluster)
        return Ask(
            owner=owner,
            kernelspec=definition.name,
            display_name=definition.display_name,
            size=size,
            footprint=footprint(size, rules) if size is not None else NOTHING,
            queue=definition.queue,
            size_unknown=definition.size_unknown,
        )

    def _rules(self, cluster: ClusterState) -> Rules:
        return cluster.rules(self._settings.spark_overhead_factor, self._settings.spark_minimum_overhead_mb)

    async def asked(self, owner: str, definition: KernelDefinition) -> Ask:
        """Return what a start of this definition asks for, as of now."""
        return self.ask(owner, definition, await self._cluster.state())

    async def _launch(
        self, kernel: Kernel, definition: KernelDefinition, client_env: dict[str, Any], work: Work
    ) -> dict[str, Any]:
        """Launch a kernel that has its place, to the end: it runs and is confirmed, or it is undone."""
        body = upstream_body(
            kernel.kernelspec,
            kernel.id,
            kernel.cluster_user,
            self._settings.launch_timeout,
            client_env,
            self._settings.allowed_env,
            # The cluster rounds containers; what stands beside a heap is Spark's rule on this site alone.
            counted_environment(definition, self._rules(ClusterState())),
        )
        log.info("Starting kernel=%s kernelspec=%s user=%s", kernel.id, kernel.kernelspec, kernel.owner)
        answered = False
        self._starts.add(work)
        with self._leases.held(kernel.id, work):
            try:
                launch = self._upstream.start(body, self._settings.launch_timeout + ANSWER_MARGIN)
                with START_SECONDS.time():
                    model = await self.ends.answered(launch, kernel, work)
                answered = True
                if work.to_end.is_set() or not await self._admission.confirm(kernel.id) or work.to_end.is_set():
                    raise ended_meanwhile("start")
            except Exception as error:
                STARTS.labels(outcome="ended" if work.to_end.is_set() else _outcome(error)).inc()
                log.warning("Start of kernel=%s failed: %s", kernel.id, error)
                reason = work.reason or f"start failed: {words(error)}"
                await self.ends.undo(kernel, reason, answered=answered or was_answered(error))
                raise
            finally:
                self._starts.discard(work)
        STARTS.labels(outcome="started").inc()
        return model

    async def close(self, seconds: float) -> None:
        """End the starts under way, whose clients this gateway leaves; what takes longer is left to the reconciler."""
        for work in self._starts:
            work.end(GATEWAY_STOPS)
        await self._tasks.finish(seconds)

    async def owned(self, owner: str, kernel_id: str) -> Kernel:
        """Return the kernel if it belongs to `owner`; the refusal does not tell whether it exists."""
        kernel = await self._registry.get(kernel_id)
        if kernel is None or kernel.owner != owner:
            raise no_such_kernel()
        return kernel

    async def kernels(self, owner: str | None) -> list[dict[str, Any]]:
        """Return the models of `owner`'s kernels, or of everyone's; also of those that wait for room in YARN."""
        own = by_id([kernel for kernel in await self._registry.alive(owner) if kernel.state != ENDING])
        if not own:
            return []
        models = {str(model.get("id")): model for model in await self._upstream.kernels()}
        models |= {kernel.id: starting_model(kernel) for kernel in own.values() if _only_here(kernel, models)}
        limits = await self._limits.of_all({kernel.owner for kernel in own.values()})
        return [
            described(models[kernel.id], kernel, limits[kernel.owner]) for kernel in own.values() if kernel.id in models
        ]

    async def ended(self, owner: str) -> list[dict[str, Any]]:
        """Return what became of the kernels of `owner` that ended not long ago, the last one first."""
        return [ended_model(kernel) for kernel in await self._registry.ended(owner)]

    async def get(self, kernel: Kernel) -> dict[str, Any]:
        """Return a kernel's model."""
        try:
            model = await self._upstream.kernel(kernel.id)
        except PublicError as error:
            if error.code != "no-such-kernel" or kernel.state != STARTING:
                raise
            model = starting_model(kernel)
        return described(model, kernel, await self._limits.of(kernel.owner))

    async def interrupt(self, kernel: Kernel) -> None:
        await self._upstream.interrupt(kernel.id)

    async def restart(self, kernel: Kernel) -> dict[str, Any]:
        """Restart a kernel; its reservation stays, leased while the restart lasts. Two at once are one."""
        if kernel.id not in self._restarts:
            self._restarts[kernel.id] = self._tasks.begin(self._relaunch(kernel))
            self._restarts[kernel.id].add_done_callback(lambda _: self._restarts.pop(kernel.id, None))
        model = await asyncio.shield(self._restarts[kernel.id])
        return described(model, kernel, await self._limits.of(kernel.owner))

    async def _relaunch(self, kernel: Kernel) -> dict[str, Any]:
        log.info("Restarting kernel=%s user=%s", kernel.id, kernel.owner)
        if not await self._admission.restarting(kernel.id):
            raise await self._not_restarted(kernel.id)
        model: dict[str, Any] = {}
        failure: PublicError | None = None
        work = Work()
        with self._leases.held(kernel.id, work):
            try:
                restart = self._upstream.restart(kernel.id, self._settings.launch_timeout + ANSWER_MARGIN)
                model = await self.ends.answered(restart, kernel, work)
            except PublicError as error:
                failure = error
            # Also after a failure: whether it is still there, the reconciler finds out.
            there = await self._restarted(kernel)
            if there is False or work.to_end.is_set():
                answered = failure is None or was_answered(failure)
                await self.ends.undo(kernel, work.reason or "it was stopped while it restarted", answered=answered)
                raise ended_meanwhile("restart") from failure
        if failure is not None:
            raise failure
        return model

    async def _not_restarted(self, kernel_id: str) -> PublicError:
        """Say why a kernel can't be restarted."""
        kernel = await self._registry.get(kernel_id)
        if kernel is None or kernel.state != RESTARTING:
            return no_such_kernel()
        return PublicError("kernel-start-failed", "The kernel is being restarted already.", status=409)

    async def _restarted(self, kernel: Kernel) -> bool | None:
        """End the restart in the books; None when they can't be reached."""
        try:
            return await self._admission.confirm(kernel.id)
        except PublicError as error:
            log.warning("The restart of kernel=%s could not be written down: %s", kernel.id, error)
            return None

    async def stop(self, kernel: Kernel, reason: str) -> None:
        """End a kernel; see `Ends.stop`."""
        await self.ends.stop(kernel, reason)


def _only_here(kernel: Kernel, models: Collection[str]) -> bool:
    """Say whether Enterprise Gateway still launches a kernel: it does not list it before it runs."""
    return kernel.state == STARTING and kernel.id not in models


def _outcome(error: Exception) -> str:
    """Name a failed start for the metrics."""
    return error.code if isinstance(error, PublicError) else "error"
