"""Times and what to say of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Durations in seconds, and how long all of them took together."""

    each: list[float]
    together: float

    @property
    def rate(self) -> float:
        return len(self.each) / self.together

    def percentile(self, percent: float) -> float:
        """Return the duration that `percent` of all are not longer than, in milliseconds."""
        ordered = sorted(self.each)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    @property
    def longest(self) -> float:
        return 1000 * max(self.each)


def merged(parts: list[Times]) -> Times:
    """Put together what ran at the same time."""
    return Times([one for part in parts for one in part.each], max(part.together for part in parts))
