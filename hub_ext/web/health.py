"""Health and metrics of a service: named checks, hard ones decide, soft ones only tell."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from .handlers import JSONHandler

log = logging.getLogger("hub_ext.web")


@dataclass(frozen=True)
class Check:
    """One thing that has to work. `probe` returns a sentence; it raises when the thing does not work."""

    name: str
    probe: Callable[[], Awaitable[str]]
    hard: bool = True
    timeout: float = 5.0


async def run_check(check: Check) -> dict[str, Any]:
    """Run one check; the answer never holds more than the error's type and public text."""
    began = time.monotonic()
    try:
        said, ok = await asyncio.wait_for(check.probe(), check.timeout), True
    except (TimeoutError, asyncio.TimeoutError):
        said, ok = f"no answer in {check.timeout:g} s", False
    except Exception as error:
        log.warning("Health check %s failed: %s", check.name, error)
        said, ok = type(error).__name__, False
    return {
        "name": check.name,
        "ok": ok,
        "hard": check.hard,
        "says": said,
        "seconds": round(time.monotonic() - began, 3),
    }


class HealthHandler(JSONHandler):
    """``GET /health``: 200 when every hard check passes, else 503. Needs no login, tells no secret."""

    def initialize(self, checks: list[Check]) -> None:
        self.checks = checks

    async def get(self) -> None:
        results = await asyncio.gather(*(run_check(check) for check in self.checks))
        healthy = all(result["ok"] for result in results if result["hard"])
        self.write_json({"ok": healthy, "checks": list(results)}, 200 if healthy else 503)


class MetricsHandler(JSONHandler):
    """``GET /metrics`` for Prometheus."""

    async def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(REGISTRY))
