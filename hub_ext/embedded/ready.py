"""When the parts of the platform are ready: each is asked the way its users ask it."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .layout import LOOPBACK, NODE_ADDRESSES, Ports

_TIMEOUT_S = 3.0
#: Straight to the address, whatever proxy this person's network needs.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Wait:
    """One thing to wait for.

    Attributes
    ----------
    name
        As it is told to the person.
    parts
        The supervised parts that it depends on, the first to blame first.
    is_ready
        Asks; never raises.
    after
        Asked only when this one is ready, because it answers for it.
    """

    name: str
    parts: tuple[str, ...]
    is_ready: Callable[[], bool]
    after: str = ""


def waits(ports: Ports, tokens: Mapping[str, str]) -> list[Wait]:
    """Return everything to wait for, about in the order in which it becomes ready."""
    local = f"http://{LOOPBACK}"
    proxy = f"{local}:{ports.proxy}"
    nodes = f"{local}:{ports.rm_web}/ws/v1/cluster/nodes?states=RUNNING"
    gateway = f"{local}:{ports.enterprise_gateway}/api"
    token = {"Authorization": f"token {tokens['enterprise-gateway']}"}
    return [
        Wait("Hub", ("hub",), lambda: _answers(f"{proxy}/hub/health")),
        Wait("Enterprise Gateway", ("enterprise_gateway",), lambda: _answers(gateway, token)),
        Wait(
            f"YARN with {len(NODE_ADDRESSES)} nodes",
            ("resourcemanager", "nodemanager1", "nodemanager2"),
            lambda: running_nodes(_body(nodes)) >= len(NODE_ADDRESSES),
        ),
        Wait("edge service", ("edge", "resourcemanager"), lambda: _answers(f"{local}:{ports.edge}/health")),
        Wait("kernel gateway", ("hub",), lambda: _answers(f"{proxy}/services/gateway/health"), after="Hub"),
        Wait("pages", ("hub",), lambda: _answers(f"{proxy}/services/portal/health"), after="Hub"),
    ]


def running_nodes(body: bytes | None) -> int:
    """Return how many nodes a ResourceManager's answer lists; ``nodes`` is null while there is none."""
    if body is None:
        return 0
    try:
        return len((json.loads(body).get("nodes") or {}).get("node", []))
    except (ValueError, AttributeError):
        return 0


def _answers(url: str, headers: Mapping[str, str] | None = None) -> bool:
    return _body(url, headers) is not None


def _body(url: str, headers: Mapping[str, str] | None = None) -> bytes | None:
    """Return the body of a good answer, None for any other."""
    # Addresses of our own making: http on loopback.
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 (see above)
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
            body: bytes = answer.read(1_000_000)
            return body
    except (OSError, urllib.error.URLError, ValueError):
        return None
