"""A kernel's life as the gateway sees it: start, list, restart, stop. No HTTP in here."""

import asyncio
import logging
import uuid
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
            await self._registry.running(kernel_id)
        except BaseException as error:
            STARTS.labels(outcome=_outcome(error)).inc()
            log.warning("Start of kernel=%s failed: %s", kernel_id, error)
            await asyncio.shield(self._undo(kernel, f"start failed: {error}"))
            raise
        STARTS.labels(outcome="started").inc()
        return described(model, kernel)

    async def _undo(self, kernel: Kernel, reason: str) -> None:
        """End whatever there is of a start that failed; what can't be ended now is the caretaker's."""
        steps = (
            self._upstream.delete(kernel.id),
            self._edge.end_kernel(kernel.id, reason="the kernel could not be started", user=kernel.owner),
            self._registry.ended(kernel.id, reason),
        )
        for step in steps:
            try:
                await step
            except PublicError as error:
                log.info("After the failed start of kernel=%s: %s", kernel.id, error)

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
        """End a kernel and whatever YARN still runs of it; one that is gone already is no error.

        Raises
        ------
        PublicError
            Neither Enterprise Gateway nor the edge service could end it: it is still there.
        """
        log.info("Stopping kernel=%s user=%s: %s", kernel.id, kernel.owner, reason)
        try:
            await self._upstream.delete(kernel.id)
        except PublicError as error:
            await self._end_in_yarn(kernel, reason, error)
        # What YARN might still run of it after this, the caretaker finds by its tag.
        await self._registry.ended(kernel.id, reason)

    async def _end_in_yarn(self, kernel: Kernel, reason: str, failure: PublicError) -> None:
        """End by its tag what Enterprise Gateway could not end, or does not know."""
        try:
            await self._edge.end_kernel(kernel.id, reason=reason, user=kernel.owner)
        except PublicError as error:
            if failure.code != "no-such-kernel":
                raise failure from error
            log.info("Whether YARN still runs kernel=%s is not known yet: %s", kernel.id, error)

    async def present(self) -> set[str]:
        """Return the ids of the kernels that Enterprise Gateway has."""
        return {str(model.get("id")) for model in await self._upstream.kernels()}


def _outcome(error: BaseException) -> str:
    """Name a failed start for the metrics."""
    if isinstance(error, PublicError):
        return error.code
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "error"


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
