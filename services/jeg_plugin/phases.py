"""When each step of a kernel's start was reached, by the gateway's own clock, in seconds since 1970."""

import time
from typing import Any

#: What an application's states mean for its kernel.
WORDS = {"ACCEPTED": "accepted, waits for its container", "RUNNING": "driver runs"}
#: In YARN's words, once the application has one of these it is accepted.
_ACCEPTED = ("ACCEPTED", "RUNNING")


class Phases(dict[str, float]):
    """Each step's time, from the first moment in which it was seen."""

    def reach(self, phase: str) -> None:
        """Note that a step is reached."""
        self.setdefault(phase, time.time())

    def see(self, state: str | None) -> None:
        """Note what an application's state means."""
        self.reach("submitted")
        if state in _ACCEPTED:
            self.reach("accepted")

    def connect(self, driver_seconds: Any, longest: float) -> None:
        """Note that the driver has reported, after it had run for so long by its own words."""
        self.reach("connected")
        if isinstance(driver_seconds, float) and 0 <= driver_seconds <= longest:
            self["driver"] = self["connected"] - driver_seconds
