"""Who is asking: the Hub's answer about a token, as plain data."""

import re
from dataclasses import dataclass
from typing import Any

from tornado.httputil import HTTPHeaders

#: Reaches everyone's kernels through the gateway and shows them in the portal.
KERNELS_ADMIN_SCOPE = "custom:kernels:admin"
#: Reads and changes everyone's limits, and answers requests for more.
LIMITS_ADMIN_SCOPE = "custom:limits:admin"
#: What the Hub gives its administrators, and nobody else unless a site's role does.
HUB_ADMIN_SCOPE = "admin-ui"


@dataclass(frozen=True)
class Identity:
    """A Hub user or service, as its token says."""

    name: str
    kind: str
    groups: frozenset[str]
    scopes: frozenset[str]
    admin: bool
    #: Name of the notebook server whose own token this is ("" is the default server), None for any other token.
    server: str | None

    @property
    def is_user(self) -> bool:
        return self.kind == "user"

    @property
    def kernels_admin(self) -> bool:
        """True when this token may act on everyone's kernels."""
        return KERNELS_ADMIN_SCOPE in self.scopes

    @property
    def limits_admin(self) -> bool:
        """True when this token may read and change everyone's limits.

        Administrators of the Hub may, however they became that: their tokens have the scope of its admin page.
        """
        return not self.scopes.isdisjoint((LIMITS_ADMIN_SCOPE, HUB_ADMIN_SCOPE))


def identity_of(model: dict[str, Any]) -> Identity:
    """Read the model that ``GET /hub/api/user`` gives for a token."""
    name = str(model.get("name", ""))
    scopes = frozenset(str(scope) for scope in model.get("scopes") or ())
    return Identity(
        name=name,
        kind=str(model.get("kind", "")),
        groups=frozenset(str(group) for group in model.get("groups") or ()),
        scopes=scopes,
        admin=bool(model.get("admin", False)),
        server=_server_of(name, scopes),
    )


def _server_of(name: str, scopes: frozenset[str]) -> str | None:
    """Name the server that a token belongs to: JupyterHub gives its token access to just that server."""
    prefix = f"access:servers!server={name}/"
    servers = [scope[len(prefix) :] for scope in scopes if scope.startswith(prefix)]
    return servers[0] if len(servers) == 1 else None


def header_token(headers: HTTPHeaders) -> str:
    """Return the token of the Authorization header; empty when there is none.

    A token in the URL is not read: it would stand in every log on the way.
    """
    match = re.fullmatch(r"(?:token|bearer)\s+(\S+)", headers.get("Authorization", ""), re.IGNORECASE)
    return match.group(1) if match else ""
