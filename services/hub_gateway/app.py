"""The gateway as a service: settings, URL table, start and stop."""

import asyncio
from typing import Any

from jupyterhub.services.auth import HubAuth
from traitlets import Float, Int, List, Unicode, default

import hub_ext
from hub_ext.database import Database
from hub_ext.edge import EdgeClient
from hub_ext.names import KERNEL_ID_PATTERN
from hub_ext.web.health import Check, HealthHandler, MetricsHandler
from hub_ext.web.service import Service

from .caretaker import Caretaker
from .handlers.base import ClosedHandler, Parts, VersionHandler
from .handlers.channels import ChannelsHandler
from .handlers.kernels import (
    AllKernelsHandler,
    InterruptHandler,
    KernelHandler,
    KernelsHandler,
    RestartHandler,
)
from .handlers.kernelspecs import KernelspecHandler, KernelspecsHandler, ResourceHandler
from .hub import notebook_servers
from .lifecycle import ANSWER_MARGIN, Lifecycle, Settings
from .registry import Registry
from .sockets import Sockets
from .upstream import EnterpriseGateway


class HubGateway(Service):
    """The kernel API of everyone's notebook server, in front of Enterprise Gateway.

    Secrets: ``HUB_EXT_ENTERPRISE_GATEWAY_TOKEN`` and ``HUB_EXT_EDGE_TOKEN``, each also as ``…_FILE``.
    """

    name = "hub-gateway"
    version = hub_ext.__version__

    enterprise_gateway_url = Unicode(
        "http://127.0.0.1:8888",
        help="Where Jupyter Enterprise Gateway answers; it should answer nobody else.",
    ).tag(config=True)
    edge_url = Unicode("http://127.0.0.1:8899", help="Where the edge service answers.").tag(config=True)
    edge_ca_certs = Unicode(
        help="File with the authority that signed the edge's certificate; empty: the system's."
    ).tag(config=True)
    database_url = Unicode(
        help="""
        The database that keeps who owns which kernel: ``sqlite:////path/file.sqlite`` or
        ``postgresql://user:password@host/name``. Default: the variable HUB_EXT_DATABASE_URL, also as
        HUB_EXT_DATABASE_URL_FILE.
        """
    ).tag(config=True)
    user_domain = Unicode(help="The same as RemoteKernelMixin.user_domain.").tag(config=True)
    launch_timeout = Int(
        300,
        help="Seconds a kernel may take until its driver reports, waiting for room in the cluster included.",
    ).tag(config=True)
    allowed_env = List(
        Unicode(),
        help="""
        Names of variables that a client may pass to its kernel. KERNEL_ID, KERNEL_USERNAME and KERNEL_LAUNCH_TIMEOUT
        are
        always the gateway's own. Do not allow names that the cluster's tools read.
        """,
    ).tag(config=True)
    maximum_upload_bytes = Int(
        256 * 1024 * 1024,
        help="""
        Largest body that is read to its end, without being kept, so that its sender can be told that it is too large;
        of a larger one the connection is cut off.
        """,
    ).tag(config=True)
    token_cache_seconds = Int(
        60,
        help="Seconds for which the Hub's answer about a token is remembered; a revoked one works that much longer.",
    ).tag(config=True)
    reauthorize_interval = Float(
        60.0, help="Seconds between two checks that an open websocket's token and right still hold."
    ).tag(config=True)
    connect_timeout = Float(
        90.0,
        help="""
        Seconds for the websocket handshake with Enterprise Gateway, which asks the kernel for its kernel_info first and
        gives up on that after 60 seconds.
        """,
    ).tag(config=True)
    caretaker_interval = Float(15.0, help="Seconds between two rounds of the caretaker.").tag(config=True)
    dead_server_grace = Float(
        120.0,
        help="Seconds for which a notebook server must be gone from the Hub before the kernels it started are stopped.",
    ).tag(config=True)

    _caretaker: asyncio.Task[None] | None = None

    @default("database_url")
    def _default_database_url(self) -> str:
        return self.secret("HUB_EXT_DATABASE_URL")

    def initialize(self, argv: Any = None) -> None:
        super().initialize(argv)
        self.hub_auth = HubAuth.instance(cache_max_age=self.token_cache_seconds)
        self.database = Database(self.database_url)
        self.registry = Registry(self.database)
        self.upstream = EnterpriseGateway(self.enterprise_gateway_url, self.secret("HUB_EXT_ENTERPRISE_GATEWAY_TOKEN"))
        self.edge = EdgeClient(self.edge_url, self.secret("HUB_EXT_EDGE_TOKEN"), ca_certs=self.edge_ca_certs)
        settings = Settings(self.user_domain, self.launch_timeout, frozenset(self.allowed_env))
        self.lifecycle = Lifecycle(self.registry, self.upstream, self.edge, settings)
        self.sockets = Sockets()

    def handlers(self) -> list[Any]:
        base = {
            "parts": Parts(
                lifecycle=self.lifecycle,
                upstream=self.upstream,
                hub_auth=self.hub_auth,
                maximum_body_bytes=self.maximum_body_bytes,
                maximum_upload_bytes=self.maximum_upload_bytes,
                reauthorize_interval=self.reauthorize_interval,
                connect_timeout=self.connect_timeout,
                sockets=self.sockets,
            )
        }
        user = f"{self.prefix}user/(?P<owner>[^/]+)"
        kernel = f"{user}/api/kernels/(?P<kernel_id>{KERNEL_ID_PATTERN})"
        return [
            (f"{user}/api/?", VersionHandler, base),
            (f"{user}/api/kernelspecs", KernelspecsHandler, base),
            (f"{user}/api/kernelspecs/(?P<kernelspec>[^/]+)", KernelspecHandler, base),
            (f"{user}/kernelspecs/(?P<kernelspec>[^/]+)/(?P<file>[^/]+)", ResourceHandler, base),
            (f"{user}/api/kernels", KernelsHandler, base),
            (kernel, KernelHandler, base),
            (f"{kernel}/interrupt", InterruptHandler, base),
            (f"{kernel}/restart", RestartHandler, base),
            (f"{kernel}/channels", ChannelsHandler, base),
            (f"{user}/api/sessions(?:/.*)?", ClosedHandler, base),
            (f"{self.prefix}admin/api/kernels", AllKernelsHandler, base),
            (f"{self.prefix}health", HealthHandler, {"checks": self.checks()}),
            (f"{self.prefix}metrics", MetricsHandler),
        ]

    def settings(self) -> dict[str, Any]:
        return {"version": self.version}

    def checks(self) -> list[Check]:
        async def cluster() -> str:
            state = await self.edge.cluster()
            return "stale" if state.stale else "fresh"

        return [
            Check("database", self.database.ping),
            Check("enterprise-gateway", self.upstream.ping, hard=False),
            Check("edge", cluster, hard=False),
        ]

    async def started(self) -> None:
        try:
            await self.database.check_schema()
        except RuntimeError as error:
            raise SystemExit(f"HubGateway: {error}") from error

        async def servers() -> set[tuple[str, str]] | None:
            return await notebook_servers(self.hub_auth.api_url, self.hub_auth.api_token)

        caretaker = Caretaker(
            self.registry,
            self.lifecycle,
            self.edge,
            servers,
            interval=self.caretaker_interval,
            grace=self.dead_server_grace,
            start_timeout=self.launch_timeout + ANSWER_MARGIN,
        )
        self._caretaker = asyncio.create_task(caretaker.run())

    async def stopping(self) -> None:
        tasks = [task for task in (self._caretaker, *self.sockets.tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.database.close()
