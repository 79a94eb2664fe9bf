"""The one call that a site adds to its jupyterhub_config.py."""

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import jupyterhub

from .configured_limits import VARIABLE, configured_limits
from .hub_config import ConfigurationError, admins, base_url, extend_list, extend_set, listed, update_dict
from .hub_services import add_portal, add_service, environment_of, require_secrets, service_commands, watch_services
from .limits_box import limits_box
from .web.identity import KERNELS_ADMIN_SCOPE, LIMITS_ADMIN_SCOPE

TEMPLATES = Path(__file__).parent / "templates"

#: What `HubGateway.warm_start` can be.
WARM_STARTS = ("never", "chosen", "always")
#: Spawners that have a counterpart here: a site that names one of these gets the counterpart, with its own settings
#: kept.
SPAWNERS = {
    "": "hub_ext.spawner.RemoteKernelLocalSpawner",
    "simple": "hub_ext.spawner.RemoteKernelLocalSpawner",
    "jupyterhub.spawner.SimpleLocalProcessSpawner": "hub_ext.spawner.RemoteKernelLocalSpawner",
    "kubespawner.KubeSpawner": "hub_ext.spawner.RemoteKernelKubeSpawner",
    "kubespawner.spawner.KubeSpawner": "hub_ext.spawner.RemoteKernelKubeSpawner",
    "kubernetes": "hub_ext.spawner.RemoteKernelKubeSpawner",
}


def configure(
    c: Any,
    *,
    enterprise_gateway_url: str,
    edge_url: str,
    database_url: str,
    gateway_address: str = "http://127.0.0.1:8701",
    portal_address: str = "http://127.0.0.1:8702",
    gateway_url: Any = None,
    user_domain: str = "",
    managed: bool = True,
    service_environment: dict[str, str] | None = None,
    service_config: str = "",
    landing_page: bool = True,
    warm_start: str = "never",
) -> None:
    """Wire services, roles, scopes, templates and the spawner into a Hub's configuration.

    Parameters
    ----------
    c : traitlets.config.Config
        The Hub's configuration, as ``get_config()`` gives it. What is in it already is kept and extended; call this
        last.
    enterprise_gateway_url : str
        Where Jupyter Enterprise Gateway answers.
    edge_url : str
        Where the edge service answers.
    database_url : str
        The services' database, for example ``sqlite:////srv/remote-kernels.sqlite`` or ``postgresql://…``.
    gateway_address, portal_address : str
        Where the two services listen, as the Hub's proxy reaches them.
    gateway_url : str or callable, optional
        The gateway as notebook servers reach it; see `RemoteKernelMixin.gateway_url`. By default the gateway's own
        address.
    user_domain : str
        See `RemoteKernelMixin.user_domain`.
    managed : bool
        Let the Hub run the two services. False when they run elsewhere, for example as Deployments: each then
        needs an ``api_token`` in ``c.JupyterHub.services`` under its name.
    service_environment : dict, optional
        Further environment of managed services: where their secrets are (``HUB_EXT_EDGE_TOKEN_FILE``,
        ``HUB_EXT_ENTERPRISE_GATEWAY_TOKEN_FILE``).
    service_config : str
        A configuration file with further settings of managed services (``c.HubGateway.…``, ``c.HubPortal.…``).
    landing_page : bool
        Bring people to the Cluster page after login, unless the site has set ``JupyterHub.default_url``.
    warm_start : str
        Whose last kernel starts together with their notebook server: ``never``, ``chosen`` or ``always``; see
        `HubGateway.warm_start`, which a gateway that is not managed needs as well.

    Raises
    ------
    ConfigurationError
        Something can't work; the message says what to change.
    """
    for name, url in {
        "enterprise_gateway_url": enterprise_gateway_url,
        "edge_url": edge_url,
        "gateway_address": gateway_address,
        "portal_address": portal_address,
    }.items():
        _require_http(name, url)
    _refuse_internal_ssl(c)
    if warm_start not in WARM_STARTS:
        raise ConfigurationError(f"configure(warm_start={warm_start!r}): this is one of {', '.join(WARM_STARTS)}.")
    base = base_url(c)
    own_url = f"{gateway_address.rstrip('/')}{base}services/gateway"
    _configure_spawner(c, gateway_url or own_url, user_domain, database_url)
    c.RemoteKernelMixin.warm_start = warm_start != "never"
    _add_roles(c)
    given = dict(service_environment or {})
    if managed:
        require_secrets(given)
        watch_services()
    commands = service_commands(
        enterprise_gateway_url=enterprise_gateway_url,
        edge_url=edge_url,
        user_domain=user_domain,
        gateway_url=own_url,
        service_config=service_config,
        template_paths=listed(c.JupyterHub, "template_paths"),
        warm_start=warm_start,
    )
    limits = configured_limits(c)
    told = {"HUB_EXT_DATABASE_URL": database_url, VARIABLE: limits}
    environment = environment_of(given, "gateway", told)
    add_service(c, "gateway", gateway_address, commands["gateway"] if managed else None, environment, display=False)
    add_portal(c, portal_address, commands["portal"] if managed else None, environment_of(given, "portal"))
    # Set, not extended: the Hub looks in its own folder last only when the list names other folders itself.
    c.JupyterHub.template_paths = [*listed(c.JupyterHub, "template_paths"), str(TEMPLATES)]
    variables = {
        "remote_kernels_portal_url": f"{base}services/portal/",
        "remote_kernels_limits": limits_box(database_url, limits),
    }
    update_dict(c.JupyterHub, "template_vars", variables)
    if landing_page and "default_url" not in c.JupyterHub:
        c.JupyterHub.default_url = f"{base}services/portal/"


