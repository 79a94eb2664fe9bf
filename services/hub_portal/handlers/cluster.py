"""The cluster page, its live part, and the list of all nodes."""

from typing import Any

from ..models import Catalogue, Server
from ..views.cluster import cluster_view
from ..views.kernels import launcher_names
from ..views.running import kernel_rows
from ..views.server import server_view
from .base import Part, PortalHandler, gathered


class ClusterPage(PortalHandler):
    """The landing page."""

    async def get(self) -> None:
        server, values = await gathered(self.services.hub.server(self.token), self.values())
        catalogue: Part[Catalogue] = values.pop("catalogue")
        found = catalogue.value
        self.show(
            "portal/cluster.html",
            **values,
            server=self.server_view(server),
            launcher=launcher_names(found.definitions, found.default) if found else (),
            catalogue_error=catalogue.error,
            flash=self.take_flash(),
        )

    def server_view(self, server: Server) -> Any:
        return server_view(server, self.who.name, self.services.base_url, self.services.hub_prefix)

    async def values(self) -> dict[str, Any]:
        """Ask for everything that the live part shows; each part may fail on its own."""
        services, name = self.services, self.who.name
        cluster, own, kernels, catalogue = await gathered(
            self.part(services.edge.cluster()),
            self.part(self.own_applications()),
            self.part(services.gateway.kernels(name, self.token)),
            self.part(services.gateway.catalogue(name, self.token)),
        )
        applications = own.value.applications if own.value else None
        titles = catalogue.value.titles if catalogue.value else {}
        return {
            "view": cluster_view(cluster.value, applications or (), self.now()) if cluster.value else None,
            "cluster_error": cluster.error,
            "rows": kernel_rows(kernels.value or (), applications, titles, self.now()),
            "kernels_error": kernels.error,
            "catalogue": catalogue,
        }


class ClusterLive(ClusterPage):
    """What changes on the cluster page."""

    async def get(self) -> None:
        values = await self.values()
        self.show("portal/cluster_live.html", **values, live=True)


class NodesPage(PortalHandler):
    """Every node of the cluster."""

    async def get(self) -> None:
        cluster = await self.part(self.services.edge.cluster())
        view = cluster_view(cluster.value, (), self.now(), all_nodes=True) if cluster.value else None
        self.show("portal/nodes.html", view=view, cluster_error=cluster.error)
