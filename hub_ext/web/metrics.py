"""Metrics that every service has, and who may read them."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Gauge, Histogram, generate_latest
from tornado import web

from ..errors import PublicError
from .handlers import BaseHandler
from .identity import header_token

#: The Hub's own scope for its own metrics: who may read those may read these.
METRICS_SCOPE = "read:metrics"
METRICS_TOKEN = "HUB_EXT_METRICS_TOKEN"  # noqa: S105 (the variable's name)

REQUEST_SECONDS = Histogram(
    "hub_ext_request_seconds",
    "Time from a request's arrival to the end of its answer; a kernel's start is one of them",
    ["handler", "method", "status"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
LOOP_DELAY = Histogram(
    "hub_ext_loop_delay_seconds",
    "How much later than asked the event loop wakes up: so long does everything else wait, too",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
CHECK_OK = Gauge("hub_ext_health_check_ok", "1 when the health check passed last, else 0", ["check"])
SERVICE = Gauge("hub_ext_service_info", "Always 1: which service this is, in which version", ["service", "version"])

KNOWN_METHODS = frozenset(web.RequestHandler.SUPPORTED_METHODS)
LOOP_PERIOD = 1.0


@dataclass(frozen=True)
class Readers:
    """Who may read metrics.

    Attributes
    ----------
    everyone
        True where something else decides who gets here.
    token
        The secret of whoever collects metrics; empty when there is none.
    scopes
        Gives the scopes of a Hub token, where the service can ask the Hub.
    """

    everyone: bool = False
    token: str = ""
    scopes: Callable[[str], Awaitable[Collection[str]]] | None = None

    async def check(self, given: str) -> None:
        """Let a token pass, or none where everyone may read.

        Raises
        ------
        PublicError
            ``login-expired`` without a token that is known, ``not-yours`` for one without the right.
        """
        if self.everyone or (self.token and hmac.compare_digest(given.encode(), self.token.encode())):
            return
        if given and self.scopes is not None:
            scopes = await self.scopes(given)
            if METRICS_SCOPE in scopes:
                return
            if scopes:
                raise PublicError("not-yours", f"Metrics need a token with the scope {METRICS_SCOPE}.")
        hub = f" or a Hub token with the scope {METRICS_SCOPE}" if self.scopes is not None else ""
        raise PublicError(
            "login-expired",
            "Metrics need a token in the Authorization header.",
            remedy=f"Send the one that {METRICS_TOKEN} gives this service{hub}.",
        )


class MetricsHandler(BaseHandler):
    """``GET /metrics`` for Prometheus."""

    def initialize(self, readers: Readers, look: Callable[[], Awaitable[Any]]) -> None:
        self.readers = readers
        self.look = look

    async def get(self) -> None:
        await self.readers.check(header_token(self.request.headers))
        # The checks' results are among the metrics.
        await self.look()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(REGISTRY))


def observe(handler: web.RequestHandler) -> None:
    """Count a request that has been answered."""
    method = handler.request.method if handler.request.method in KNOWN_METHODS else "other"
    labels = {"handler": type(handler).__name__, "method": method, "status": str(handler.get_status())}
    REQUEST_SECONDS.labels(**labels).observe(handler.request.request_time())


async def watch_loop(period: float = LOOP_PERIOD) -> None:
    """Measure again and again how late the event loop is, until cancelled."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(period)
        LOOP_DELAY.observe(max(0.0, time.monotonic() - began - period))
