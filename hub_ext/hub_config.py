"""Reading and extending a Hub's configuration, whether the site has set a value, changed it in place, or neither."""

from typing import Any
from urllib.parse import urlparse

from traitlets.config import Config, LazyConfigValue


class ConfigurationError(SystemExit):
    """The Hub can't work like this. It ends with the message, which says what to change, and without a traceback."""


def base_url(c: Any) -> str:
    """Return the Hub's base path with a slash at both ends."""
    base = c.JupyterHub.base_url if "base_url" in c.JupyterHub else "/"
    if "bind_url" in c.JupyterHub:
        base = urlparse(c.JupyterHub.bind_url).path or base
    return "/" + str(base).strip("/") + "/" if str(base).strip("/") else "/"


def admins(c: Any) -> set[str]:
    """Return the administrators that the configuration names, under whichever authenticator class it does so."""
    found: set[str] = set()
    for name, section in c.items():
        if name.endswith("Authenticator") and isinstance(section, Config) and "admin_users" in section:
            value = section["admin_users"]
            found.update(value.to_dict().get("update", set()) if isinstance(value, LazyConfigValue) else value)
    return found


def listed(section: Any, name: str) -> list[Any]:
    """Return the entries that a config list has so far; the entries themselves, not copies."""
    if name not in section:
        return []
    value = section[name]
    if isinstance(value, LazyConfigValue):
        parts = value.to_dict()
        return [*parts.get("prepend", []), *parts.get("extend", [])]
    return list(value)


def extend_list(section: Any, name: str, items: list[Any]) -> None:
    if name in section and not isinstance(section[name], LazyConfigValue):
        section[name] = [*section[name], *items]
    else:
        section[name].extend(items)


def extend_set(section: Any, name: str, items: list[str]) -> None:
    if name in section and not isinstance(section[name], LazyConfigValue):
        section[name] = {*section[name], *items}
    else:
        section[name].update(set(items))


def update_dict(section: Any, name: str, items: dict[str, Any]) -> None:
    if name in section and not isinstance(section[name], LazyConfigValue):
        section[name] = {**section[name], **items}
    else:
        section[name].update(items)
