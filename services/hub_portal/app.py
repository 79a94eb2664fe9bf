"""The portal as a process."""

import os
import secrets
from typing import Any

from tornado.web import StaticFileHandler
from traitlets import Float, Int, List, Unicode, default

from hub_ext.edge import EdgeClient
from hub_ext.secrets import read_secret
from hub_ext.web.health import Check
from hub_ext.web.service import Service

from .gateway import GatewayClient
from .handlers.base import CallbackHandler, NoSuchPageHandler, Services, make_auth, token_scopes
from .handlers.cluster import ClusterLive, ClusterPage, NodesPage
from .handlers.kernels import KernelPage, KernelsPage, LogoHandler
from .handlers.limits import AskPage, LargestWords, MyLimitsLive, MyLimitsPage, WithdrawPage
from .handlers.limits_admin import DefaultPage, GroupsPage, UsersPage
from .handlers.limits_batch import BatchPage, ChosenNames
from .handlers.limits_edit import PreviewPart, SubjectPage
from .handlers.limits_history import HistoryPage, UndoPage
from .handlers.limits_requests import DecidePage, RequestsPage
from .handlers.limits_yaml import MAXIMUM_BYTES, ExportPage, ImportPage
from .handlers.running import MyKernelsLive, MyKernelsPage, StopPage, WarmStartPage
from .hub import HubClient
from .limits_client import LimitsClient
from .rendering import STATIC, make_environment

HTMX = "vendor/htmx.min.js"

#: Address below the portal's own, and what answers there.
PAGES: list[tuple[str, Any]] = [
    ("", ClusterPage),
    ("live/cluster", ClusterLive),
    ("nodes", NodesPage),
    ("kernels", KernelsPage),
    ("kernels/([^/]+)", KernelPage),
    ("logo/([^/]+)/([^/]+)", LogoHandler),
    ("my-kernels", MyKernelsPage),
    ("live/my-kernels", MyKernelsLive),
    ("my-kernels/warm-start", WarmStartPage),
    ("my-kernels/([^/]+)/stop", StopPage),
    ("my-limits", MyLimitsPage),
    ("live/my-limits", MyLimitsLive),
    ("my-limits/largest", LargestWords),
    ("my-limits/ask/([a-z_]+)", AskPage),
    ("my-limits/requests/([0-9]{1,15})/withdraw", WithdrawPage),
    ("admin/limits", UsersPage),
    ("admin/limits/groups", GroupsPage),
    ("admin/limits/default", DefaultPage),
    ("admin/limits/default/edit", SubjectPage),
    ("admin/limits/default/preview", PreviewPart),
    ("admin/limits/(user|group)/([^/]+)", SubjectPage),
    ("admin/limits/(user|group)/([^/]+)/preview", PreviewPart),
    ("admin/limits/batch", BatchPage),
    ("admin/limits/names", ChosenNames),
    ("admin/limits/history", HistoryPage),
    ("admin/limits/history/([A-Za-z0-9_-]{1,32})/undo", UndoPage),
    ("admin/limits/requests", RequestsPage),
    ("admin/limits/requests/([0-9]{1,15})/(grant|decline)", DecidePage),
    ("admin/limits/export", ExportPage),
    ("admin/limits/import", ImportPage),
    ("oauth_callback", CallbackHandler),
]


class HubPortal(Service):
    """Pages about the cluster and its kernels, as a service that the Hub manages.

    The token for the edge service is read from ``HUB_EXT_EDGE_TOKEN``, or the file ``HUB_EXT_EDGE_TOKEN_FILE``.
    Everything else is asked for with the token of the person who looks.
    """

    name = "hub-portal"
    description = "Pages about the cluster and its kernels, in the Hub's own look."

    gateway_url = Unicode(
        "http://127.0.0.1:8000/services/gateway",
        help="Where this service reaches the kernel gateway: its own address or the Hub proxy's, up to and with "
        "/services/gateway.",
    ).tag(config=True)
    edge_url = Unicode("http://127.0.0.1:8899", help="Where this service reaches the edge service.").tag(config=True)
    ca_certs = Unicode(
        help="File with the certificate authority of gateway and edge service. Default: the system's."
    ).tag(config=True)
    user_domain = Unicode(
        help="Ending after @ that Hub names lose on the cluster; the same value as RemoteKernelMixin.user_domain."
    ).tag(config=True)
    request_timeout = Float(5.0, help="Seconds that gateway, edge service and Hub have for one answer.").tag(
        config=True
    )
    login_cache = Int(
        60, help="Seconds for which the Hub's answer about a token is kept: so long a lost right still works."
    ).tag(config=True)
    template_paths = List(
        Unicode(),
        help="The site's own template folders, as in JupyterHub.template_paths, so that these pages look the same.",
    ).tag(config=True)

    @default("maximum_body_bytes")
    def _default_maximum_body_bytes(self) -> int:
        # A file of limits, written as a form.
        return 2 * MAXIMUM_BYTES

    def environment_path(self, name: str, fallback: str) -> str:
        """Return a path prefix that the Hub told, with a slash at its end."""
        return os.environ.get(name, fallback).rstrip("/") + "/"

    def make_services(self) -> Services:
        """Make what the handlers work with."""
        base_url = self.environment_path("JUPYTERHUB_BASE_URL", "/")
        api_url = os.environ.get("JUPYTERHUB_API_URL", "http://127.0.0.1:8081/hub/api")
        token = self.secret("HUB_EXT_EDGE_TOKEN")
        gateway = GatewayClient(self.gateway_url, timeout=self.request_timeout, ca_certs=self.ca_certs)
        return Services(
            environment=make_environment(self.template_paths),
            gateway=gateway,
            limits=LimitsClient(gateway),
            edge=EdgeClient(self.edge_url, token, timeout=self.request_timeout, ca_certs=self.ca_certs),
            hub=HubClient(api_url, timeout=self.request_timeout),
            base_url=base_url,
            hub_prefix=f"{base_url}hub/",
            prefix=self.prefix,
            user_domain=self.user_domain,
            live_scripts=(STATIC / HTMX).exists(),
        )

    def handlers(self) -> list[Any]:
        services = self.make_services()
        if not services.live_scripts:
            self.log.warning("Pages do not update by themselves: %s is missing (npm run build).", STATIC / HTMX)
        checks = [
            Check("pages", services.pages),
            Check("hub", services.hub.probe, hard=False),
            Check("gateway", services.gateway.probe, hard=False),
            Check("edge", services.edge.probe, hard=False),
        ]
        prefix = self.prefix
        return [
            *((f"{prefix}{path}", handler, {"services": services}) for path, handler in PAGES),
            *self.watching(checks, token_scopes),
            (f"{prefix}static/(.*)", StaticFileHandler, {"path": str(STATIC)}),
            (r"/.*", NoSuchPageHandler, {"services": services}),
        ]

    def settings(self) -> dict[str, Any]:
        try:
            cookie_secret = read_secret("HUB_EXT_PORTAL_COOKIE_SECRET")
        except ValueError as error:
            raise SystemExit(str(error)) from error
        return {
            # A new one at each start only means a silent walk through the Hub's login.
            "cookie_secret": cookie_secret or secrets.token_hex(32),
            "static_path": str(STATIC),
            "static_url_prefix": f"{self.prefix}static/",
        }

    async def started(self) -> None:
        make_auth(self.login_cache)


main = HubPortal.launch_instance
