"""The leases of the kernels that this gateway starts or restarts, renewed all at once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager

from hub_ext.errors import PublicError

log = logging.getLogger("hub_gateway")


class Leases:
    """Which kernels this gateway works on.

    Parameters
    ----------
    renew : callable
        Renews the leases of some kernels.
    interval : float
        Seconds between two renewals, several of them within one lease.
    """

    def __init__(self, renew: Callable[[Collection[str]], Awaitable[None]], interval: float) -> None:
        self._renew = renew
        self._interval = interval
        self._held: set[str] = set()

    @property
    def kernel_ids(self) -> frozenset[str]:
        """The kernels that are worked on."""
        return frozenset(self._held)

    @contextmanager
    def held(self, kernel_id: str) -> Iterator[None]:
        """Keep the lease of a kernel while the block runs."""
        self._held.add(kernel_id)
        try:
            yield
        finally:
            self._held.discard(kernel_id)

    async def run(self) -> None:
        """Renew until cancelled. What can't be renewed is lost to the reconciler, which undoes it."""
        while True:
            await asyncio.sleep(self._interval)
            if not self._held:
                continue
            try:
                await self._renew(tuple(self._held))
            except PublicError as error:
                log.warning("Leases of %d kernels were not renewed: %s", len(self._held), error)
