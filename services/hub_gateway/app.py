"""The gateway as a service: settings, URL table, start and stop."""

import asyncio
from typing import Any

from jupyterhub.services.auth import HubAuth
from traitlets import Dict, Float, Int, List, TraitError, Unicode, default, validate

import hub_ext
from hub_ext.configured_limits import VARIABLE
from hub_ext.database.owner import claim
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError
from hub_ext.limits.admission import Admission
from hub_ext.limits.people import People
from hub_ext.limits.refused_starts import RefusedStarts
from hub_ext.limits.requests import RequestStore
from hub_ext.limits.store import Configured, LimitStore
from hub_ext.sizes import MINIMUM_OVERHEAD_MB, OVERHEAD_FACTOR
from hub_ext.web.service import Service

from .caretaker import Caretaker, Chore, every
from .checks import check_database, health_checks, opened
from .chores import Pace, chores
from .cluster_view import ClusterView
from .configured import configured, from_environment
from .environment import reserved
from .handlers.base import Parts
from .handlers.limits import limits_handlers
from .handlers.table import kernel_handlers
from .hub import groups_of_users, notebook_servers, scopes_of
from .leases import Leases
from .lifecycle import Books, Lifecycle, Settings
from .limits_api.api import limits_api
from .limits_api.display_names import DisplayNames
from .limits_view import LimitsView
from .loop import run
from .people_notes import PeopleNotes
from .registry import Registry
from .sockets import Sockets
from .upstream import EnterpriseGateway

