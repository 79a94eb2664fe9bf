"""The waiting room of one kernel: who waits in it, where the start is, and how it ended."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from hub_ext.database import Kernel
from hub_ext.errors import PublicError

from ..sockets import Key
from .guest import Guest, Wish
from .kept import Kept
from .line import Ticket
from .phases import Clock
from .tiny_kernel import Deed, Failure, failure_of
from .whereabouts import CONNECTING, SUBMITTING, Whereabouts, as_json, html, in_line, sentence

#: Seconds for which a start that failed stays listed while no client is there.
LISTED = 30.0
#: Clients that may wait for one kernel.
MAXIMUM_CLIENTS = 16
#: Seconds in which the same wish counts once: each is a write to the database, and a client can send thousands.
SAME_WISH = 1.0


class Room:
    """From the request for a kernel until it is there, or will not come.

    Parameters
    ----------
    kernel : Kernel
        Its reservation.
    language : str
        As its kernelspec tells it.
    wish : callable
        Told when a client wants the start ended or begun anew.
    now : callable
        A clock of seconds that only goes forward.
    """

    def __init__(self, kernel: Kernel, language: str, wish: Wish, now: Callable[[], float] = time.monotonic) -> None:
        self.guests: dict[Key, Guest] = {}
        #: What clients that have gone have left for the kernel.
        self.left: dict[Key, Kept] = {}
        #: The variables with which the start was asked for, in case it is begun anew.
        self.client_env: dict[str, Any] = {}
        #: Held by whoever begins a start anew that has failed.
        self.beginning_anew = asyncio.Lock()
        self._now = now
        self._begin(kernel, language, wish)

    def _begin(self, kernel: Kernel, language: str, wish: Wish) -> None:
        self.kernel = kernel
        self.language = language
        #: Set when the kernel is there or will not come.
        self.over = asyncio.Event()
        #: Set when a start that had failed has begun anew.
        self.anew = asyncio.Event()
        self.failure: Failure | None = None
        #: Its place in the line before Enterprise Gateway, while it has one.
        self.ticket: Ticket | None = None
        self._wish = wish
        self._wished_at: dict[Deed, float] = {}
        self._began = self._empty_since = self._now()
        self._where = Whereabouts()
        self._dismissed = False
        self.clock = Clock(kernel.started_at.timestamp(), self._began)

    def begin_anew(self, kernel: Kernel, language: str, wish: Wish) -> None:
        """Wait again, with the same guests, for a kernel that could not start before."""
        before = self.anew
        self._begin(kernel, language, wish)
        for guest in self.guests.values():
            guest.begin_anew()
        before.set()

    @property
    def where(self) -> Whereabouts:
        if self.ticket is not None and self._where.phase == "requested":
            return in_line(self.ticket.ahead)
        return self._where

    @property
    def waits(self) -> bool:
        """Whether the kernel may still come."""
        return not self.over.is_set()

    async def waited(self, seconds: float | None) -> None:
        """Wait until the start is over, but not for longer than these seconds; None: for as long as it takes."""
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)

    @property
    def listed(self) -> bool:
        """Whether a kernel that could not start is still listed.

        A notebook server forgets a kernel that is not, and JupyterLab the cells that wait for it, before they are told
        why.
        """
        stays = bool(self.guests) or self._now() - self._empty_since < LISTED
        return self.failure is not None and not self._dismissed and stays

    def told(self) -> dict[str, Any]:
        """Return where the start is, for programs and pages."""
        if self.failure is not None:
            return {"phase": "failed", "ahead": None, "text": self.failure.sentence, "seconds": 0}
        return as_json(self.where, self._now() - self._began)

    # -- guests ----------------------------------------------------------------------------------

    def welcome(self, key: Key, greeting: bytes) -> Guest:
        """Make the guest for a new connection; a client that comes back finds what it has left.

        Raises
        ------
        PublicError
            ``too-many-clients``: so many are here, or have left something, that one more could take too much memory.
        """
        if key in self.guests:
            self.leave(key, self.guests[key])
        if key not in self.left and len(self.guests) + len(self.left) >= MAXIMUM_CLIENTS:
            raise PublicError(
                "too-many-clients",
                f"{MAXIMUM_CLIENTS} clients wait for this kernel already, and no more can.",
                remedy="Close some of them, or come back when the kernel is there.",
            )
        return Guest(self.language, self._wished, self.left.pop(key) if key in self.left else Kept(), greeting)

    def enter(self, key: Key, guest: Guest) -> None:
        """Let a guest in."""
        self.guests[key] = guest
        if self.failure is not None:
            guest.fail(self.failure)
        else:
            self._show(guest)

    def leave(self, key: Key, guest: Guest) -> None:
        """Let a guest out; its cells stay, as a kernel goes on with the cells of a client that has gone."""
        if self.guests.get(key) is not guest:
            return
        del self.guests[key]
        self._empty_since = self._now()
        if self.waits and guest.kept.raw:
            self.left[key] = guest.kept

    def forget(self) -> None:
        """Forget what waits for the kernel, which its owner restarts."""
        self.left.clear()
        for guest in self.guests.values():
            guest.forget()

    # -- what happens ----------------------------------------------------------------------------

    def submitting(self) -> None:
        self._where = SUBMITTING

    def seen(self, where: Whereabouts) -> None:
        """Note what YARN told; the first word of it lets the next start be submitted."""
        self._where = where
        self.clock.seen(where.phase, self._now())
        if self.ticket is not None:
            self.ticket.release()

    def tell(self) -> None:
        """Show every guest where the start is."""
        for guest in self.guests.values():
            self._show(guest)

    def keep_open(self) -> None:
        for guest in self.guests.values():
            guest.ping()

    def ready(self) -> None:
        """Say that the kernel is there. Guests are handed over by those who serve them."""
        self._where = CONNECTING
        self.clock.seen("connected", self._now())
        self.over.set()

    def fail(self, error: PublicError, *, dismissed: bool = False) -> None:
        """Say that the kernel will not come; `dismissed` if that is what its owner wanted."""
        if self.over.is_set():
            return
        self.failure = failure_of(error)
        self._dismissed, self._empty_since = dismissed, self._now()
        self.left.clear()
        for guest in list(self.guests.values()):
            guest.fail(self.failure)
        self.over.set()

    def _wished(self, deed: Deed) -> None:
        now = self._now()
        if deed != "restart" and now - self._wished_at.get(deed, -SAME_WISH) < SAME_WISH:
            return
        self._wished_at[deed] = now
        self._wish(deed)

    def _show(self, guest: Guest) -> None:
        text = sentence(self.where, self._now() - self._began)
        guest.show(html(text), text)
