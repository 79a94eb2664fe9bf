"""The open kernel websockets, one for each kernel and client session.

JupyterLab opens a kernel's websocket twice within milliseconds and gives the first one up. Enterprise Gateway then
waits for the first to close before it answers the second, and if the first was not even open yet, it waits for ever.
So connections of one session take turns here. The one that came last counts: it replaces an open one, and one that
came earlier but is served later, which happens while the Hub is asked about both, is refused.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol
from weakref import WeakValueDictionary

from hub_ext.errors import PublicError

#: Digest of the client's token, kernel id and the client's session id.
Key = tuple[str, str, str]


class Connection(Protocol):
    """An open connection: a guest's of the waiting room, or the one to Enterprise Gateway."""

    closed: asyncio.Future[None]

    def abort(self) -> None: ...


class Seat:
    """Where an open websocket leads to at the moment."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection


class Arrival:
    """A connection's place among those of its session; counts for as long as somebody holds it."""

    def __init__(self, key: Key) -> None:
        self.key = key


class Sockets:
    """Which websocket is open for which session, and the tasks that watch them."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._open: dict[Key, Seat] = {}
        self._latest: WeakValueDictionary[Key, Arrival] = WeakValueDictionary()
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    def arrived(self, key: Key) -> Arrival:
        """Note a connection, before anything else is done about it."""
        arrival = self._latest[key] = Arrival(key)
        return arrival

    @asynccontextmanager
    async def turn(self, arrival: Arrival) -> AsyncIterator[None]:
        """Wait until no other connection of this session is being opened, and close the one that is open.

        Raises
        ------
        PublicError
            ``superseded``: a later connection of the same session has come.
        """
        key = arrival.key
        async with self.alone(key):
            if self._latest.get(key) is not arrival:
                raise PublicError(
                    "superseded", "A later connection of the same session has taken this one's place.", status=409
                )
            before = self._open.pop(key, None)
            if before is not None:
                before.connection.abort()
                await before.connection.closed
            yield

    @asynccontextmanager
    async def alone(self, key: Key) -> AsyncIterator[None]:
        """Wait until no other connection of this session is being opened, and let none be opened meanwhile."""
        lock = self._turns.get(key)
        if lock is None:
            lock = self._turns[key] = asyncio.Lock()
        async with lock:
            yield

    def opened(self, key: Key, seat: Seat, task: asyncio.Task[None]) -> None:
        """Remember an open websocket until its task ends."""
        self._open[key] = seat
        self.tasks.add(task)
        task.add_done_callback(lambda done: self._forget(key, seat, done))

    def _forget(self, key: Key, seat: Seat, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self._open.get(key) is seat:
            del self._open[key]
