"""Notebook servers whose kernels run in YARN: what a spawner has to add to any other spawner."""

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable
from collections.abc import Callable as Function
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import Bool, Callable, Dict, Float, Int, Unicode, Union
from traitlets import default as default_of
from traitlets.config import Configurable

from .errors import PublicError
from .hub_limits import LimitsAwayError, stored_limits
from .limits import ResolvedLimit
from .limits.model import AllLimits, Configured
from .limits.resolve import as_json, number
from .names import cluster_user
from .spawn_refusals import limits_unreadable, no_gateway, server_not_allowed, spawn_refusal
from .warm_start import announce

try:
    from kubespawner import KubeSpawner
except ImportError:  # the extra [kubernetes] is not installed
    KubeSpawner = None

GATEWAY_SCOPE = "access:services!service={service}"
MEBIBYTE = 1024 * 1024


class RemoteKernelMixin(Configurable):
    """Gives a notebook server its gateway, and keeps it within its owner's limits.

    Mix it in before any spawner class. Values are resolved at each spawn, after the user's options and profile, so
    neither can lift a ceiling. Who may not start is told why before anything is started.
    """

    gateway_url = Union(
        [Callable(), Unicode()],
        help="""
        Address of the gateway service as a notebook server reaches it, without the user's part,
        for example ``http://proxy-public/services/gateway`` or ``https://hub.example.org/services/gateway``.

        May be a callable, also an async one, that takes the spawner and returns that address: different groups
        can go to different clusters. `configure` sets it to the gateway that the Hub runs.
        """,
    ).tag(config=True)

    gateway_service = Unicode(
        "gateway",
        help="Name of the gateway among the Hub's services; the server's token may call only that one.",
    ).tag(config=True)

    gateway_timeout = Float(
        600.0,
        help="""
        Seconds that the notebook server waits for an answer of the gateway. Starts are answered at once and wait for
        room in the cluster without a request that could time out; a restart is answered when the kernel is there
        again, so this should be longer than ``HubGateway.launch_timeout``.
        """,
    ).tag(config=True)

    user_domain = Unicode(
        "",
        help="""
        For people who log in with e-mail addresses: the domain that all of them share. ``alice@example.org`` is
        then ``alice`` on the cluster, and a name of any other domain is refused. Empty: Hub name and cluster name
        are the
        same, and a name that the cluster can't take is refused. The gateway needs the same value; `configure` sets
        both.
        """,
    ).tag(config=True)

    database_url = Unicode(
        "",
        help="""
        The services' database, in which the administration pages keep limits; `configure` sets it. Empty, or while it
        does not answer: the limits of this configuration alone count for the notebook server.
        """,
    ).tag(config=True)

    default_limits = Dict(
        help="""
        Limits of everyone who has none of their own: field to number, ``"unlimited"`` or (for ``queues``) a list of
        names. The fields are listed in the reference of limits. Memory is in MiB, times in seconds.

        This and the two after it are the ground: a value that the administration pages have for the same person, group
        or default wins over it, field by field. Set all three before `configure` is called.
        """,
    ).tag(config=True)

    group_limits = Dict(
        help="""
        Limits by Hub group: ``{"analytics": {"kernels": 4, "memory_mb": 65536}}``. A field that a group has on the
        administration pages counts instead.
        """,
    ).tag(config=True)

    user_limits = Dict(
        help="""
        Limits by user name; they win over those of groups. A field that the user has on the administration pages
        counts instead.
        """,
    ).tag(config=True)

    most_restrictive_group = Bool(
        False,
        help="Of several groups of a person count the one that allows least, not the one that allows most.",
    ).tag(config=True)

    server_extension = Bool(
        False,
        help="""
        Switch on `hub_ext.singleuser` in the notebook server, which needs this package in the notebook server's image.
        Without it Jupyter Server writes the server's own Hub token into the server's log when a kernel starts, and
        wraps a refused start into words about the gateway's address.
        """,
    ).tag(config=True)

    warm_start = Bool(
        False,
        help="""
        Tell the gateway when a notebook server starts, so that the kernel that its owner used last can start beside it
        (see ``HubGateway.warm_start``, which decides for whom). `configure` sets both.
        """,
    ).tag(config=True)

    database_timeout = Float(
        3.0,
        help="Seconds for which the start of a notebook server waits for the limits in the database at most.",
    ).tag(config=True)

    resolve_timeout = Int(10, help="Seconds for an async `gateway_url` before the start is refused.").tag(config=True)

    if TYPE_CHECKING:  # what the spawner class after this mixin has
        user: Any
        log: logging.Logger
        api_token: str
        mem_limit: Any
        mem_guarantee: Any
        cpu_limit: Any
        cpu_guarantee: Any

    _gateway: str = ""
    _limits: dict[str, ResolvedLimit] | None = None
    _announcing: "asyncio.Future[None] | None" = None

    @default_of("server_token_scopes")
    def _default_server_token_scopes(self) -> list[str]:
        return [
            "users:activity!user",
            "access:servers!server",
            "read:users:groups!user",
            GATEWAY_SCOPE.format(service=self.gateway_service),
        ]

    async def prepare_remote_kernels(self) -> None:
        """Resolve gateway and limits and apply the ceilings.

        Raises
        ------
        tornado.web.HTTPError
            The refusal, in the form that the Hub shows on its spawn page and in its API.
        """
        try:
            cluster_user(self.user.name, self.user_domain)
            self._gateway = await self._resolve_gateway()
            self._limits = await self._resolve_limits()
            refusal = server_not_allowed(self._limits)
            if refusal is not None:
                raise refusal
        except PublicError as error:
            raise spawn_refusal(error) from error
        self._apply_ceilings(self._limits)
        if self.warm_start:
            # Nobody waits for it. Kept, or it could be collected before it has ended.
            self._announcing = asyncio.ensure_future(announce(self._gateway, self.api_token))

    async def _resolve_gateway(self) -> str:
        address = self.gateway_url
        if callable(address):
            address = address(self)
        if inspect.isawaitable(address):
            address = await _within(address, self.resolve_timeout)
        if not isinstance(address, str) or not address.startswith(("http://", "https://")):
            self.log.error("RemoteKernelMixin.gateway_url gave %r, not an http(s) address", address)
            raise no_gateway("its address is not configured correctly")
        return f"{address.rstrip('/')}/user/{quote(self.user.name, safe='')}"

    async def _resolve_limits(self) -> dict[str, ResolvedLimit]:
        configured = Configured(self.default_limits, self.group_limits, self.user_limits, self.most_restrictive_group)
        groups = [group.name for group in self.user.groups]
        try:
            configured.check()
        except (AttributeError, ValueError) as error:
            self.log.error("A limit can't be read: %s", error)
            raise limits_unreadable(error) from error
        if self.database_url:
            try:
                return await stored_limits(self.database_url, self.user.name, groups, configured, self.database_timeout)
            except LimitsAwayError as error:
                self.log.warning(
                    "The notebook server of %s starts with the limits of the Hub's configuration alone: %s",
                    self.user.name,
                    error,
                )
        return AllLimits(configured).resolved(self.user.name, groups)

    def _apply_ceilings(self, limits: dict[str, ResolvedLimit]) -> None:
        memory = number(limits["server_memory_mb"])
        if memory is not None:
            self.mem_limit = _lowest(self.mem_limit, memory * MEBIBYTE)
            self.mem_guarantee = _within_limit(self.mem_guarantee, self.mem_limit)
        cores = number(limits["server_cores"])
        if cores is not None:
            self.cpu_limit = _lowest(self.cpu_limit, cores)
            self.cpu_guarantee = _within_limit(self.cpu_guarantee, self.cpu_limit)

    def get_args(self) -> list[str]:
        """Add what switches our server extension on."""
        args: list[str] = super().get_args()  # type: ignore[misc]  # the spawner class after this mixin has it
        if self.server_extension:
            args.append('--ServerApp.jpserver_extensions={"hub_ext.singleuser": True}')
        return args

    def get_env(self) -> dict[str, Any]:
        """Add the gateway to the server's environment; a site's own `environment` can't replace it."""
        env: dict[str, Any] = super().get_env()  # type: ignore[misc]  # the spawner class after this mixin has it
        if self._gateway:
            env.update(gateway_environment(self._gateway, self.api_token, self.gateway_timeout))
        if self._limits is not None:
            env["HUB_EXT_LIMITS"] = json.dumps(as_json(self._limits), sort_keys=True)
        return env


