"""The gateway and the portal as services of a Hub: their commands, secrets and entries in its configuration."""

import shutil
import sys
from typing import Any

from traitlets import Integer

from .hub_config import ConfigurationError, extend_list, listed
from .secrets import read_secret
from .web.identity import KERNELS_ADMIN_SCOPE, LIMITS_ADMIN_SCOPE

#: What each managed service has to know and must not find among its arguments.
SECRETS = {
    "gateway": ("HUB_EXT_EDGE_TOKEN", "HUB_EXT_ENTERPRISE_GATEWAY_TOKEN"),
    "portal": ("HUB_EXT_EDGE_TOKEN",),
}


#: Seconds between two looks of the Hub at the services that it runs.
WATCH_SECONDS = 2


def watch_services() -> None:
    """Let the Hub notice within seconds that a service which it runs has ended; it looks every 30 s and has no setting.

    Nothing happens on a version that does it in another way.
    """
    from jupyterhub.services import service

    stock = getattr(service, "_ServiceSpawner", None)
    if stock is not None and not hasattr(stock, "remote_kernels"):
        own = {"poll_interval": Integer(WATCH_SECONDS), "remote_kernels": True}
        service._ServiceSpawner = type(stock.__name__, (stock,), own)


def add_portal(c: Any, address: str, command: list[str] | None, environment: dict[str, str]) -> None:
    """Add the portal, which acts with each person's own token and has no power beyond it."""
    add_service(
        c,
        "portal",
        address,
        command,
        environment,
        display=False,
        oauth_no_confirm=True,
        oauth_client_allowed_scopes=[
            "access:services!service=gateway",
            "read:servers!user",
            "read:users:groups!user",
            KERNELS_ADMIN_SCOPE,
            LIMITS_ADMIN_SCOPE,
            "admin-ui",
        ],
    )


def service_commands(
    *,
    enterprise_gateway_url: str,
    edge_url: str,
    user_domain: str,
    gateway_url: str,
    service_config: str,
    template_paths: list[str],
    warm_start: str,
) -> dict[str, list[str]]:
    """Build the services' argument lists. No secret is among them."""
    file = [f"--config={service_config}"] if service_config else []
    return {
        "gateway": [
            *_tied(),
            sys.executable,
            "-m",
            "hub_gateway",
            f"--HubGateway.enterprise_gateway_url={enterprise_gateway_url}",
            f"--HubGateway.edge_url={edge_url}",
            f"--HubGateway.user_domain={user_domain}",
            f"--HubGateway.warm_start={warm_start}",
            *file,
        ],
        "portal": [
            *_tied(),
            sys.executable,
            "-m",
            "hub_portal",
            f"--HubPortal.gateway_url={gateway_url}",
            f"--HubPortal.edge_url={edge_url}",
            f"--HubPortal.user_domain={user_domain}",
            *(f"--HubPortal.template_paths={path}" for path in template_paths),
            *file,
        ],
    }


def _tied() -> list[str]:
    """Return the words before a command that end it with the Hub, so that a killed Hub leaves no orphan on a port."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def add_service(
    c: Any, name: str, url: str, command: list[str] | None, environment: dict[str, str], **more: Any
) -> None:
    definition: dict[str, Any] = {"name": name, "url": url, **more}
    if command:
        definition |= {"command": command, "environment": environment}
    existing = next((one for one in listed(c.JupyterHub, "services") if one.get("name") == name), None)
    if existing is None:
        if not command:
            raise ConfigurationError(
                f"The service '{name}' is not managed by the Hub, so c.JupyterHub.services needs an entry "
                f"with its name and api_token before configure() is called."
            )
        extend_list(c.JupyterHub, "services", [definition])
        return
    if "url" in existing or "command" in existing:
        raise ConfigurationError(
            f"c.JupyterHub.services already has a service named '{name}' with a url or command of its own: "
            "rename that one."
        )
    existing.update(definition)


def environment_of(given: dict[str, str], service: str, more: dict[str, str] | None = None) -> dict[str, str]:
    """Return a service's environment: what the site gave, without the secrets of the other service."""
    foreign = {name for names in SECRETS.values() for name in names} - set(SECRETS[service])
    hidden = foreign | {f"{name}_FILE" for name in foreign}
    return {name: value for name, value in given.items() if name not in hidden} | (more or {})


def require_secrets(given: dict[str, str]) -> None:
    for name in SECRETS["gateway"]:
        try:
            found = read_secret(name, given)
        except ValueError as error:
            raise ConfigurationError(f"configure(service_environment=…): {error}.") from error
        if not found:
            raise ConfigurationError(
                f"configure(service_environment=…) lacks {name}: give the secret, or its file as {name}_FILE."
            )
