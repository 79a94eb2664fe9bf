"""Keeps the people table up to date: from the Hub's list now and then, and from who comes by."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from hub_ext.clock import utc_now
from hub_ext.errors import PublicError
from hub_ext.kernels import KernelDefinition
from hub_ext.limits.people import People
from hub_ext.limits.refused_starts import Refusal, RefusedStarts, refusal
from hub_ext.web.identity import Identity

log = logging.getLogger("hub_gateway")

#: Seconds between two tries to ask the Hub for the first time.
SOON = 10.0
#: Seconds that refusals are gathered before they are written: a program that tries on and on costs no more than this.
GATHER = 0.5

#: Gives every Hub user with their groups; None when the Hub can't tell.
Users = Callable[[], Awaitable[dict[str, list[str]] | None]]


class PeopleNotes:
    """Writes people down, and what was refused to them, without anybody waiting for it.

    Parameters
    ----------
    people, refusals
        Where it is written down.
    users : callable
        See `Users`.
    interval : float
        Seconds between two looks at the Hub's list.
    """

    def __init__(self, people: People, refusals: RefusedStarts, users: Users, interval: float) -> None:
        self._interval = interval
        self._people = people
        self._refusals = refusals
        self._refused: dict[tuple[str, str, str], Refusal] = {}
        self._users = users
        self._noted: dict[str, frozenset[str]] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def came(self, identity: Identity) -> None:
        """Note who came, if they are new or their groups have changed since."""
        if not identity.is_user or self._noted.get(identity.name) == identity.groups:
            return
        self._noted[identity.name] = identity.groups
        self._later(self._write(identity.name, identity.groups))

    async def _write(self, name: str, groups: frozenset[str]) -> None:
        try:
            await self._people.seen(name, groups)
        except PublicError as error:
            self._noted.pop(name, None)
            log.info("User=%s was not written down: %s", name, error)

    async def pause(self) -> float:
        """Return the seconds until the next look; soon while the Hub has not answered yet."""
        return self._interval if self._noted else min(self._interval, SOON)

    def started(self, name: str) -> None:
        """Note that somebody has started a kernel."""
        self._later(self._write_start(name))

    async def _write_start(self, name: str) -> None:
        try:
            await self._people.kernel_started(name)
        except PublicError as error:
            log.info("The last start of user=%s was not written down: %s", name, error)

    def refused(self, name: str, definition: KernelDefinition, error: PublicError) -> None:
        """Note that a start was refused to somebody."""
        found = refusal(name, definition.name, definition.display_name, error, utc_now())
        if not self._refused:
            self._later(self._write_refusals())
        self._refused[found.key] = found.again(self._refused.get(found.key))

    async def _write_refusals(self) -> None:
        await asyncio.sleep(GATHER)
        found, self._refused = self._refused, {}
        try:
            await self._refusals.note(found.values())
        except PublicError as error:
            log.info("%d refusals were not written down: %s", len(found), error)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def sync(self) -> None:
        """Take over the Hub's list."""
        users = await self._users()
        if users is not None:
            await self._people.sync(users)
            self._noted = {name: frozenset(groups) for name, groups in users.items()}
