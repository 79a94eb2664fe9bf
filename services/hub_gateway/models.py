"""A kernel as the gateway's API shows it: Enterprise Gateway's model and what is known beside it. Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from typing import Any

from hub_ext.database import Kernel
from hub_ext.limits.kernels import STARTING
from hub_ext.limits.resolve import ResolvedLimit, number

from .activity import activity_of
from .culling import field_of


def described(
    model: dict[str, Any], kernel: Kernel, limits: Mapping[str, ResolvedLimit], start: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a kernel's model with what this gateway knows beside it; `start` is where its start is."""
    return {
        **model,
        "remote_kernel": {
            "owner": kernel.owner,
            "cluster_user": kernel.cluster_user,
            "server": kernel.server,
            "kernelspec": kernel.kernelspec,
            "started_at": kernel.started_at.isoformat(),
            "start": start,
            "memory_mb": kernel.memory_mb,
            "cores": kernel.cores,
            "queue": kernel.queue,
            "warm_until": _iso(kernel.warm_until),
            "stop_at": _iso(kernel.stop_at),
            "stop_reason": kernel.stop_reason,
            "stop_field": field_of(kernel.stop_reason),
            "idle_since": _iso(activity_of(model).idle_since),
            "idle_timeout": number(limits["idle_timeout"]),
            "lifetime": number(limits["lifetime"]),
        },
    }


def starting_model(kernel: Kernel, state: str = "starting") -> dict[str, Any]:
    """Return the model of a kernel that is being launched, as Enterprise Gateway will give it.

    Jupyter's own server reads the time in this form and in no other.
    """
    return {
        "id": kernel.id,
        "name": kernel.kernelspec,
        "execution_state": state,
        "connections": 0,
        "last_activity": kernel.started_at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def only_here(kernel: Kernel, models: Collection[str]) -> bool:
    """Say whether Enterprise Gateway still launches a kernel: it does not list it before it runs."""
    return kernel.state == STARTING and kernel.id not in models


def ended_model(kernel: Kernel) -> dict[str, Any]:
    """Return what its owner sees of a kernel that has ended."""
    return {
        "id": kernel.id,
        "kernelspec": kernel.kernelspec,
        "started_at": kernel.started_at.isoformat(),
        "ended_at": _iso(kernel.ended_at),
        "reason": kernel.end_reason,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
