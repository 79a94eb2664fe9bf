"""How long each step of a start took, counted from the request."""

import math
from collections.abc import Mapping
from typing import Any

from prometheus_client import Histogram

#: In the order in which a start goes through them.
PHASES = ("requested", "submitted", "accepted", "driver", "connected", "spark_ready", "first_answer")
SECONDS = Histogram(
    "hub_gateway_start_phase_seconds",
    "Seconds from the request for a kernel until its start had come to this phase; the last one is a cell's end",
    ["phase"],
    buckets=(0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600),
)
#: Beyond this a time is not that of the same start, or two clocks differ.
LONGEST = 24 * 3600.0


def told(model: Mapping[str, Any], requested: float) -> dict[str, float]:
    """Return the seconds that Enterprise Gateway's model of a kernel tells, by phase; `requested` is a time of day."""
    given = model.get("start_phases")
    if not isinstance(given, Mapping):
        return {}
    found = {phase: moment - requested for phase, moment in given.items() if phase in PHASES and _is_time(moment)}
    # The machines' clocks may differ a little.
    return {phase: max(seconds, 0.0) for phase, seconds in found.items() if -60 < seconds < LONGEST}


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


class Clock:
    """Notes the phases of one start, each once. What Enterprise Gateway tells is more exact than what was seen."""

    def __init__(self, requested: float, monotonic: float) -> None:
        self.requested = requested
        self._began = monotonic
        self._seen: dict[str, float] = {}
        self._counted: set[str] = set()

    def seen(self, phase: str, monotonic: float) -> None:
        """Note that a phase was seen; those that came first must have been over by then."""
        for earlier in PHASES[1 : PHASES.index(phase) + 1]:
            self._seen.setdefault(earlier, monotonic - self._began)

    def count(self, model: Mapping[str, Any]) -> None:
        """Put into the histogram what is known now and was not counted before."""
        for phase, seconds in {**self._seen, **told(model, self.requested)}.items():
            if phase not in self._counted:
                self._counted.add(phase)
                SECONDS.labels(phase=phase).observe(seconds)

    @property
    def complete(self) -> bool:
        return {"spark_ready", "first_answer"} <= self._counted
