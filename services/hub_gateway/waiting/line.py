"""The line of starts before Enterprise Gateway: so many at once, and users take turns."""

import asyncio
from collections import deque


class Ticket:
    """A start's place in the line. `called` is set when it may begin; `release` lets the next one begin."""

    def __init__(self, line: "Line", owner: str) -> None:
        self.owner = owner
        self.called = asyncio.Event()
        self._line = line

    @property
    def ahead(self) -> int:
        """How many are going to be called before this one."""
        return self._line.ahead(self)

    def release(self) -> None:
        """Leave the line, or give up the turn; doing so again changes nothing."""
        self._line.leave(self)


class Line:
    """Calls at most `at_once` starts at a time. Each user's starts are in order, and users take turns."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._waiting: dict[str, deque[Ticket]] = {}
        self._called: set[Ticket] = set()

    def enter(self, owner: str) -> Ticket:
        ticket = Ticket(self, owner)
        self._waiting.setdefault(owner, deque()).append(ticket)
        self._call()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        self._called.discard(ticket)
        own = self._waiting.get(ticket.owner)
        if own is not None and ticket in own:
            own.remove(ticket)
            if not own:
                del self._waiting[ticket.owner]
        self._call()

    def ahead(self, ticket: Ticket) -> int:
        own = self._waiting.get(ticket.owner)
        if own is None or ticket not in own:
            return 0
        place, before, total = own.index(ticket), True, 0
        for owner, tickets in self._waiting.items():
            if owner == ticket.owner:
                before = False
                total += place
            else:
                total += min(len(tickets), place + before)
        return total

    @property
    def length(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def _call(self) -> None:
        while self._waiting and len(self._called) < self._at_once:
            owner = next(iter(self._waiting))
            tickets = self._waiting.pop(owner)
            ticket = tickets.popleft()
            if tickets:
                self._waiting[owner] = tickets  # behind all others now
            self._called.add(ticket)
            ticket.called.set()