class RemoteKernelLocalSpawner(RemoteKernelMixin, SimpleLocalProcessSpawner):
    """Notebook servers as processes of this machine, for the embedded platform; people need no system account."""

    @default_of("server_extension")
    def _default_server_extension(self) -> bool:
        return True  # it runs in the Python in which this package is installed

    async def start(self) -> Any:
        await self.prepare_remote_kernels()
        return await super().start()


if KubeSpawner is not None:

    class RemoteKernelKubeSpawner(RemoteKernelMixin, KubeSpawner):
        """Notebook servers as pods. A profile is applied first, then the ceilings."""

        async def load_user_options(self) -> None:
            await super().load_user_options()
            await self.prepare_remote_kernels()


def gateway_environment(gateway: str, token: str, timeout: float) -> dict[str, str]:
    """Return the settings of jupyter_server's gateway client.

    The websocket address is given although it could be derived: the client lower-cases the one it derives, which
    breaks every
    user name with a capital letter.
    """
    return {
        "JUPYTER_GATEWAY_URL": gateway,
        "JUPYTER_GATEWAY_WS_URL": "ws" + gateway.removeprefix("http"),
        "JUPYTER_GATEWAY_AUTH_TOKEN": token,
        "JUPYTER_GATEWAY_CONNECT_TIMEOUT": f"{timeout:g}",
        "JUPYTER_GATEWAY_REQUEST_TIMEOUT": f"{timeout:g}",
        # A notebook server gives up after five attempts, half a minute, and does not tell the browser. A gateway that
        # is away for longer, because its node is changed for example, is found again for an hour.
        "JUPYTER_GATEWAY_RETRY_INTERVAL_MAX": "5",
        "JUPYTER_GATEWAY_RETRY_MAX": "720",
    }


async def _within(address: Awaitable[Any], seconds: float) -> Any:
    try:
        return await asyncio.wait_for(asyncio.ensure_future(address), seconds)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise no_gateway(f"its address was not found within {seconds:g} seconds") from error


def _lowest(given: float | None, ceiling: float) -> float:
    return ceiling if not given else min(given, ceiling)


def _within_limit(guarantee: float | None, limit: float) -> float | None:
    return min(guarantee, limit) if guarantee else guarantee


#: What `hub_ext.spawner` offers to callables of `gateway_url`.
GatewayUrl = Function[["RemoteKernelMixin"], str | Awaitable[str]]
