"""The reconciler at work: asks everybody, plans, and does what the plan says."""

import asyncio
import logging
import re
import time
from collections import Counter as Count
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from prometheus_client import Counter, Gauge

from hub_ext.cluster import Application, Applications
from hub_ext.database import Kernel
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError
from hub_ext.kernels import KernelDefinition, definition_of
from hub_ext.limits.kernels import ENDING, RESTARTING, RUNNING, STARTING
from hub_ext.names import cluster_user

from .failures import shortened
from .lapses import Lapses
from .leases import Work
from .lifecycle import Books, Lifecycle
from .reconciler import Action, Plan, View, plan
from .upstream import EnterpriseGateway

log = logging.getLogger("hub_gateway")

REPAIRS = Counter("hub_gateway_repairs_total", "What the gateway mended by itself, by case", ["case"])
RESERVATIONS = Gauge("hub_gateway_reservations", "Kernels that count against their owners' limits", ["state"])
UNOWNED = Gauge("hub_gateway_unowned_kernels", "Kernels of Enterprise Gateway that are nobody's as far as can be told")
UNKNOWN = Gauge("hub_gateway_unknown_applications", "YARN applications with a kernel's tag and no reservation")
#: The process proxy that tags its applications.
PROCESS_PROXY = "jeg_plugin.process_proxy.YarnKernelProxy"
#: Seconds for which the catalogue's answer serves.
CATALOGUE_SECONDS = 60.0


