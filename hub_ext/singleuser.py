"""A Jupyter Server extension for notebook servers: keeps secrets out of the log, and refusals as they were written.

Jupyter Server's gateway client writes a starting kernel's whole environment into the log, the server's own Hub token
included. What the gateway refuses it hands on between words about the gateway's address, for a session with the status
of a fault, and for ``POST /api/kernels`` not at all. `RemoteKernelMixin.server_extension` switches this on where the
notebook server has this package.
"""

import functools
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .singleuser_kernels import mend_kernels
from .singleuser_messages import mend_gateway_connections

REPLACEMENT = "[secret]"
#: A shorter value could be an ordinary word.
SHORTEST_SECRET = 12


class SecretFilter(logging.Filter):
    """Replaces secrets in messages before any handler sees them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._secrets = secrets_of(environment)

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if any(secret in message for secret in self._secrets):
            for secret in self._secrets:
                message = message.replace(secret, REPLACEMENT)
            record.msg, record.args = message, None
        return True


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the values of variables whose names say that they are secret."""
    return frozenset(
        value
        for name, value in environment.items()
        if name.upper().endswith(("TOKEN", "SECRET", "PASSWORD", "_KEY")) and len(value) >= SHORTEST_SECRET
    )


@dataclass(frozen=True)
class Refusal:
    """What our gateway answered instead of doing something, written for the person who asked."""

    status: int
    code: str
    message: str


def refusal_behind(error: BaseException | None) -> Refusal | None:
    """Return the gateway's refusal that an error came from; None when it has another origin.

    Jupyter Server raises its errors from the one it met, so the gateway's answer hangs at the end of that chain.
    """
    while error is not None:
        found = _refusal_of(getattr(error, "response", None))
        if found is not None:
            return found
        error = error.__cause__
    return None


def _refusal_of(response: Any) -> Refusal | None:
    try:
        body = json.loads(response.body)
        return Refusal(int(response.code), str(body["code"]), str(body["message"]).strip("\n"))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # no answer, or none of our gateway's


def _with_refusals(write_error: Callable[..., None]) -> Callable[..., None]:
    """Wrap a request handler's `write_error` so that a refusal of the gateway is passed on as it is."""

    @functools.wraps(write_error)
    def written(self: Any, status_code: int, **more: Any) -> None:
        error = (more.get("exc_info") or (None, None))[1]
        refusal = refusal_behind(error)
        if refusal is None:
            return write_error(self, status_code, **more)
        self.set_status(refusal.status)
        self.set_header("Content-Type", "application/json")
        self.log.info("The gateway refused: %s", refusal.code)
        self.finish(json.dumps({"message": refusal.message, "reason": refusal.code, "traceback": ""}))

    return written


def mend_refusals(server: Any) -> None:
    """Let the notebook server's API answer with the gateway's refusals unchanged, where it can be done."""
    try:
        from jupyter_server.base.handlers import APIHandler

        wrapped = _with_refusals(APIHandler.write_error)
        APIHandler.write_error = wrapped  # type: ignore[method-assign]  # the one place that all of its errors pass
    except (ImportError, AttributeError) as error:
        server.log.warning("Refusals of the gateway keep Jupyter Server's words around them: %s", error)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "hub_ext.singleuser"}]


def _load_jupyter_server_extension(server: Any) -> None:
    secrets = SecretFilter(os.environ)
    server.log.addFilter(secrets)
    for handler in server.log.handlers:  # what other loggers pass on
        handler.addFilter(secrets)
    mend_refusals(server)
    mend_kernels(server)
    mend_gateway_connections(server)
