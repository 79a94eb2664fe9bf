"""Health of a service: named checks, hard ones decide, soft ones only tell."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PublicError
from .handlers import JSONHandler
from .metrics import CHECK_OK

log = logging.getLogger("hub_ext.web")

#: Seconds for which an answer is kept: however many ask, nothing is looked at more often.
KEEP = 2.0


class Failing(RuntimeError):  # noqa: N818 (what a check is)
    """A check fails, with words that everybody may read: no address, no secret."""


@dataclass(frozen=True)
class Check:
    """One thing that has to work. `probe` returns a sentence for everybody; it raises when the thing does not work.

    A `hard` one that fails means that this process can't do its work. A soft one that fails means that somebody else
    can't, and that people will notice.
    """

    name: str
    probe: Callable[[], Awaitable[str]]
    hard: bool = True
    timeout: float = 3.0


async def run_check(check: Check) -> dict[str, Any]:
    """Run one check; the answer never holds more than an error's code or type."""
    began = time.monotonic()
    try:
        message, ok = await asyncio.wait_for(check.probe(), check.timeout), True
    except (TimeoutError, asyncio.TimeoutError):
        message, ok = f"no answer in {check.timeout:g} s", False
    except Exception as error:
        message, ok = _public(error), False
        # The text of other errors may hold an address with a password in it.
        log.warning("Health check %s failed: %s", check.name, error if isinstance(error, PublicError) else message)
    CHECK_OK.labels(check=check.name).set(ok)
    return {
        "name": check.name,
        "ok": ok,
        "hard": check.hard,
        "seconds": round(time.monotonic() - began, 3),
        "message": message,
    }


def _public(error: Exception) -> str:
    if isinstance(error, Failing):
        return str(error)
    return error.code if isinstance(error, PublicError) else type(error).__name__


class Health:
    """Runs all checks side by side, and keeps what came of it for a moment.

    Parameters
    ----------
    checks : sequence of Check
        With different names.
    keep : float
        Seconds.
    """

    def __init__(self, checks: Sequence[Check], keep: float = KEEP) -> None:
        if len({check.name for check in checks}) != len(checks):
            raise ValueError("two health checks have the same name")
        self._checks = checks
        self._keep = keep
        self._lock = asyncio.Lock()
        self._kept: dict[str, Any] = {}
        self._looked_at = 0.0

    async def look(self) -> dict[str, Any]:
        """Return ``{"ok": …, "checks": […]}``; who comes while it is being found out waits for the same answer."""
        async with self._lock:
            if not self._kept or time.monotonic() - self._looked_at >= self._keep:
                results = await asyncio.gather(*(run_check(check) for check in self._checks))
                ok = all(result["ok"] for result in results if result["hard"])
                self._kept, self._looked_at = {"ok": ok, "checks": list(results)}, time.monotonic()
        return self._kept


class HealthHandler(JSONHandler):
    """``GET /health``: 200 when every hard check passes, else 503. Needs no login, tells no secret and no address."""

    def initialize(self, health: Health) -> None:
        self.health = health

    async def get(self) -> None:
        found = await self.health.look()
        self.write_json(found, 200 if found["ok"] else 503)

    head = get


class LivenessHandler(JSONHandler):
    """``GET /health/live``: 200 as long as this process answers at all. Looks at nothing else."""

    def get(self) -> None:
        self.write_json({"ok": True})

    head = get
