"""A service as a process: configuration, start, clean stop."""

import asyncio
import logging
import os
import signal
from typing import Any, cast
from urllib.parse import urlparse

from tornado import web
from tornado.httpserver import HTTPServer
from traitlets import Int, Unicode, default
from traitlets.config import Application

from ..secrets import read_secret
from .handlers import NotFoundHandler, log_request


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

    aliases = {"config": "Service.config_file", "ip": "Service.ip", "port": "Service.port"}  # noqa: RUF012 (traitlets' own form)

    _server: HTTPServer | None = None

    @default("log_level")
    def _default_log_level(self) -> int:
        return logging.INFO

    @default("log_format")
    def _default_log_format(self) -> str:
        return "[%(levelname)1.1s %(asctime)s %(name)s] %(message)s"

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
        logging.basicConfig(format=self.log_format, level=cast("int | str", self.log_level))
        logging.getLogger("tornado.access").setLevel(logging.ERROR)

    def handlers(self) -> list[Any]:
        """Return the URL table; services implement this."""
        return []

    def settings(self) -> dict[str, Any]:
        """Return additions to the tornado settings; services override this."""
        return {}

    def make_app(self) -> web.Application:
        return web.Application(
            self.handlers(),
            default_handler_class=NotFoundHandler,
            log_function=log_request,
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
        self.log.info("%s listens on http://%s:%s%s", type(self).__name__, self.ip, self.port, self.prefix)
        await stop.wait()
        self._server.stop()
        await self.stopping()

    def start(self) -> None:
        super().start()
        asyncio.run(self.serve())
