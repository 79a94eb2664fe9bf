"""``/health``, ``/health/live`` and ``/metrics`` of Enterprise Gateway, in the form that the other services have.

Health needs no token, metrics need Enterprise Gateway's own, or the one of `METRICS_TOKEN`.
"""

import asyncio
import hmac
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from tornado import web

from .metrics import HEALTH_CHECK, KERNELS
from .resource_manager import ResourceManager
from .threads import in_thread

KEEP_SECONDS = 2.0
TIMEOUT = 3.0
METRICS_TOKEN = "HUB_EXT_METRICS_TOKEN"  # noqa: S105 (the variable's name)


class Failing(RuntimeError):  # noqa: N818 (what a check is)
    """A check fails, with words that everybody may read."""


@dataclass(frozen=True)
class Check:
    """One thing that has to work: `probe` returns a sentence for everybody, or raises."""

    name: str
    probe: Callable[[], Awaitable[str]]
    hard: bool


class Health:
    """Runs the checks side by side, and keeps what came of it for a moment."""

    def __init__(self, checks: Sequence[Check], log: Any) -> None:
        self._checks = checks
        self._log = log
        self._lock = asyncio.Lock()
        self._kept: dict[str, Any] = {}
        self._looked_at = 0.0

    async def look(self) -> dict[str, Any]:
        """Return ``{"ok": …, "checks": […]}``."""
        async with self._lock:
            if not self._kept or time.monotonic() - self._looked_at >= KEEP_SECONDS:
                results = await asyncio.gather(*map(self._run, self._checks))
                ok = all(result["ok"] for result in results if result["hard"])
                self._kept, self._looked_at = {"ok": ok, "checks": list(results)}, time.monotonic()
        return self._kept

    async def _run(self, check: Check) -> dict[str, Any]:
        began = time.monotonic()
        try:
            message, ok = await asyncio.wait_for(check.probe(), TIMEOUT), True
        except (TimeoutError, asyncio.TimeoutError):
            message, ok = f"no answer in {TIMEOUT:g} s", False
        except Exception as error:
            # The text may hold an internal address, which is for the log.
            self._log.warning("Health check %s failed: %s", check.name, error)
            message, ok = str(error) if isinstance(error, Failing) else type(error).__name__, False
        HEALTH_CHECK.labels(check=check.name).set(ok)
        seconds = round(time.monotonic() - began, 3)
        return {"name": check.name, "ok": ok, "hard": check.hard, "seconds": seconds, "message": message}


def checks(
    reports_served: Callable[[], bool], resource_manager: ResourceManager, environ: Mapping[str, str]
) -> list[Check]:
    """Return what is looked at.

    Without the port for reports no start can succeed. Without ResourceManager or Spark running kernels go on.
    """

    async def reports() -> str:
        if not reports_served():
            raise Failing("the port for reports is not served")
        return "are taken"

    async def yarn() -> str:
        await in_thread(resource_manager.ping)
        return "answers"

    async def spark() -> str:
        if not await in_thread(_has_spark, environ.get("SPARK_HOME", "")):
            raise Failing("SPARK_HOME is not a Spark")
        return "is there"

    return [
        Check("reports", reports, hard=True),
        Check("resource-manager", yarn, hard=False),
        Check("spark", spark, hard=False),
    ]


def _has_spark(home: str) -> bool:
    return bool(home) and any(Path(home, "jars").glob("spark-yarn_*.jar"))


def metrics_token() -> str:
    """Return the token of whoever collects metrics, from `METRICS_TOKEN` or the file that it names; else nothing."""
    path = os.environ.get(f"{METRICS_TOKEN}_FILE")
    try:
        return os.environ.get(METRICS_TOKEN, "").strip() or (Path(path).read_text().strip() if path else "")
    except OSError:
        return ""


def may_read(headers: Mapping[str, str], *tokens: str) -> bool:
    """Say whether a request carries one of these tokens in its header."""
    kind, _, given = headers.get("Authorization", "").partition(" ")
    if kind.lower() not in ("token", "bearer"):
        return False
    return any(token and hmac.compare_digest(given.strip().encode(), token.encode()) for token in tokens)


class HealthHandler(web.RequestHandler):
    """200 when every hard check passes, else 503."""

    def initialize(self, health: Health) -> None:
        self.health = health

    async def get(self) -> None:
        found = await self.health.look()
        _plain(self)
        self.set_status(200 if found["ok"] else 503)
        self.finish(found)

    head = get


class LivenessHandler(web.RequestHandler):
    """200 as long as this process answers at all."""

    def get(self) -> None:
        _plain(self)
        self.finish({"ok": True})

    head = get


class MetricsHandler(web.RequestHandler):
    """For Prometheus."""

    def initialize(self, health: Health, count: Callable[[], int]) -> None:
        self.health = health
        self.count = count

    async def get(self) -> None:
        _plain(self)
        if not may_read(self.request.headers, self.settings.get("eg_auth_token") or "", metrics_token()):
            self.set_status(401)
            self.finish(json.dumps({"reason": "login-expired", "message": "Metrics need a token."}))
            return
        await self.health.look()
        KERNELS.set(self.count())
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(REGISTRY))


def _plain(handler: web.RequestHandler) -> None:
    handler.clear_header("Server")
    handler.set_header("Cache-Control", "no-store")
    handler.set_header("X-Content-Type-Options", "nosniff")


def watching_handlers(base_url: str, health: Health, count: Callable[[], int]) -> list[tuple[Any, ...]]:
    """Return the handlers below Enterprise Gateway's base path; `count` gives the number of its kernels."""
    base = "/" + base_url.strip("/")
    base = base if base.endswith("/") else f"{base}/"
    return [
        (f"{base}health", HealthHandler, {"health": health}),
        (f"{base}health/live", LivenessHandler),
        (f"{base}metrics", MetricsHandler, {"health": health, "count": count}),
    ]