#: Seconds for which a gateway that is stopped waits for what it has begun.
STOP_SECONDS = 5.0
#: What Enterprise Gateway's process proxy waits at most.
LONGEST_START = 3600
#: Seconds between two removals of what is old.
FORGET_SECONDS = 3600.0


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
    cluster_name = Unicode(
        "default",
        help="""
        Name of the Hadoop cluster. Gateways of different clusters need databases of their own: one with another name
        than its database's first gateway does not start. Without a name, one whose edge service is elsewhere than the
        last gateway's says so in its log.
        """,
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
        help="""
        Seconds a kernel may take until its driver reports, waiting for room in the cluster included; at most 3600. The
        notebook says meanwhile where the start is, and no other timeout on the way is shorter.
        """,
    ).tag(config=True)
    submissions_at_once = Int(
        5,
        help="""
        Kernels that are being submitted to YARN at the same time at most. A submission takes most of a processor for
        seconds; the others wait in a line in which users take turns, and see how many are ahead of them.
        """,
    ).tag(config=True)
    allowed_env = List(
        Unicode(),
        help="""
        Names of variables that a client may pass to its kernel. Names that Enterprise Gateway, Spark, Hadoop, Java or
        Python read can't be allowed: a kernel's size, queue and user are the definition's and the gateway's own.
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
    caretaker_interval = Float(
        15.0,
        help="""
        Seconds between two rounds of the caretaker: the longest time for which a start that a gateway's death broke
        off counts against its owner's limits.
        """,
    ).tag(config=True)
    dead_server_grace = Float(
        120.0,
        help="Seconds for which a notebook server must be gone from the Hub before the kernels it started are stopped.",
    ).tag(config=True)

    configured_limits = Dict(
        help=f"""
        The limits that the Hub's configuration gives, under the values of the administration pages: ``default``,
        ``groups``, ``users`` and ``most_restrictive_group``. Default: the variable {VARIABLE}, which
        ``hub_ext.configure`` sets.
        """
    ).tag(config=True)
    cluster_state_max_age = Float(
        60.0,
        help="""
        Seconds after which what is known of the cluster is too old to start kernels by. The clocks of this machine and
        of the edge node have to agree to within a few seconds.
        """,
    ).tag(config=True)
    spark_overhead_factor = Float(
        OVERHEAD_FACTOR, help="Share of each heap that is counted and asked for beside it, where a kernel says nothing."
    ).tag(config=True)
    spark_minimum_overhead_mb = Int(
        MINIMUM_OVERHEAD_MB, help="The least memory beside each heap (MiB), where a kernel says nothing."
    ).tag(config=True)
    cull_notice = Float(
        600.0,
        help="""
        Seconds of notice before a kernel is stopped for being idle or for its age; half of the limit if that is
        shorter.
        """,
    ).tag(config=True)
    missing_grace = Float(
        45.0,
        help="Seconds for which a running kernel must be missing in Enterprise Gateway or in YARN before it is ended.",
    ).tag(config=True)
    people_interval = Float(300.0, help="Seconds between two looks at the Hub's list of users and their groups.").tag(
        config=True
    )

    _tasks: tuple[asyncio.Task[None], ...] = ()

    @default("database_url")
    def _default_database_url(self) -> str:
        return self.secret("HUB_EXT_DATABASE_URL")

    @default("configured_limits")
    def _default_configured_limits(self) -> dict[str, Any]:
        return from_environment()

    @validate("launch_timeout")
    def _check_launch_timeout(self, proposal: Any) -> int:
        if not 1 <= proposal["value"] <= LONGEST_START:
            raise TraitError(f"HubGateway.launch_timeout: from 1 to {LONGEST_START} seconds.")
        return int(proposal["value"])

    @validate("submissions_at_once")
    def _check_submissions_at_once(self, proposal: Any) -> int:
        if proposal["value"] < 1:
            raise TraitError("HubGateway.submissions_at_once: at least 1, or nothing would ever start.")
        return int(proposal["value"])

    @validate("allowed_env")
    def _check_allowed_env(self, proposal: Any) -> list[str]:
        names = list(proposal["value"])
        if reserved(names):
            raise TraitError(f"HubGateway.allowed_env: no client may set {', '.join(reserved(names))}.")
        return names

    def initialize(self, argv: Any = None) -> None:
        super().initialize(argv)
        self.hub_auth = HubAuth.instance(cache_max_age=self.token_cache_seconds)
        self.database = opened(self.database_url)
        self.registry = Registry(self.database)
        self.store = LimitStore(self.database)
        self.requests = RequestStore(self.database, self.store)
        self.people = People(self.database)
        self.admission = Admission(self.database, self.store, lease=self.lease)
        self.leases = Leases(self.admission.renew, self.lease / 3)
        self.upstream = EnterpriseGateway(self.enterprise_gateway_url, self.secret("HUB_EXT_ENTERPRISE_GATEWAY_TOKEN"))
        self.edge = EdgeClient(self.edge_url, self.secret("HUB_EXT_EDGE_TOKEN"), ca_certs=self.edge_ca_certs)
        self.cluster = ClusterView(self.edge.cluster, self.cluster_state_max_age)
        self.limits = LimitsView(self.store, self.people)
        self.refusals = RefusedStarts(self.database)
        self.notes = PeopleNotes(self.people, self.refusals, self._users, self.people_interval)
        self.books = Books(self.registry, self.admission, self.leases, self.people, self.notes, self.limits)
        self.lifecycle = Lifecycle(
            self.books,
            self.upstream,
            self.edge,
            self.cluster,
            Settings(
                self.user_domain,
                self.launch_timeout,
                frozenset(self.allowed_env),
                self.spark_overhead_factor,
                self.spark_minimum_overhead_mb,
                self.submissions_at_once,
            ),
        )
        self.sockets = Sockets()
        names = DisplayNames(self.upstream)
        self.limits_api = limits_api(
            self.database,
            self.store,
            self.requests,
            cluster=self.cluster.state,
            display_names=names.all,
            overhead=(self.spark_overhead_factor, self.spark_minimum_overhead_mb),
        )

    @property
    def lease(self) -> float:
        """Seconds for which a start counts as being worked on; see `lapses`."""
        return self.caretaker_interval / 3

    async def _users(self) -> dict[str, list[str]] | None:
        return await groups_of_users(self.hub_auth.api_url, self.hub_auth.api_token)

    async def _servers(self) -> set[tuple[str, str]] | None:
        return await notebook_servers(self.hub_auth.api_url, self.hub_auth.api_token)

    def handlers(self) -> list[Any]:
        parts = Parts(
            lifecycle=self.lifecycle,
            upstream=self.upstream,
            hub_auth=self.hub_auth,
            maximum_body_bytes=self.maximum_body_bytes,
            maximum_upload_bytes=self.maximum_upload_bytes,
            reauthorize_interval=self.reauthorize_interval,
            connect_timeout=self.connect_timeout,
            sockets=self.sockets,
            notes=self.notes,
        )
        checks = health_checks(self.database, lambda: self._tasks, self.hub_auth.api_url, self.upstream, self.edge)
        return [
            *kernel_handlers(self.prefix, parts),
            *limits_handlers(self.prefix, parts, self.limits_api),
            *self.watching(checks, scopes_of(self.hub_auth)),
        ]

    def settings(self) -> dict[str, Any]:
        return {"version": self.version}

    async def started(self) -> None:
        await check_database(self.database, self.database_url)
        try:
            warning = await claim(self.database, self.cluster_name, self.edge_url)
        except (RuntimeError, PublicError) as error:
            raise SystemExit(f"HubGateway: {error}") from error
        if warning:
            self.log.warning(warning)

        await self._keep_configured_limits()
        self._tasks = (
            asyncio.create_task(self.leases.run()),
            asyncio.create_task(self.lifecycle.rooms.run()),
            asyncio.create_task(Caretaker(self.chores()).run()),
        )

    async def _keep_configured_limits(self) -> None:
        """Tell the other services what the Hub's configuration gives."""
        try:
            await self.store.configure(Configured(**configured(self.configured_limits)))
        except ValueError as error:
            raise SystemExit(f"HubGateway.configured_limits: {error}") from error
        except PublicError as error:
            raise SystemExit(f"HubGateway: {error}") from error

    def chores(self) -> list[Chore]:
        """Return what is done again and again."""
        pace = Pace(
            interval=self.caretaker_interval,
            missing_grace=self.missing_grace,
            dead_server_grace=self.dead_server_grace,
            cull_notice=self.cull_notice,
        )
        return [
            *chores(self.books, self.lifecycle, self.upstream, self.edge, self._servers, self.user_domain, pace),
            Chore("end grants", self.store.end_grants, every(pace.interval)),
            Chore("forget refusals", self.refusals.forget, every(FORGET_SECONDS)),
            Chore("people", self.notes.sync, self.notes.pause),
        ]

    def run(self) -> None:
        run(self.serve())

    async def stopping(self) -> None:
        await self.lifecycle.close(STOP_SECONDS)
        tasks = (*self._tasks, *self.sockets.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.database.close()
