"""What the Hub tells about a person's own notebook server, asked with that person's token."""

import json
import logging
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from hub_ext.calls import CALL_FAILURES, answers

from .models import Server

log = logging.getLogger("hub_portal.hub")


class HubClient:
    """Asks the Hub's API; never raises, since a page without this is still a page."""

    def __init__(self, api_url: str, *, timeout: float) -> None:
        self._url = api_url.rstrip("/")
        self._timeout = timeout
        self._http = AsyncHTTPClient(force_instance=True, max_clients=100)

    async def server(self, token: str) -> Server:
        """Return the default server of the token's owner (the token needs ``read:servers!user``)."""
        request = HTTPRequest(
            f"{self._url}/user",
            headers={"Authorization": f"token {token}", "Accept": "application/json"},
            connect_timeout=min(self._timeout, 5.0),
            request_timeout=self._timeout,
            follow_redirects=False,
        )
        try:
            response = await self._http.fetch(request, raise_error=False)
            return read_server(json.loads(response.body)) if response.code == 200 else Server()
        except (OSError, HTTPClientError, ValueError) as error:
            CALL_FAILURES.labels(to="hub").inc()
            log.warning("The Hub does not tell about a server: %s", type(error).__name__)
            return Server()

    async def probe(self) -> str:
        """Say in a health check whether the Hub answers."""
        return await answers(self._http, f"{self._url}/", self._timeout)


def read_server(model: Any) -> Server:
    """Read the default server out of a Hub user model."""
    servers = model.get("servers") if isinstance(model, dict) else None
    if not isinstance(servers, dict):
        return Server()
    default = servers.get("")
    if not isinstance(default, dict):
        return Server(known=True)
    return Server(
        known=True,
        running=bool(default.get("ready")),
        pending=str(default.get("pending") or ""),
        url=str(default.get("url") or ""),
    )
