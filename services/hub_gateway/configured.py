"""The limits that the Hub's configuration gives, as the gateway is told them."""

import json
import os
from typing import Any

from hub_ext.configured_limits import VARIABLE


def from_environment() -> dict[str, Any]:
    """Read what `hub_ext.configure` hands over.

    Raises
    ------
    SystemExit
        It can't be read.
    """
    try:
        return dict(json.loads(os.environ.get(VARIABLE) or "{}"))
    except (ValueError, TypeError) as error:
        raise SystemExit(f"HubGateway: the variable {VARIABLE} is not a JSON object.") from error


def configured(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of `hub_ext.limits.store.Configured`; what is not given is empty."""
    return {
        "default": given.get("default") or {},
        "groups": given.get("groups") or {},
        "users": given.get("users") or {},
        "most_restrictive_group": bool(given.get("most_restrictive_group")),
    }
