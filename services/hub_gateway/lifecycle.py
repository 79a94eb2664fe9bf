"""A kernel's life as the gateway sees it: start, list, restart, stop. No HTTP in here."""

import asyncio
import logging
from datetime import datetime
from typing import Any

from hub_ext.database import Kernel
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError
from hub_ext.limits.kernels import ENDING, STARTING

from .admitting import Admitting, Wanted
from .books import Books
from .catalogue import Catalogue, Person
from .cluster_view import ClusterView
from .ends import Ends, Tasks
from .failures import no_such_kernel
from .launches import ANSWER_MARGIN, INTERRUPTED, Launches, Settings
from .leases import Work
from .listing import Listing
from .models import described, starting_model
from .restarts import Restarts
from .upstream import EnterpriseGateway
from .waiting.room import Room
from .waiting.rooms import Rooms, follow
from .waiting.tiny_kernel import Deed
from .warm_kernels import WarmKernels

log = logging.getLogger("hub_gateway")

CLIENT_GONE = "start failed: whoever asked for it went away"


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
        self.ends = Ends(upstream, edge, books.admission, books.leases)
        self.rooms = Rooms(edge)
        self.listing = Listing(books.registry, upstream, books.limits, self.rooms)
        warm = WarmKernels(books.warm, books.registry, books.admission, self.ends.stop)
        self.admitting = Admitting(books, self.catalogue, cluster, warm, settings)
        self.launches = Launches(books.admission, books.leases, upstream, self.ends, self.rooms, settings)
        self._tasks = Tasks()
        self._following = Tasks()
        self._restarts = Restarts(
            books.registry, books.admission, books.leases, upstream, self.ends, settings.launch_timeout + ANSWER_MARGIN
        )

    async def start(
        self,
        person: Person,
        kernelspec: str,
        client_env: dict[str, Any],
        *,
        patience: float | None = None,
        kernel_id: str = "",
        warm_until: datetime | None = None,
    ) -> dict[str, Any]:
        """Start a kernel for this person and return its model: reserve its place, start, confirm.

        Whatever goes wrong after the request went upstream, no application stays behind, and the place is given back
        when the launch has ended: Enterprise Gateway goes on with it when its client goes away, that is when this is
        cancelled.

        Parameters
        ----------
        person, kernelspec, client_env
            For whom, what, and the client's variables.
        patience : float or None
            Seconds after which the model of a kernel that is still starting is returned; None: it is waited for.
        kernel_id : str
            The id of an earlier kernel that is begun anew; empty for a new one.
        warm_until : datetime or None
            Until when a kernel waits to be used that nobody has asked for yet.
        """
        wanted = Wanted(person, kernelspec, client_env, kernel_id, warm_until)
        admitted = await self.admitting.admit(wanted)
        if admitted.used:
            model = await self._used(person, admitted.kernel, patience)
            if model is not None:
                return model
            admitted = await self.admitting.admit(wanted, new=True)
        kernel = admitted.kernel
        work = Work()
        launch = self.launches.begin(kernel, admitted.definition, admitted.env, work)
        try:
            await asyncio.wait({launch}, timeout=patience)
        except asyncio.CancelledError:
            self._forsaken(kernel, work, launch)
            raise
        # Nothing is waited for from here on: a client that went away now would leave a kernel that it does not know.
        if launch.done():
            self.rooms.forget(kernel.id)  # a failure is the answer; nobody else knows this kernel
        model = launch.result() if launch.done() else starting_model(kernel)
        if warm_until is None:
            self._notes.started(person.name)
        return described(model, kernel, admitted.limits, self.listing.start_of(kernel))

    async def _used(self, person: Person, kernel: Kernel, patience: float | None) -> dict[str, Any] | None:
        """Return the model of a kernel that was started in advance and is this person's now; None if it has ended."""
        try:
            room = await self.waiting_room(person.name, kernel.id)
            if room is not None:
                await room.waited(patience)
            model = await self.listing.get(await self.owned(person.name, kernel.id))
        except asyncio.CancelledError:
            self._tasks.begin(self.stop(kernel, CLIENT_GONE))
            raise
        except PublicError as error:
            if error.code != "no-such-kernel":
                await self.admitting.warm.put_back(kernel)
                raise
            self.rooms.forget(kernel.id)
            await self.stop(kernel, "started in advance, and had ended before it was used")
            return None
        self._notes.started(person.name)
        return model

    def _forsaken(self, kernel: Kernel, work: Work, launch: "asyncio.Task[dict[str, Any]]") -> None:
        """Have a kernel ended whose client has gone."""
        if not launch.done():
            work.end(CLIENT_GONE)
        elif not launch.cancelled() and launch.exception() is None:
            self.launches.undo(kernel, CLIENT_GONE)

    async def begin_anew(self, person: Person, room: Room) -> dict[str, Any]:
        """Start a kernel again whose start has failed, under the id by which its clients know it. Two at once are one.

        What fails then fails in the cells again.
        """
        kernel = room.kernel
        async with room.beginning_anew:
            if room.waits:
                limits = await self._limits.of(kernel.owner)
                return described(starting_model(kernel), kernel, limits, self.listing.start_of(kernel))
            if await self._registry.get(kernel.id) is not None:
                raise PublicError(
                    "kernel-start-failed",
                    "What is left of the failed start is still being ended.",
                    remedy="Try again in a minute.",
                    status=409,
                )
            await self._registry.forget(kernel.id)
            return await self.start(person, kernel.kernelspec, room.client_env, patience=0, kernel_id=kernel.id)

    async def close(self, seconds: float) -> None:
        """End what is under way; see `Launches.close`."""
        await asyncio.gather(
            self.launches.close(seconds),
            self._restarts.close(seconds),
            self._tasks.finish(seconds),
            self._following.finish(0),
        )

    async def waiting_room(self, owner: str, kernel_id: str) -> Room | None:
        """Return where clients of a kernel wait until it is there; None for one that is.

        Raises
        ------
        PublicError
            ``no-such-kernel``
        """
        room = self.rooms.of(kernel_id, owner)
        if room is not None and room.failure is not None and await self._begun_anew(room):
            self.rooms.remove(room)
            room = None
        if room is not None:
            return room
        kernel = await self.owned(owner, kernel_id)
        # It may have come meanwhile; another gateway may be starting it.
        return self.rooms.of(kernel_id, owner) or (self._followed(kernel) if kernel.state == STARTING else None)

    async def failed_room(self, owner: str, kernel_id: str) -> Room | None:
        """Return the room of a start that has failed, and that nobody has begun anew; None for any other."""
        room = self.rooms.of(kernel_id, owner)
        if room is None or room.failure is None or await self._begun_anew(room):
            return None
        return room

    async def _begun_anew(self, room: Room) -> bool:
        """Say whether a start that has failed here was begun anew through another gateway."""
        kernel = await self._registry.get(room.kernel.id)
        # This gateway may have begun it anew meanwhile, or be about to: then the room is the same.
        here = room.failure is None or room.beginning_anew.locked()
        return not here and kernel is not None and kernel.state != ENDING

    def _followed(self, kernel: Kernel) -> Room:
        """Open a room here for a start that another gateway has begun."""

        def wish(deed: Deed) -> None:
            if deed == "restart":
                room.forget()
            else:
                self._tasks.begin(self.launches.end(kernel, INTERRUPTED))

        async def followed() -> None:
            await follow(room, lambda: self._registry.outcome(kernel.id))
            self.rooms.close(room)
            self.launches.deliver_left(room)

        room = self.rooms.open(kernel, "", wish)
        self._following.begin(followed())
        return room

    async def owned(self, owner: str, kernel_id: str) -> Kernel:
        """Return the kernel if it belongs to `owner`; the refusal does not tell whether it exists."""
        kernel = await self._registry.get(kernel_id)
        if kernel is None or kernel.owner != owner:
            raise no_such_kernel()
        return kernel

    async def interrupt(self, kernel: Kernel) -> None:
        """Interrupt a kernel; of one that is starting this cancels the start."""
        if kernel.state == STARTING and await self.launches.end(kernel, INTERRUPTED):
            return
        await self._upstream.interrupt(kernel.id)

    async def restart(self, kernel: Kernel) -> dict[str, Any]:
        """Restart a kernel; its reservation stays, leased while the restart lasts. Two at once are one.

        One that is starting goes on starting, without what waits for it.
        """
        room = self.rooms.waiting(kernel.id)
        if kernel.state == STARTING and room is not None:
            room.forget()
            return await self.listing.get(kernel)
        model = await self._restarts.restart(kernel)
        return described(model, kernel, await self._limits.of(kernel.owner))

    async def stop(self, kernel: Kernel, reason: str) -> None:
        """End a kernel; see `Ends.stop`."""
        await self.ends.stop(kernel, reason)
