"""What the gateway asks the Hub, with its own token: which notebook servers there are, and who its users are."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from jupyterhub.services.auth import HubAuth
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from hub_ext.calls import CALL_FAILURES, answers
from hub_ext.web.identity import identity_of

log = logging.getLogger("hub_gateway")

PAGE = 200
ACCEPT_PAGES = "application/jupyterhub-pagination+json"


async def probe_hub(api_url: str, timeout: float = 3.0) -> str:
    """Say in a health check whether the Hub answers."""
    return await answers(AsyncHTTPClient(), f"{api_url.rstrip('/')}/", timeout)


def scopes_of(auth: HubAuth) -> Callable[[str], Awaitable[frozenset[str]]]:
    """Return what gives the scopes of a Hub token; none of one that the Hub does not know."""

    async def scopes(token: str) -> frozenset[str]:
        model = await auth.user_for_token(token, sync=False)
        return identity_of(model).scopes if model else frozenset()

    return scopes


async def notebook_servers(api_url: str, token: str, timeout: float = 10.0) -> set[tuple[str, str]] | None:
    """Return every notebook server that runs or starts, as ``(user, server)`` pairs.

    Needs the scopes ``list:users`` and ``read:servers``. Asks for users with active servers only.

    Returns
    -------
    set or None
        None when the Hub does not answer: that says nothing about the servers.
    """
    try:
        return {
            (user["name"], name)
            async for user in _users(api_url, token, timeout, state="active")
            for name in user.get("servers") or {}
        }
    except (OSError, HTTPClientError, ValueError) as error:
        CALL_FAILURES.labels(to="hub").inc()
        log.warning("The Hub does not tell its notebook servers: %s", error)
        return None


async def groups_of_users(api_url: str, token: str, timeout: float = 10.0) -> dict[str, list[str]] | None:
    """Return every Hub user's groups.

    Needs the scopes ``list:users`` and ``read:users:groups``.

    Returns
    -------
    dict or None
        None when the Hub does not answer, or does not tell groups.
    """
    try:
        found = {user["name"]: user.get("groups") async for user in _users(api_url, token, timeout)}
    except (OSError, HTTPClientError, ValueError) as error:
        CALL_FAILURES.labels(to="hub").inc()
        log.warning("The Hub does not tell its users: %s", error)
        return None
    if any(groups is None for groups in found.values()):
        log.warning("The Hub does not tell its users' groups: the gateway's role lacks the scope read:users:groups.")
        return None
    return {name: [str(group) for group in groups or ()] for name, groups in found.items()}


async def _users(api_url: str, token: str, timeout: float, **filters: str) -> AsyncIterator[dict[str, Any]]:
    """Give the Hub's users, page by page."""
    http, offset = AsyncHTTPClient(), 0
    while True:
        query = urlencode({**filters, "offset": offset, "limit": PAGE})
        request = HTTPRequest(
            f"{api_url.rstrip('/')}/users?{query}",
            headers={"Authorization": f"token {token}", "Accept": ACCEPT_PAGES},
            connect_timeout=timeout,
            request_timeout=timeout,
        )
        page = json.loads((await http.fetch(request)).body)
        for user in page["items"]:
            yield user
        following = page.get("_pagination", {}).get("next")
        if not following:
            return
        offset = following["offset"]
