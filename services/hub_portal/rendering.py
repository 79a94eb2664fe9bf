"""Pages in the Hub's own templates: the Hub's base page, its style sheet, our navigation and our pages."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyterhub._data import DATA_FILES_PATH

import hub_ext

#: Overrides of Hub templates that the Hub uses too (`JupyterHub.template_paths`).
SHARED_TEMPLATES = Path(hub_ext.__file__).parent / "templates"
PORTAL_TEMPLATES = Path(__file__).parent / "templates"
HUB_TEMPLATES = Path(DATA_FILES_PATH) / "templates"
STATIC = Path(__file__).parent / "static"


def make_environment(site_templates: Sequence[str] = (), hub_templates: Path = HUB_TEMPLATES) -> Environment:
    """Make the template environment.

    A template is looked for in the site's own folders, then in ours, then in the Hub's; as ``templates/NAME`` it is
    the Hub's own, so that an override can extend what it overrides.

    Parameters
    ----------
    site_templates : sequence of str
        The site's folders, as in ``JupyterHub.template_paths``.
    hub_templates : Path
        The Hub's own templates, by default those of the installed JupyterHub.
    """
    folders = [*site_templates, str(SHARED_TEMPLATES), str(PORTAL_TEMPLATES), str(hub_templates)]
    stock = FileSystemLoader(str(hub_templates))
    return Environment(
        loader=ChoiceLoader([PrefixLoader({"templates": stock}), FileSystemLoader(folders)]),
        autoescape=True,
        enable_async=False,
    )


def hub_static_url(hub_prefix: str) -> Any:
    """Return what Hub templates call ``static_url``."""

    def static_url(path: str, include_version: bool = True) -> str:
        del include_version  # the Hub's own version hash is not known to a service
        return f"{hub_prefix}static/{path}"

    return static_url


def page_user(name: str) -> dict[str, str]:
    """Return what the Hub's base page needs of a user."""
    return {"name": name, "json_escaped_name": json.dumps(name)[1:-1].replace("<", "\\u003c"), "url_name": quote(name)}


def hub_context(
    base_url: str, hub_prefix: str, user: Mapping[str, str] | None, scopes: frozenset[str]
) -> dict[str, Any]:
    """Return what the Hub's base page expects of a handler.

    Parameters
    ----------
    base_url : str
        The deployment's base, ``/`` or for example ``/jupyter/``.
    hub_prefix : str
        The Hub's own prefix, for example ``/hub/``.
    user : mapping, optional
        From `page_user`; None for an error before it is known who looks.
    scopes : frozenset of str
        Scopes of the person's token.
    """
    return {
        "base_url": hub_prefix,
        "prefix": base_url,
        "static_url": hub_static_url(hub_prefix),
        "login_url": f"{hub_prefix}login",
        "logout_url": f"{hub_prefix}logout",
        "no_spawner_check": True,
        "user": user,
        "parsed_scopes": scopes,
        "services": [],
        "remote_kernels_portal_url": f"{base_url}services/portal/",
    }
