"""A Jupyter Server extension for notebook servers: keeps the server's secrets out of its log.

Jupyter Server's gateway client writes a starting kernel's whole environment into the log, the server's own Hub token
included. `RemoteKernelMixin.server_extension` switches this on where the notebook server has this package.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any

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


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "hub_ext.singleuser"}]


def _load_jupyter_server_extension(server: Any) -> None:
    secrets = SecretFilter(os.environ)
    server.log.addFilter(secrets)
    for handler in server.log.handlers:  # what other loggers pass on
        handler.addFilter(secrets)
