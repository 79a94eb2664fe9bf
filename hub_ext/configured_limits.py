"""The limits in a Hub's configuration, for the services: the ground on which the administration pages' values lie."""

import json
from importlib.metadata import entry_points
from typing import Any

from traitlets.config import Config, LazyConfigValue
from traitlets.utils.importstring import import_item

from .hub_config import ConfigurationError
from .limits.fields import checked

#: Under this name the gateway finds them in its environment.
VARIABLE = "HUB_EXT_CONFIGURED_LIMITS"


def configured_limits(c: Any) -> str:
    """Return the limits that a Hub's configuration sets, as JSON.

    Whichever class the site has set them on counts, as it does for the spawner: `RemoteKernelMixin`, or any class that
    its spawner is made of.

    Raises
    ------
    ConfigurationError
        A limit can't be read; the message names it.
    """
    sections = _sections(c)
    default = _checked("default_limits", _dict(sections, "default_limits"))
    groups = {name: _checked(f"group_limits[{name!r}]", one) for name, one in _dict(sections, "group_limits").items()}
    users = {name: _checked(f"user_limits[{name!r}]", one) for name, one in _dict(sections, "user_limits").items()}
    restrictive = [one["most_restrictive_group"] for one in sections if "most_restrictive_group" in one]
    return json.dumps(
        {
            "default": default,
            "groups": groups,
            "users": users,
            "most_restrictive_group": bool(restrictive and restrictive[-1]),
        },
        sort_keys=True,
    )


def _sections(c: Any) -> list[Config]:
    """Return the parts of the configuration that reach the spawner, the most special one last."""
    from .spawner import RemoteKernelMixin

    chosen = _spawner_class(c) or RemoteKernelMixin
    return [c[name] for name in chosen.section_names() if name in c and isinstance(c[name], Config)]


def _spawner_class(c: Any) -> Any:
    """Return the spawner class that is configured; None for one that can't be imported, which the Hub will tell."""
    chosen = c.JupyterHub.spawner_class if "spawner_class" in c.JupyterHub else None
    if not isinstance(chosen, str):
        return chosen
    known = {one.name: one.value.replace(":", ".") for one in entry_points(group="jupyterhub.spawners")}
    try:
        return import_item(known.get(chosen, chosen))
    except ImportError:
        return None


def _dict(sections: list[Config], name: str) -> dict[str, Any]:
    """Return a Dict trait's value, also when the site has only added to it."""
    value: dict[str, Any] = {}
    for section in sections:
        if name in section:
            found = section[name]
            value = found.get_value(value) if isinstance(found, LazyConfigValue) else dict(found)
    return value


def _checked(where: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ConfigurationError(f"c.RemoteKernelMixin.{where}: this has to be a dict of limits, not {values!r}.")
    try:
        for name, value in values.items():
            checked(name, value)
    except ValueError as error:
        raise ConfigurationError(f"c.RemoteKernelMixin.{where}: {error}") from error
    return dict(values)
