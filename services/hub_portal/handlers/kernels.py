"""The catalogue of kernels, a kernel's details, and the kernels' pictures."""

import re
from pathlib import PurePosixPath

from hub_ext.cluster import ClusterState
from hub_ext.errors import PublicError
from hub_ext.names import is_kernelspec_name
from hub_ext.sizes import Rules

from ..models import Catalogue
from ..views.kernels import cards, details
from ..views.server import server_view
from .base import Part, PortalHandler, gathered

PICTURES = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
MAXIMUM_QUERY = 100


def rules_of(cluster: Part[ClusterState]) -> Rules | None:
    """Return how the cluster makes containers; None when it does not tell."""
    return cluster.value.rules() if cluster.value else None


class KernelsPage(PortalHandler):
    """The kernels that this person may see."""

    async def get(self) -> None:
        query = self.get_query_argument("q", "")[:MAXIMUM_QUERY]
        services = self.services
        catalogue, cluster = await gathered(
            self.part(services.gateway.catalogue(self.who.name, self.token)), self.part(services.edge.cluster())
        )
        found: Catalogue | None = catalogue.value
        self.show(
            "portal/kernels.html",
            cards=cards(found.definitions, found.default, rules_of(cluster), query) if found else (),
            catalogue_error=catalogue.error,
            query=query,
        )


class KernelPage(PortalHandler):
    """One kernel."""

    async def get(self, name: str) -> None:
        if not is_kernelspec_name(name):
            raise PublicError("no-such-kernelspec", "There is no kernel of that name.")
        services = self.services
        catalogue, cluster, server = await gathered(
            services.gateway.catalogue(self.who.name, self.token),
            self.part(services.edge.cluster()),
            services.hub.server(self.token),
        )
        largest = cluster.value.maximum_allocation_mb if cluster.value else 0
        self.show(
            "portal/kernel.html",
            details=details(catalogue.find(name), catalogue.default == name, rules_of(cluster), largest),
            server=server_view(server, self.who.name, services.base_url, services.hub_prefix),
        )


class LogoHandler(PortalHandler):
    """A kernel's picture. A browser has no token for the gateway, so it comes through here."""

    async def get(self, name: str, file: str) -> None:
        kind = PICTURES.get(PurePosixPath(file).suffix.lower())
        if kind is None or not is_kernelspec_name(name) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", file):
            raise PublicError("no-such-page", "There is no such picture.")
        picture = await self.services.gateway.logo(self.who.name, self.token, name, file)
        self.set_header("Content-Type", kind)
        # A picture may be a document with scripts in it: opened by itself it gets no rights.
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
        self.set_header("Cache-Control", "private, max-age=3600")
        self.finish(picture)
