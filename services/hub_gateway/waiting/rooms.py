"""The waiting rooms of a gateway, and what is asked of YARN for those who wait in them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from prometheus_client import Gauge

from hub_ext.database import Kernel
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError

from . import frames
from .guest import Wish
from .room import Room
from .whereabouts import in_yarn

log = logging.getLogger("hub_gateway")

ROOMS = Gauge("hub_gateway_waiting_starts", "Kernel starts that wait, by where they are", ["phase"])
PHASES = ("requested", "submitted", "accepted", "driver", "connected")
#: Seconds between two looks at where the starts are.
PAUSE = 1.0
#: Starts for which the ResourceManager itself is asked at each look; the others are told as of the last poll.
FRESH = 6
#: Looks between two signs of life to clients that say nothing.
PING_EVERY = 20
#: Seconds for which a start that failed is remembered, so that clients that come late learn of it too.
REMEMBERED = 600.0


class Rooms:
    """All waiting rooms, by kernel id.

    Parameters
    ----------
    edge : EdgeClient
        Tells where applications are.
    """

    def __init__(self, edge: EdgeClient) -> None:
        self._edge = edge
        self._rooms: dict[str, Room] = {}
        self._forgotten_at: dict[str, float] = {}
        self._turn = 0
        self._looks = 0

    def open(self, kernel: Kernel, language: str, wish: Wish) -> Room:
        """Open the room of a start that begins; that of an earlier start of the same kernel is used again."""
        self._forgotten_at.pop(kernel.id, None)
        room = self._rooms.get(kernel.id)
        if room is not None and room.failure is not None:
            room.begin_anew(kernel, language, wish)
        else:
            room = self._rooms[kernel.id] = Room(kernel, language, wish)
        return room

    def of(self, kernel_id: str, owner: str) -> Room | None:
        """Return the room of a kernel that this person starts, or has failed to start lately."""
        room = self._rooms.get(kernel_id)
        return room if room is not None and room.kernel.owner == owner else None

    def waiting(self, kernel_id: str) -> Room | None:
        """Return the room of a kernel that may still come."""
        room = self._rooms.get(kernel_id)
        return room if room is not None and room.waits else None

    def failed(self, owner: str) -> list[Room]:
        """Return the rooms of this person's starts that have failed and are still listed."""
        return [room for room in self._rooms.values() if room.kernel.owner == owner and room.listed]

    def close(self, room: Room) -> None:
        """Close the room of a start that is over; that of a failed one stays open for a while."""
        if self._rooms.get(room.kernel.id) is not room:
            return
        if room.failure is None:
            del self._rooms[room.kernel.id]
        else:
            self._forgotten_at[room.kernel.id] = time.monotonic() + REMEMBERED

    def forget(self, kernel_id: str) -> None:
        """Close a start's room for good, if it has one."""
        room = self._rooms.get(kernel_id)
        if room is not None and room.failure is not None:
            self.remove(room)

    def remove(self, room: Room) -> None:
        """Close a room for good, and send away who is still in it."""
        self._rooms.pop(room.kernel.id, None)
        self._forgotten_at.pop(room.kernel.id, None)
        for guest in list(room.guests.values()):
            guest.close(frames.GOING_AWAY)

    async def run(self) -> None:
        """Look after the rooms until cancelled."""
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await self.look()
            except Exception:
                # Whoever waits goes on waiting.
                log.exception("Waiting rooms")

    async def look(self) -> None:
        """Ask where the starts are, and tell the guests."""
        self._forget_old()
        waiting = [room for room in self._rooms.values() if room.waits]
        self._count(waiting)
        submitted = [room for room in waiting if room.where.phase != "requested"]
        if submitted:
            await self._ask(submitted)
        self._looks += 1
        for room in waiting:
            room.tell()
        if self._looks % PING_EVERY == 0:
            for room in self._rooms.values():
                room.keep_open()

    async def _ask(self, rooms: list[Room]) -> None:
        by_id = {room.kernel.id: room for room in rooms}
        try:
            told = await self._edge.starts(by_id, fresh=self._chosen(rooms))
        except PublicError as error:
            log.info("Where %d starts are is not known: %s", len(rooms), error)
            return
        for one in told.starts:
            if one.kernel_id in by_id and by_id[one.kernel_id].waits:
                by_id[one.kernel_id].seen(in_yarn(one))

    def _chosen(self, rooms: list[Room]) -> list[str]:
        """Choose those that are asked for now: what is being submitted first, then everybody in turn."""
        first = [room for room in rooms if room.where.phase == "submitted"]
        others = [room for room in rooms if room.where.phase != "submitted"]
        self._turn = (self._turn + FRESH) % max(len(others), 1)
        chosen = [*first, *others[self._turn :], *others[: self._turn]]
        return [room.kernel.id for room in chosen[:FRESH]]

    def _forget_old(self) -> None:
        now = time.monotonic()
        for kernel_id in [one for one, until in self._forgotten_at.items() if until < now]:
            if not self._rooms[kernel_id].guests:
                self.remove(self._rooms[kernel_id])

    def _count(self, waiting: Iterable[Room]) -> None:
        phases = [room.where.phase for room in waiting]
        for phase in PHASES:
            ROOMS.labels(phase=phase).set(phases.count(phase))


async def follow(room: Room, outcome: Callable[[], Awaitable[tuple[str, str]]]) -> None:
    """Wait for a start that another gateway has begun: until it runs or does not begin any more.

    Parameters
    ----------
    room : Room
        Where its clients wait.
    outcome : callable
        Gives the state of its reservation, and why it ended.
    """
    room.submitting()
    while room.waits:
        await asyncio.sleep(PAUSE)
        try:
            found, reason = await outcome()
        except PublicError as error:
            log.info("The start of kernel=%s can't be followed at the moment: %s", room.kernel.id, error)
            continue
        if found == "running":
            room.ready()
        elif found == "ended" or (found == "ending" and reason):
            why = f": {reason.removeprefix('start failed: ').rstrip('.')}." if reason else "."
            remedy = "Restart the kernel to begin anew."
            room.fail(PublicError("kernel-start-failed", f"The kernel's start was ended{why}", remedy=remedy))