def _refuse_internal_ssl(c: Any) -> None:
    if "internal_ssl" in c.JupyterHub and c.JupyterHub.internal_ssl:
        raise ConfigurationError(
            "c.JupyterHub.internal_ssl is on, which the gateway and the portal do not speak: switch it off, and keep "
            "the Hub, its proxy and these services on one host or in a network of their own."
        )


def _configure_spawner(c: Any, gateway_url: Any, user_domain: str, database_url: str) -> None:
    chosen = c.JupyterHub.spawner_class if "spawner_class" in c.JupyterHub else ""
    if isinstance(chosen, type):
        _require_mixin(chosen)
    elif chosen in SPAWNERS:
        c.JupyterHub.spawner_class = SPAWNERS[chosen]
    elif "hub_ext" not in str(chosen) and not str(chosen).startswith("remote-kernel-"):
        raise ConfigurationError(
            f"c.JupyterHub.spawner_class is {chosen!r}, which hub_ext does not know. Write a class that has "
            "hub_ext.spawner.RemoteKernelMixin before that spawner and awaits prepare_remote_kernels() before it "
            "starts, and set the class itself."
        )
    c.RemoteKernelMixin.gateway_url = gateway_url
    c.RemoteKernelMixin.user_domain = user_domain
    c.RemoteKernelMixin.database_url = database_url


def _require_mixin(chosen: type) -> None:
    from .spawner import RemoteKernelMixin

    if not issubclass(chosen, RemoteKernelMixin):
        raise ConfigurationError(
            f"c.JupyterHub.spawner_class is {chosen.__name__}, which lacks hub_ext.spawner.RemoteKernelMixin: "
            "kernels would start inside the notebook server. Put the mixin before its base class."
        )


def _add_roles(c: Any) -> None:
    """Give everyone access to the two services and administrators theirs; extend what is there."""
    everyone = ["access:services!service=gateway", "access:services!service=portal"]
    roles = listed(c.JupyterHub, "load_roles")
    own = next((role for role in roles if role.get("name") == "user"), None)
    if own is not None:
        own["scopes"] = [
            *own.get("scopes", ["self"]),
            *(s for s in everyone if s not in own.get("scopes", [])),
        ]
    elif jupyterhub.version_info[0] >= 6:
        extend_set(c.JupyterHub, "extra_user_scopes", everyone)
    else:
        extend_list(c.JupyterHub, "load_roles", [{"name": "user", "scopes": ["self", *everyone]}])
    update_dict(
        c.JupyterHub,
        "custom_scopes",
        {
            KERNELS_ADMIN_SCOPE: {"description": "See and stop everyone's kernels on the Hadoop cluster"},
            LIMITS_ADMIN_SCOPE: {"description": "See and change everyone's limits for kernels on the Hadoop cluster"},
        },
    )
    added: list[dict[str, Any]] = [
        {
            "name": "remote-kernels-gateway",
            "scopes": ["list:users", "read:users:groups", "read:servers"],
            "services": ["gateway"],
        },
        {
            "name": "remote-kernels-admin",
            "scopes": [KERNELS_ADMIN_SCOPE, LIMITS_ADMIN_SCOPE, *everyone],
            "users": sorted(admins(c)),
        },
    ]
    present = {str(role.get("name")): role for role in roles}
    for role in added:
        if role["name"] in present:
            _merge_role(present[role["name"]], role)
        else:
            extend_list(c.JupyterHub, "load_roles", [role])


def _merge_role(present: dict[str, Any], ours: dict[str, Any]) -> None:
    """Add to a role that the site has begun what it needs to be ours."""
    for key, values in ours.items():
        if key != "name":
            present[key] = [*present.get(key, []), *(value for value in values if value not in present.get(key, []))]


def _require_http(name: str, url: str) -> None:
    parsed = urlparse(url)
    if parsed.scheme not in {"http", "https"} or not parsed.hostname:
        raise ConfigurationError(f"configure({name}={url!r}): this has to be an http:// or https:// address.")