class Reconciler:
    """Mends mismatches; see `reconciler` for which.

    Parameters
    ----------
    books, lifecycle, upstream, edge
        What it asks and acts through.
    lapses : Lapses
        Knows which leases are over.
    grace : float
        Seconds for which a mismatch that may be a moment's has to last.
    user_domain : str
        See `HubGateway.user_domain`.
    """

    def __init__(
        self,
        books: Books,
        lifecycle: Lifecycle,
        upstream: EnterpriseGateway,
        edge: EdgeClient,
        lapses: Lapses,
        *,
        grace: float,
        user_domain: str,
    ) -> None:
        self._registry = books.registry
        self._admission = books.admission
        self._people = books.people
        self._leases = books.leases
        self._lifecycle = lifecycle
        self._upstream = upstream
        self._edge = edge
        self._lapses = lapses
        self._grace = timedelta(seconds=grace)
        self._user_domain = user_domain
        self._seen: Mapping[tuple[str, str], datetime] = {}
        self._unowned: frozenset[str] = frozenset()
        self._catalogue: dict[str, dict[str, Any]] = {}
        self._catalogue_until = 0.0

    async def reconcile(self) -> None:
        """Look once and mend what can be mended now."""
        lapsed = await self._lapsed()
        # The reservations last: what the others have by then was reserved before.
        kernels, applications = await asyncio.gather(self._kernels(), self._applications())
        told = {kernel_id for one in applications or () for kernel_id in one.kernel_ids}
        rows = await self._registry.alive_or_among(told.union(kernels or ()))
        view = View(
            kernels,
            applications,
            await self._kernelspecs_in_yarn(rows),
            await self._owners(rows, kernels or {}),
            {kernel_id: lease for kernel_id, lease in lapsed.items() if kernel_id not in self._leases.kernel_ids},
        )
        found = plan(rows, view, datetime.now(timezone.utc), self._seen, self._grace)
        self._seen = found.seen
        self._tell(rows, found)
        for action in found.actions:
            try:
                if await self._do(action):
                    log.warning("Mended %s: kernel=%s %s", action.case, action.kernel_id, action.reason)
                    REPAIRS.labels(case=action.case).inc()
            except PublicError as error:
                log.warning("Could not mend %s: kernel=%s: %s", action.case, action.kernel_id, error)

    async def pause(self) -> float:
        """Return the seconds until the next look."""
        return self._lapses.pause(await self._others_leases(), datetime.now(timezone.utc), time.monotonic())

    # -- what is asked ---------------------------------------------------------------------------

    async def _lapsed(self) -> dict[str, datetime | None]:
        """Return the leases that are over."""
        try:
            began = time.monotonic()
            leases = await self._others_leases()
            if leases:
                leases = await self._others_leases(as_writer=True)
            at = time.monotonic()
        except PublicError:
            self._lapses.forget()
            raise
        over = self._lapses.look(leases, datetime.now(timezone.utc), at, at - began)
        return {kernel_id: leases[kernel_id] for kernel_id in over}

    async def _others_leases(self, *, as_writer: bool = False) -> dict[str, datetime | None]:
        """Return the leases of kernels that this gateway does not work on: its own hold whatever the database says."""
        leases = await self._registry.leases(as_writer=as_writer)
        return {kernel_id: until for kernel_id, until in leases.items() if kernel_id not in self._leases.kernel_ids}

    async def _kernels(self) -> dict[str, str] | None:
        """Return Enterprise Gateway's kernels, or None when it can't be asked."""
        try:
            return {str(model["id"]): str(model.get("name", "")) for model in await self._upstream.kernels()}
        except PublicError as error:
            log.warning("The reconciler can't ask Enterprise Gateway: %s", error)
            return None

    async def _applications(self) -> tuple[Application, ...] | None:
        """Return YARN's unfinished applications, or None when they are not known as of now."""
        try:
            found = await self._edge.applications()
        except PublicError as error:
            log.warning("The reconciler can't ask the edge service: %s", error)
            return None
        return None if found.stale else found.applications

    async def _definitions(self) -> dict[str, dict[str, Any]]:
        """Return the catalogue; as it was when Enterprise Gateway does not answer."""
        if time.monotonic() >= self._catalogue_until:
            try:
                self._catalogue = dict((await self._upstream.kernelspecs()).get("kernelspecs") or {})
                self._catalogue_until = time.monotonic() + CATALOGUE_SECONDS
            except PublicError as error:
                log.info("The reconciler goes by the catalogue as it was: %s", error)
        return self._catalogue

    async def _kernelspecs_in_yarn(self, rows: list[Kernel]) -> frozenset[str]:
        if not rows:
            return frozenset()
        return frozenset(name for name, model in (await self._definitions()).items() if runs_in_yarn(model))

    async def _owners(self, rows: list[Kernel], kernels: Mapping[str, str]) -> dict[str, str]:
        """Return whose cluster users are whose; only asked for when a kernel has no reservation."""
        if not set(kernels) - {row.id for row in rows}:
            return {}
        owners = {}
        for person in await self._people.everyone():
            try:
                owners[cluster_user(person.name, self._user_domain)] = person.name
            except PublicError:
                continue  # who has no name on the cluster owns nothing there
        return owners

    def _tell(self, rows: list[Kernel], found: Plan) -> None:
        """Count what there is, and log once what is nobody's."""
        states = Count(row.state for row in rows)
        for state in (STARTING, RUNNING, RESTARTING, ENDING):
            RESERVATIONS.labels(state=state).set(states[state])
        UNOWNED.set(len(found.unowned_kernels))
        UNKNOWN.set(len(found.unknown_applications))
        for kernel_id in found.unowned_kernels - self._unowned:
            log.warning("Enterprise Gateway has kernel=%s, which nobody reserved and nobody owns.", kernel_id)
        self._unowned = found.unowned_kernels

    # -- what is done ----------------------------------------------------------------------------

    async def _do(self, action: Action) -> bool:
        """Do it; False when it turned out that nothing had to be done."""
        kernel_id = action.kernel_id
        if action.deed == "confirm":
            return await self._admission.confirm(kernel_id)
        if action.deed == "adopt":
            return await self._adopt(action)
        if action.deed == "grow":
            return await self._admission.grow(kernel_id, action.memory_mb, action.cores)
        if action.deed == "delete":
            await self._delete(kernel_id)
            return True
        if action.deed == "release":
            return await self._admission.release_abandoned(kernel_id, action.reason, action.lease)
        if action.deed == "end":
            return bool((await self._edge.end_kernel(kernel_id, reason=action.reason)).applications)
        if action.case in ABANDONED:
            return await self._end_abandoned(action)
        return await self._end_and_release(action)

    async def _end_abandoned(self, action: Action) -> bool:
        """End what nobody works on any more; it keeps its place until it is gone."""
        if not await self._admission.take_over(action.kernel_id, action.reason, action.lease):
            return False
        with self._leases.held(action.kernel_id, Work()):
            if action.deed == "delete-and-release":
                await self._delete(action.kernel_id)
            await self._edge.end_kernel(action.kernel_id, reason=action.reason)
            return await self._admission.release(action.kernel_id, action.reason)

    async def _end_and_release(self, action: Action) -> bool:
        """End what is left of a kernel that ran; its end's reason is what YARN says."""
        told = await self._edge.applications(kernel_id=action.kernel_id)
        if action.deed == "delete-and-release":
            if told.stale or any(not one.ended for one in told.applications):
                return False  # the list was older than this answer
            await self._delete(action.kernel_id)
        await self._edge.end_kernel(action.kernel_id, reason=action.reason)
        return await self._admission.release(action.kernel_id, action.reason + _diagnostics(told), (RUNNING,))

    async def _delete(self, kernel_id: str) -> None:
        try:
            await self._upstream.delete(kernel_id)
        except PublicError as error:
            if error.code != "no-such-kernel":
                raise

    async def _adopt(self, action: Action) -> bool:
        """Write a reservation for a kernel that has none; it counts from now on, over the limit or not."""
        application = action.application
        if application is None:
            return False
        memory_mb, cores = await self._size_of(action.owner, action.kernelspec, application)
        return await self._admission.adopt(
            Kernel(
                id=action.kernel_id,
                owner=action.owner,
                cluster_user=application.user,
                kernelspec=action.kernelspec[:100],
                server=None,
                state=RUNNING,
                started_at=application.started_at or datetime.now(timezone.utc),
                end_reason="",
                memory_mb=memory_mb,
                cores=cores,
                queue=application.queue,
                stop_reason="",
            )
        )

    async def _size_of(self, owner: str, kernelspec: str, application: Application) -> tuple[int, int]:
        """Return what a kernel takes by its definition, or else what YARN has given it."""
        model = (await self._definitions()).get(kernelspec)
        definition: KernelDefinition | None = definition_of(kernelspec, model) if model is not None else None
        if definition is None or definition.size is None:
            return application.memory_mb, application.vcores
        asked = await self._lifecycle.admitting.asked(owner, definition)
        return asked.footprint.memory_mb, asked.footprint.vcores


#: Cases of a start, a restart or an end that nobody works on any more.
ABANDONED = frozenset({"abandoned-start-in-yarn", "abandoned-restart-in-yarn", "unfinished-end"})


def runs_in_yarn(model: dict[str, Any]) -> bool:
    """Say whether a kernelspec's kernels can be found in YARN; those of others need not carry their kernel's id."""
    metadata = (model.get("spec") or {}).get("metadata") or {}
    return (metadata.get("process_proxy") or {}).get("class_name") == PROCESS_PROXY


#: What YARN writes of a driver whose node has gone; its number for that (ContainerExitStatus.ABORTED) stands for others
#: too.
_LOST_NODE = re.compile(r"released on a \*lost\* node", re.IGNORECASE)
LOST_NODE = ": the node on which it ran was lost (YARN has not heard of it for too long)"


def _diagnostics(told: Applications) -> str:
    """Return what YARN says of the last application, as the end of a sentence."""
    said = [one.diagnostics for one in told.applications if one.diagnostics.strip()]
    if not said:
        return ""
    return LOST_NODE if _LOST_NODE.search(said[-1]) else f": {shortened(said[-1])}"
