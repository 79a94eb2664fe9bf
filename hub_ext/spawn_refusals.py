"""Why a notebook server does not start, and how the Hub is told."""

from collections.abc import Mapping

from tornado import web

from .errors import PublicError
from .limits.fields import FIELDS
from .limits.resolve import ResolvedLimit, number
from .limits.words import source_words


def spawn_refusal(error: PublicError) -> web.HTTPError:
    """Turn a refusal into what JupyterHub shows to the person, on version 6 and on 5."""
    text = str(error)
    try:
        from jupyterhub.spawner import SpawnException
    except ImportError:  # JupyterHub 5
        refusal = web.HTTPError(error.status, "%s", text, reason=error.code)
    else:
        refusal = SpawnException(text, reason=error.code, status_code=error.status)
    refusal.jupyterhub_message = text  # type: ignore[attr-defined]  # the Hub reads it from any exception
    return refusal


def limits_unreadable(reason: Exception) -> PublicError:
    """Refuse a start because of a mistake in the Hub's configuration."""
    return PublicError(
        "limits-unreadable",
        "Your limits are not configured correctly.",
        details=[str(reason)],
        remedy="Tell your Hub administrator.",
    )


def server_not_allowed(limits: Mapping[str, ResolvedLimit]) -> PublicError | None:
    """Refuse a server without memory or cores. Spawners take a limit of 0 for none at all."""
    for field, what in (("server_memory_mb", "memory"), ("server_cores", "cores")):
        limit = limits[field]
        if number(limit) == 0:
            return PublicError(
                "server-not-allowed",
                f"No notebook server is allowed for you: its limit of {what} is 0 ({source_words(limit)}).",
                remedy="If you need one, tell your Hub administrator.",
                numbers={"field": field, "limit": 0, "source": limit.source, "unit": FIELDS[field].unit},
            )
    return None


def no_gateway(reason: str) -> PublicError:
    """Refuse a start because kernels would have nowhere to go."""
    return PublicError(
        "no-gateway",
        "Your notebook server can't be given a gateway to the Hadoop cluster.",
        details=[f"Reason: {reason}."],
        remedy="Tell your Hub administrator.",
        status=503,
    )
