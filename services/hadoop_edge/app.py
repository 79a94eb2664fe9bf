"""The edge service as a process."""

import re
from typing import Any

from traitlets import CaselessStrEnum, Float, Int, List, TraitError, Unicode, default, validate

from hub_ext.web.health import Check
from hub_ext.web.service import Service

from .handlers import ApplicationsHandler, ClusterHandler, KernelApplicationsHandler
from .poller import Poller
from .resource_manager import ResourceManager
from .starts import StartsHandler


class HadoopEdge(Service):
    """API server on the edge node of the Hadoop cluster: cluster state, applications.

    The token that callers carry is read from ``HUB_EXT_EDGE_TOKEN``, or the file ``HUB_EXT_EDGE_TOKEN_FILE``.
    """

    name = "hadoop-edge"
    description = "Tells the notebook platform about the Hadoop cluster, and ends applications for it."

    resource_manager_urls = List(
        Unicode(),
        default_value=["http://127.0.0.1:8088"],
        help="Web address of the ResourceManager (yarn.resourcemanager.webapp.address), with http:// or "
        "https://. List both of a highly available pair: the active one is found, again after a failover. "
        "Redirects are never followed.",
    ).tag(config=True)
    poll_interval = Float(
        5.0,
        help="Seconds between two polls of totals, queues and unfinished applications. One poller serves "
        "everyone. After a poll that took long the next one waits four times as long as it took.",
    ).tag(config=True)
    nodes_interval = Float(15.0, help="Seconds between two polls of the list of nodes.").tag(config=True)
    request_timeout = Float(10.0, help="Seconds the ResourceManager has for one answer.").tag(config=True)
    stale_after = Float(
        20.0,
        help="Seconds after which numbers are marked as old although no poll failed (one is hanging). "
        "After a failed poll they are marked at once.",
    ).tag(config=True)
    user = Unicode(
        "hub",
        help="Name with which the ResourceManager is asked (user.name, under simple authentication). With "
        "yarn.acl.enable it has to stand in yarn.admin.acl: otherwise sizes and start times of people's "
        "applications are withheld, and applications can be ended only as their owners.",
    ).tag(config=True)
    maximum_answer_bytes = Int(
        64 * 1024 * 1024,
        help="Largest answer of the ResourceManager that is read. 5,000 applications take about 8 MB.",
    ).tag(config=True)
    minimum_allocation_mb = Int(
        0,
        help="Step in MiB to which the scheduler rounds a container. 0 asks the ResourceManager "
        "(yarn.scheduler.minimum-allocation-mb), and takes 1024 where it does not tell.",
    ).tag(config=True)
    resource_calculator = CaselessStrEnum(
        ["auto", "memory", "dominant"],
        "auto",
        help="What the CapacityScheduler counts (yarn.scheduler.capacity.resource-calculator). 'memory' is "
        "DefaultResourceCalculator, YARN's default: every container has 1 vcore, whatever was asked for. 'dominant' is "
        "DominantResourceCalculator. 'auto' asks the ResourceManager; where it does not tell its settings, what "
        "queues may give to application masters shows it.",
    ).tag(config=True)
    ca_certs = Unicode(
        help="File with the certificate authority of https ResourceManagers. Default: the system's."
    ).tag(config=True)

    poller: Poller

    @default("port")
    def _default_port(self) -> int:
        return 8899

    @validate("resource_manager_urls")
    def _check_urls(self, proposal: Any) -> list[str]:
        urls = [str(url).strip() for url in proposal.value]
        if not urls:
            raise TraitError(
                "resource_manager_urls needs at least one address, for example http://rm1.example.org:8088"
            )
        for url in urls:
            if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", url):
                raise TraitError(
                    "resource_manager_urls takes addresses like http://rm1.example.org:8088, "
                    "without user, password or query"
                )
        return urls

    def make_poller(self) -> Poller:
        """Make the poller out of the settings."""
        manager = ResourceManager(
            self.resource_manager_urls,
            user=self.user,
            timeout=self.request_timeout,
            maximum_bytes=self.maximum_answer_bytes,
            ca_certs=self.ca_certs,
        )
        return Poller(
            manager,
            poll_interval=self.poll_interval,
            nodes_interval=self.nodes_interval,
            stale_after=self.stale_after,
            minimum_allocation_mb=self.minimum_allocation_mb,
            resource_calculator=self.resource_calculator,
        )

    def handlers(self) -> list[Any]:
        checks = [
            Check("poller", self.poller.probe),
            Check("resource-manager", self.poller.probe_resource_manager, hard=False),
        ]
        shared = {
            "poller": self.poller,
            "token": self.secret("HUB_EXT_EDGE_TOKEN"),
            "wait": self.request_timeout / 2,
        }
        return [
            (r"/api/cluster", ClusterHandler, shared),
            (r"/api/applications", ApplicationsHandler, shared),
            (r"/api/kernels/([^/]+)/applications", KernelApplicationsHandler, shared),
            (r"/api/starts", StartsHandler, shared),
            *self.watching(checks),
        ]

    async def started(self) -> None:
        self.secret("HUB_EXT_EDGE_TOKEN")
        self.poller = self.make_poller()
        self.poller.start()

    async def stopping(self) -> None:
        await self.poller.stop()


main = HadoopEdge.launch_instance
