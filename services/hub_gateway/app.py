"""The gateway as a service: settings, URL table, start and stop."""

import asyncio
from typing import Any

from jupyterhub.services.auth import HubAuth

import hub_ext
from hub_ext.database.owner import claim
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError
from hub_ext.limits.admission import Admission
from hub_ext.limits.people import People
from hub_ext.limits.refused_starts import RefusedStarts
from hub_ext.limits.requests import RequestStore
from hub_ext.limits.store import Configured, LimitStore

from .caretaker import Caretaker, Chore, every
from .checks import check_database, health_checks, opened
from .chores import Pace, chores
from .cluster_view import ClusterView
from .configured import configured
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
from .settings import NEVER, GatewaySettings
from .sockets import Sockets
from .upstream import EnterpriseGateway
from .warm import WarmStarts
from .warm_rows import WarmRows

#: Seconds for which a gateway that is stopped waits for what it has begun.
STOP_SECONDS = 5.0
#: Seconds between two removals of what is old.
FORGET_SECONDS = 3600.0


class HubGateway(GatewaySettings):
    """The kernel API of everyone's notebook server, in front of Enterprise Gateway.

    Secrets: ``HUB_EXT_ENTERPRISE_GATEWAY_TOKEN`` and ``HUB_EXT_EDGE_TOKEN``, each also as ``…_FILE``.
    """

    name = "hub-gateway"
    version = hub_ext.__version__

    _tasks: tuple[asyncio.Task[None], ...] = ()

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
        rows = WarmRows(self.database)
        offered = rows if self.warm_start != NEVER else None
        self.books = Books(self.registry, self.admission, self.leases, self.people, self.notes, self.limits, offered)
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
        self.warm = WarmStarts(rows, self.registry, self.lifecycle, self.warm_start, self.warm_start_seconds)
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
            warm=self.warm,
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
            Chore("end unused", self.warm.end_unused, every(pace.interval)),
            Chore("end grants", self.store.end_grants, every(pace.interval)),
            Chore("forget refusals", self.refusals.forget, every(FORGET_SECONDS)),
            Chore("people", self.notes.sync, self.notes.pause),
        ]

    def run(self) -> None:
        run(self.serve())

    async def stopping(self) -> None:
        await self.lifecycle.close(STOP_SECONDS)
        await self.warm.close()
        tasks = (*self._tasks, *self.sockets.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.database.close()
