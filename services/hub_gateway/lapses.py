"""Which leases are over: nobody works on their kernels any more. Pure.

A gateway that cannot write for a while must not lose what it works on, and clocks of machines may differ. So a lease is
over when it was found to have run out, and after that was seen unchanged for longer than it takes to renew it, by the
looker's own monotonic clock. A look that had to wait for the database says nothing of who could not write meanwhile:
everything is counted anew from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

#: A look that takes longer had to wait (seconds).
SLOW = 1.0
SHORTEST_PAUSE = 0.2

Lease = datetime | None


@dataclass(frozen=True)
class Sighting:
    """A lease that was seen: its end, since when it is seen, and since when it is seen to have run out (monotonic)."""

    until: Lease
    since: float
    run_out_since: float | None


class Lapses:
    """What is remembered of leases from look to look.

    Parameters
    ----------
    interval : float
        Seconds between two rounds, at most; a lease lasts a third of them.
    renewal : float
        Seconds between two renewals of a lease.
    """

    def __init__(self, interval: float, renewal: float) -> None:
        self._interval = interval
        self._lease = interval / 3
        self._unchanged = renewal * 1.5
        self._sightings: dict[str, Sighting] = {}

    def look(self, leases: Mapping[str, Lease], now: datetime, at: float, took: float = 0.0) -> frozenset[str]:
        """Look at the leases of others and return the kernels whose leases are over.

        Parameters
        ----------
        leases : mapping
            Kernel id to the end of its lease.
        now : datetime
            UTC.
        at : float
            The same on the monotonic clock.
        took : float
            Seconds that it took to look.
        """
        before = {} if took > SLOW else self._sightings
        self._sightings = {
            kernel_id: self._sighting(before.get(kernel_id), until, now, at) for kernel_id, until in leases.items()
        }
        return frozenset(
            kernel_id
            for kernel_id, seen in self._sightings.items()
            if seen.run_out_since is not None and at - seen.run_out_since >= self._unchanged
        )

    def forget(self) -> None:
        """Count anew: the database could not be looked at."""
        self._sightings = {}

    def _sighting(self, before: Sighting | None, until: Lease, now: datetime, at: float) -> Sighting:
        known = before if before is not None and before.until == until else Sighting(until, at, None)
        # The other gateway's clock may be ahead: a lease that nobody renews is over all the same.
        run_out = until is None or until <= now or at - known.since > self._lease
        if known.run_out_since is None and run_out:
            return Sighting(until, known.since, at)
        return known

    def pause(self, leases: Mapping[str, Lease], now: datetime, at: float) -> float:
        """Return the seconds until the next look.

        A place whose gateway died, whenever that was, is so given back within the interval: at most five sixths of it
        until the lease is seen to have run out, a sixth to make sure. What was over and is still there could not be
        decided, since somebody can't be asked: that waits for the next round.
        """
        longest = self._interval - self._unchanged
        waits = [longest]
        for kernel_id, until in leases.items():
            seen = self._sightings.get(kernel_id)
            if seen is not None and seen.until == until and seen.run_out_since is not None:
                left = seen.run_out_since + self._unchanged - at
                waits.append(left if left > 0 else longest)
            elif until is not None:
                waits.append((until - now).total_seconds())
        return max(SHORTEST_PAUSE, min(waits) + 0.05 if min(waits) < longest else longest)
