"""What the gateway asks the Hub, with its own token: which notebook servers there are."""

import json
import logging
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

log = logging.getLogger("hub_gateway")

PAGE = 200
ACCEPT_PAGES = "application/jupyterhub-pagination+json"


async def notebook_servers(api_url: str, token: str, timeout: float = 10.0) -> set[tuple[str, str]] | None:
    """Return every notebook server that runs or starts, as ``(user, server)`` pairs.

    Needs the scopes ``list:users`` and ``read:servers``. Asks page by page, for users with active servers only.

    Returns
    -------
    set or None
        None when the Hub does not answer: that says nothing about the servers.
    """
    found: set[tuple[str, str]] = set()
    http, offset = AsyncHTTPClient(), 0
    while True:
        query = urlencode({"state": "active", "offset": offset, "limit": PAGE})
        request = HTTPRequest(
            f"{api_url.rstrip('/')}/users?{query}",
            headers={"Authorization": f"token {token}", "Accept": ACCEPT_PAGES},
            connect_timeout=timeout,
            request_timeout=timeout,
        )
        try:
            page = json.loads((await http.fetch(request)).body)
        except (OSError, HTTPClientError, ValueError) as error:
            log.warning("The Hub does not tell its notebook servers: %s", error)
            return None
        for user in page["items"]:
            found.update((user["name"], name) for name in user.get("servers") or {})
        following = page.get("_pagination", {}).get("next")
        if not following:
            return found
        offset = following["offset"]
