"""A kernel's life as the gateway sees it: start, list, restart, stop. No HTTP in here."""

import asyncio
import logging
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter, Histogram

from hub_ext.database import Kernel
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError
from hub_ext.kernels import KernelDefinition, definition_of, public_model
from hub_ext.names import cluster_user, is_kernelspec_name

from .environment import upstream_body
from .failures import no_such_kernel
from .registry import Registry, by_id
from .upstream import EnterpriseGateway

log = logging.getLogger("hub_gateway")

STARTS = Counter("hub_gateway_kernel_starts_total", "Kernel starts by outcome", ["outcome"])
START_SECONDS = Histogram(
    "hub_gateway_kernel_start_seconds",
    "Time from the request to a connected kernel",
    buckets=(1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600),
)
#: Seconds beyond the launch timeout that Enterprise Gateway has to answer.
ANSWER_MARGIN = 30.0


@dataclass(frozen=True)
class Person:
    """For whom something is done: the owner named in the path, with what decides what they may see."""

    name: str
    groups: frozenset[str]
    #: The caller is an administrator of kernels, perhaps acting for somebody else.
    admin: bool
    #: Notebook server whose token was used, None for any other client.
    server: str | None


@dataclass(frozen=True)
class Settings:
    """What the site decided; see the traits of `HubGateway`."""

    user_domain: str
    launch_timeout: int
    allowed_env: frozenset[str]


class Lifecycle:
    """Starts and ends kernels, and answers who may see which."""

    def __init__(self, registry: Registry, upstream: EnterpriseGateway, edge: EdgeClient, settings: Settings) -> None:
        self._registry = registry
        self._upstream = upstream
        self._edge = edge
        self._settings = settings

    async def definitions(self, person: Person) -> tuple[str, dict[str, dict[str, Any]]]:
        """Return the default kernelspec's name and the models of those that this person may see."""
        answer = await self._upstream.kernelspecs()
        models = answer.get("kernelspecs") or {}
        visible = {
            name: public_model(name, model)
            for name, model in sorted(models.items())
            if definition_of(name, model).visible_to(person.name, person.groups, person.admin)
        }
        default = str(answer.get("default") or "")
        return (default if default in visible else next(iter(visible), ""), visible)

    async def definition(self, person: Person, kernelspec: str) -> KernelDefinition:
        """Return one kernel definition, or refuse as if it did not exist."""
        if is_kernelspec_name(kernelspec):
            model = ((await self._upstream.kernelspecs()).get("kernelspecs") or {}).get(kernelspec)
            if model is not None:
                found = definition_of(kernelspec, model)
                if found.visible_to(person.name, person.groups, person.admin):
                    return found
        raise PublicError(
            "no-such-kernelspec",
            "There is no such kernel in the catalogue, or you may not use it.",
            remedy="The Kernels page lists those that you can start.",
        )

    async def start(self, person: Person, kernelspec: str, client_env: dict[str, Any]) -> dict[str, Any]:
        """Start a kernel for this person and return its model.

        Whatever goes wrong after the request went upstream, no application stays behind: it is ended here, and the
        caretaker looks again for one that YARN accepted later.
        """
        owner = cluster_user(person.name, self._settings.user_domain)
        definition = await self.definition(person, kernelspec)
        kernel_id = str(uuid.uuid4())
        kernel = await self._registry.add(
            kernel_id, owner=person.name, cluster_user=owner, kernelspec=definition.name, server=person.server
        )
        body = upstream_body(
            definition.name,
            kernel_id,
            owner,
            self._settings.launch_timeout,
            client_env,
            self._settings.allowed_env,
        )
        log.info("Starting kernel=%s kernelspec=%s user=%s", kernel_id, definition.name, person.name)
        try:
            with START_SECONDS.time():
                model = await self._upstream.start(body, self._settings.launch_timeout + ANSWER_MARGIN)
        except (PublicError, asyncio.CancelledError) as error:
            STARTS.labels(outcome=error.code if isinstance(error, PublicError) else "cancelled").inc()
            log.warning("Start of kernel=%s failed: %s", kernel_id, error)
            await asyncio.shield(self._undo(kernel_id, person.name, f"start failed: {error}"))
            raise
        await self._registry.running(kernel_id)
        STARTS.labels(outcome="started").inc()
        return described(model, kernel)

    async def _undo(self, kernel_id: str, user: str, reason: str) -> None:
        await self._registry.ended(kernel_id, reason)
        try:
            await self._edge.end_kernel(kernel_id, reason="the kernel could not be started", user=user)
        except PublicError as error:
            log.warning("Applications of kernel=%s could not be ended yet: %s", kernel_id, error)

    async def owned(self, owner: str, kernel_id: str) -> Kernel:
        """Return the kernel if it belongs to `owner`; the refusal does not tell whether it exists."""
        kernel = await self._registry.get(kernel_id)
        if kernel is None or kernel.owner != owner:
            raise no_such_kernel()
        return kernel

    async def kernels(self, owner: str | None) -> list[dict[str, Any]]:
        """Return the models of `owner`'s kernels, or of everyone's."""
        own = by_id(await self._registry.alive(owner))
        if not own:
            return []
        models = await self._upstream.kernels()
        return [described(model, own[model["id"]]) for model in models if model.get("id") in own]

    async def get(self, kernel: Kernel) -> dict[str, Any]:
        return described(await self._upstream.kernel(kernel.id), kernel)

    async def interrupt(self, kernel: Kernel) -> None:
        await self._upstream.interrupt(kernel.id)

    async def restart(self, kernel: Kernel) -> dict[str, Any]:
        log.info("Restarting kernel=%s user=%s", kernel.id, kernel.owner)
        model = await self._upstream.restart(kernel.id, self._settings.launch_timeout + ANSWER_MARGIN)
        return described(model, kernel)

    async def stop(self, kernel: Kernel, reason: str) -> None:
        """End a kernel and whatever YARN still runs of it; one that is gone already is no error."""
        log.info("Stopping kernel=%s user=%s: %s", kernel.id, kernel.owner, reason)
        failure: PublicError | None = None
        try:
            await self._upstream.delete(kernel.id)
        except PublicError as error:
            if error.code != "no-such-kernel":
                failure = error
        try:
            await self._edge.end_kernel(kernel.id, reason=reason, user=kernel.owner)
        except PublicError as error:
            failure = failure or error
        if failure is not None and failure.code != "edge-unreachable":
            log.warning("Stop of kernel=%s is not complete: %s", kernel.id, failure)
        await self._registry.ended(kernel.id, reason)

    async def vanished(self, known: Collection[Kernel]) -> list[Kernel]:
        """Return those of `known` that Enterprise Gateway does not have any more."""
        present = {model.get("id") for model in await self._upstream.kernels()}
        return [kernel for kernel in known if kernel.id not in present]


def described(model: dict[str, Any], kernel: Kernel) -> dict[str, Any]:
    """Return a kernel's model with what this gateway knows beside it."""
    return {
        **model,
        "remote_kernel": {
            "owner": kernel.owner,
            "cluster_user": kernel.cluster_user,
            "kernelspec": kernel.kernelspec,
            "started_at": kernel.started_at.isoformat(),
        },
    }
