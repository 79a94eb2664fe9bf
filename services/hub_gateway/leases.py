"""The kernels that this gateway works on: their leases, renewed all at once, and whether they are to end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager

from hub_ext.errors import PublicError

log = logging.getLogger("hub_gateway")


class Work:
    """A start or a restart under way."""

    def __init__(self) -> None:
        #: Set when the kernel is to end instead.
        self.to_end = asyncio.Event()
        #: Why, if that is known here.
        self.reason = ""

    def end(self, reason: str = "") -> None:
        """Say that the kernel is to end; the first reason stays."""
        self.reason = self.reason or reason
        self.to_end.set()


class Leases:
    """Which kernels this gateway works on.

    Parameters
    ----------
    renew : callable
        Renews the leases of some kernels, and returns those that are to end.
    interval : float
        Seconds between two renewals, several of them within one lease.
    """

    def __init__(self, renew: Callable[[Collection[str]], Awaitable[Collection[str]]], interval: float) -> None:
        self._renew = renew
        self.interval = interval
        self._held: dict[str, Work] = {}

    @property
    def kernel_ids(self) -> frozenset[str]:
        """The kernels that are worked on."""
        return frozenset(self._held)

    @contextmanager
    def held(self, kernel_id: str, work: Work) -> Iterator[None]:
        """Keep the lease of a kernel while the block runs."""
        self._held[kernel_id] = work
        try:
            yield
        finally:
            if self._held.get(kernel_id) is work:
                del self._held[kernel_id]

    def end(self, kernel_id: str, reason: str = "") -> None:
        """Tell who works on a kernel, if that is this gateway, that it is to end."""
        if kernel_id in self._held:
            self._held[kernel_id].end(reason)

    async def run(self) -> None:
        """Renew until cancelled. What can't be renewed is lost to the reconciler, which undoes it."""
        while True:
            await asyncio.sleep(self.interval)
            if not self._held:
                continue
            try:
                for kernel_id in await self._renew(tuple(self._held)):
                    self.end(kernel_id)
            except PublicError as error:
                log.warning("Leases of %d kernels were not renewed: %s", len(self._held), error)
