"""Whether a kernel may start: who asks, what for, and whether there is a place for it. No HTTP in here."""

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import Counter

from hub_ext.cluster import ClusterState
from hub_ext.database import Kernel
from hub_ext.errors import PublicError
from hub_ext.kernels import KernelDefinition
from hub_ext.limits.admission import Starter
from hub_ext.limits.ask import Ask
from hub_ext.limits.decide import physical_refusal
from hub_ext.names import cluster_user
from hub_ext.sizes import NOTHING, footprint

from .books import Books
from .catalogue import Catalogue, Person
from .cluster_view import ClusterView
from .environment import passing
from .launches import Settings
from .limits_view import Limits
from .warm_kernels import WarmKernels

log = logging.getLogger("hub_gateway")

REFUSALS = Counter("hub_gateway_refusals_total", "Kernel starts that were refused before anything began", ["code"])
#: What can be different once a kernel of the same owner has gone.
NO_PLACE = ("too-many-kernels", "over-total-limit")


@dataclass(frozen=True)
class Wanted:
    """A kernel that somebody asks for.

    Attributes
    ----------
    person, kernelspec
        For whom, and what.
    client_env : dict
        The client's variables, untrusted.
    kernel_id : str
        The id of an earlier kernel that is begun anew; empty for a new one.
    warm_until : datetime or None
        Until when a kernel waits to be used that nobody has asked for yet.
    """

    person: Person
    kernelspec: str
    client_env: dict[str, Any]
    kernel_id: str = ""
    warm_until: datetime | None = None


@dataclass(frozen=True)
class Admitted:
    """A kernel that has its place. `used` says that it was started in advance, and runs or starts already."""

    kernel: Kernel
    definition: KernelDefinition
    limits: Limits
    env: dict[str, str]
    used: bool


class Admitting:
    """Gives kernels their places, or says why not."""

    def __init__(
        self, books: Books, catalogue: Catalogue, cluster: ClusterView, warm: WarmKernels, settings: Settings
    ) -> None:
        self._admission = books.admission
        self._people = books.people
        self._notes = books.notes
        self._limits = books.limits
        self._catalogue = catalogue
        self._cluster = cluster
        self.warm = warm
        self._settings = settings

    async def admit(self, wanted: Wanted, *, new: bool = False) -> Admitted:
        """Take a place for a kernel, or take one that was started in advance unless it is to be `new`.

        Raises
        ------
        PublicError
            The refusal; nothing has begun. It is counted and noted, unless nobody has asked for the kernel.
        """
        definition: KernelDefinition | None = None
        try:
            definition = await self._catalogue.definition(wanted.person, wanted.kernelspec)
            return await self._admitted(wanted, definition, new)
        except PublicError as error:
            if wanted.warm_until is None:
                self._refused(wanted, definition, error)
            raise

    def _refused(self, wanted: Wanted, definition: KernelDefinition | None, error: PublicError) -> None:
        REFUSALS.labels(code=error.code).inc()
        name = definition.name if definition is not None else "-"
        log.info("Refused kernelspec=%s user=%s: %s", name, wanted.person.name, error.code)
        if definition is not None:
            self._notes.refused(wanted.person.name, definition, error)

    async def _admitted(self, wanted: Wanted, definition: KernelDefinition, new: bool) -> Admitted:
        person = wanted.person
        owner = cluster_user(person.name, self._settings.user_domain)
        groups = person.groups if person.own else frozenset(await self._people.groups_of(person.name))
        limits = await self._limits.of(person.name, groups)
        # What may not pass is not kept either, for as long as the start's room stays open.
        env = passing(wanted.client_env, self._settings.allowed_env)
        cluster = await self._cluster.state()
        ask = self.ask(person.name, definition, cluster)
        refusal = physical_refusal(ask, cluster)
        if refusal is not None:
            raise refusal
        starter = Starter(wanted.kernel_id or str(uuid.uuid4()), owner, person.server, groups, wanted.warm_until)
        if not (new or env or wanted.kernel_id or wanted.warm_until):
            kernel = await self.warm.taken(ask, starter, cluster)
            if kernel is not None:
                return Admitted(kernel, definition, limits, env, used=True)
        return Admitted(await self._reserved(ask, starter, cluster), definition, limits, env, used=False)

    async def _reserved(self, ask: Ask, starter: Starter, cluster: ClusterState) -> Kernel:
        try:
            return await self._admission.reserve(ask, starter, cluster)
        except PublicError as refusal:
            if refusal.code not in NO_PLACE or starter.warm_until is not None:
                raise
            if not await self.warm.gave_way(ask, starter, cluster):
                raise
        return await self._admission.reserve(ask, starter, cluster)

    def ask(self, owner: str, definition: KernelDefinition, cluster: ClusterState) -> Ask:
        """Return what a start of this definition asks for on this cluster; no client has a say in its size."""
        size = definition.size.as_kernel_size() if definition.size is not None else None
        rules = self._settings.rules(cluster)
        return Ask(
            owner=owner,
            kernelspec=definition.name,
            display_name=definition.display_name,
            size=size,
            footprint=footprint(size, rules) if size is not None else NOTHING,
            queue=definition.queue,
            size_unknown=definition.size_unknown,
        )

    async def asked(self, owner: str, definition: KernelDefinition) -> Ask:
        """Return what a start of this definition asks for, as of now."""
        return self.ask(owner, definition, await self._cluster.state())
