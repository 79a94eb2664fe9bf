"""A service as a process: configuration, start, clean stop."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, cast
from urllib.parse import urlparse

from tornado import web
from tornado.httpserver import HTTPServer
from traitlets import Bool, CaselessStrEnum, Int, Unicode, default
from traitlets.config import Application

from .. import __version__
from ..logs import set_up
from ..secrets import read_secret
from .handlers import NotFoundHandler, log_request
from .health import Check, Health, HealthHandler, LivenessHandler
from .memory import settle
from .metrics import METRICS_TOKEN, SERVICE, MetricsHandler, Readers, observe, watch_loop


class Service(Application):
    """Base of the services: traits for its address, a tornado application, a loop that ends on SIGTERM."""

    ip = Unicode(help="Address to listen on. Default: the host of JUPYTERHUB_SERVICE_URL, else 127.0.0.1.").tag(
        config=True
    )
    port = Int(help="Port to listen on. Default: the port of JUPYTERHUB_SERVICE_URL.").tag(config=True)
    config_file = Unicode(help="A traitlets configuration file (Python) with settings of this service.").tag(
        config=True
    )
    header_timeout = Int(
        60, help="Seconds a client has to send a request's head; a connection that stalls longer is closed."
    ).tag(config=True)
    maximum_body_bytes = Int(1024 * 1024, help="Largest body of a request.").tag(config=True)
    body_timeout = Int(60, help="Seconds in which a request's body has to arrive.").tag(config=True)
    log_style = CaselessStrEnum(
        ["text", "json"],
        "text",
        help="""
        How log lines look: 'text' ends each with kernel=, user= and request=, 'json' writes one object a line.
        log_format and log_datefmt have no effect.
        """,
    ).tag(config=True)
    authenticate_metrics = Bool(
        True,
        help="""
        Answer ``/metrics`` only to callers with a token: the secret HUB_EXT_METRICS_TOKEN, also as …_FILE, or for
        gateway and portal a Hub token with the scope ``read:metrics``, which the Hub's own metrics need, too. False
        where something else decides who gets there.
        """,
    ).tag(config=True)

    aliases = {"config": "Service.config_file", "ip": "Service.ip", "port": "Service.port"}  # noqa: RUF012 (traitlets' own form)

    _server: HTTPServer | None = None

    @default("log_level")
    def _default_log_level(self) -> int:
        return logging.INFO

    @default("ip")
    def _default_ip(self) -> str:
        return urlparse(os.environ.get("JUPYTERHUB_SERVICE_URL", "")).hostname or "127.0.0.1"

    @default("port")
    def _default_port(self) -> int:
        return urlparse(os.environ.get("JUPYTERHUB_SERVICE_URL", "")).port or 0

    @property
    def prefix(self) -> str:
        """Path under which the Hub's proxy reaches this service; begins and ends with a slash."""
        return os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/")

    def secret(self, name: str) -> str:
        """Return a secret that must be there.

        Raises
        ------
        SystemExit
            With a sentence that says which variable to set.
        """
        try:
            value = read_secret(name)
        except ValueError as error:
            raise SystemExit(str(error)) from error
        if not value:
            raise SystemExit(
                f"{type(self).__name__} needs a secret: set {name}, or {name}_FILE to a file that holds it."
            )
        return value

    def initialize(self, argv: Any = None) -> None:
        super().initialize(argv)
        if self.config_file:
            self.load_config_file(self.config_file)
            self.update_config(self.cli_config)
        set_up(self.log_style, cast("int | str", self.log_level))
        # traitlets gave it a handler and a form of its own.
        self.log.handlers.clear()
        self.log.propagate = True

    def handlers(self) -> list[Any]:
        """Return the URL table; services implement this."""
        return []

    def watching(
        self, checks: Sequence[Check], scopes: Callable[[str], Awaitable[Collection[str]]] | None = None
    ) -> list[Any]:
        """Return the handlers of ``health``, ``health/live`` and ``metrics`` below the prefix.

        Parameters
        ----------
        checks : sequence of Check
            What ``health`` looks at.
        scopes : callable, optional
            Gives the scopes of a Hub token.
        """
        try:
            token = read_secret(METRICS_TOKEN)
        except ValueError as error:
            raise SystemExit(str(error)) from error
        readers = Readers(everyone=not self.authenticate_metrics, token=token, scopes=scopes)
        health = Health(checks)
        SERVICE.labels(service=self.name, version=__version__).set(1)
        return [
            (f"{self.prefix}health", HealthHandler, {"health": health}),
            (f"{self.prefix}health/live", LivenessHandler),
            (f"{self.prefix}metrics", MetricsHandler, {"readers": readers, "look": health.look}),
        ]

    def settings(self) -> dict[str, Any]:
        """Return additions to the tornado settings; services override this."""
        return {}

    def make_app(self) -> web.Application:
        return web.Application(
            self.handlers(),
            default_handler_class=NotFoundHandler,
            log_function=_answered,
            **{"service": self, **self.settings()},
        )

    async def started(self) -> None:
        """Begin background work; runs on the loop before the port opens."""

    async def stopping(self) -> None:
        """End background work; runs after the port closed."""

    async def serve(self) -> None:
        """Run until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        await self.started()
        watch = asyncio.create_task(watch_loop())
        self._server = HTTPServer(
            self.make_app(),
            idle_connection_timeout=self.header_timeout,
            max_body_size=self.maximum_body_bytes,
            body_timeout=self.body_timeout,
        )
        try:
            self._server.listen(self.port, self.ip)
        except OSError as error:
            raise SystemExit(
                f"{type(self).__name__} can't listen on {self.ip}:{self.port}: {error.strerror}."
            ) from error
        settle()
        self.log.info("%s listens on http://%s:%s%s", type(self).__name__, self.ip, self.port, self.prefix)
        await stop.wait()
        self._server.stop()
        watch.cancel()
        await self.stopping()

    def run(self) -> None:
        """Run `serve` on an event loop; services that need another one than asyncio's override this."""
        asyncio.run(self.serve())

    def start(self) -> None:
        super().start()
        self.run()


def _answered(handler: web.RequestHandler) -> None:
    """Log and count a request that has been answered."""
    log_request(handler)
    observe(handler)
