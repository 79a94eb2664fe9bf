"""Client of Enterprise Gateway's REST API."""

import json
import logging
from typing import Any
from urllib.parse import quote, urlparse

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from hub_ext.calls import CALL_FAILURES
from hub_ext.errors import PublicError
from hub_ext.logs import request_headers

from .failures import of_answer, unreachable

log = logging.getLogger("hub_gateway")

MAXIMUM_ANSWER_BYTES = 16 * 1024 * 1024


class EnterpriseGateway:
    """Calls of Enterprise Gateway; every failure is a `PublicError`.

    Parameters
    ----------
    url : str
        Where it answers, with its base path.
    token : str
        The token that only this gateway and Enterprise Gateway know.
    timeout : float
        Seconds for a call that starts nothing.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._http = AsyncHTTPClient(force_instance=True, max_clients=500, max_body_size=MAXIMUM_ANSWER_BYTES)

    @property
    def authorization(self) -> str:
        """Value of the Authorization header, for the websocket handshake."""
        return f"token {self._token}"

    @property
    def address(self) -> tuple[str, int, bool]:
        """Host, port and whether TLS is spoken there."""
        parsed = urlparse(self.url)
        tls = parsed.scheme == "https"
        return parsed.hostname or "", parsed.port or (443 if tls else 80), tls

    @property
    def base_path(self) -> str:
        return urlparse(self.url).path

    async def kernelspecs(self) -> dict[str, Any]:
        """Return ``{"default": …, "kernelspecs": {name: model}}``."""
        answer: dict[str, Any] = await self._json("GET", "/api/kernelspecs")
        return answer

    async def resource(self, kernelspec: str, file: str) -> HTTPResponse:
        """Return a file of a kernelspec, such as its logo."""
        return await self._call("GET", f"/kernelspecs/{quote(kernelspec, safe='')}/{quote(file, safe='')}")

    async def kernels(self) -> list[dict[str, Any]]:
        """Return the models of all kernels, everyone's."""
        answer: list[dict[str, Any]] = await self._json("GET", "/api/kernels")
        return answer

    async def kernel(self, kernel_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self._json("GET", f"/api/kernels/{kernel_id}")
        return answer

    async def start(self, body: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Start a kernel and return its model; may take up to `timeout` seconds."""
        answer: dict[str, Any] = await self._json("POST", "/api/kernels", body=body, timeout=timeout)
        return answer

    async def delete(self, kernel_id: str) -> None:
        await self._call("DELETE", f"/api/kernels/{kernel_id}", timeout=max(self._timeout, 60.0))

    async def interrupt(self, kernel_id: str) -> None:
        await self._call("POST", f"/api/kernels/{kernel_id}/interrupt", body={})

    async def restart(self, kernel_id: str, timeout: float) -> dict[str, Any]:
        answer: dict[str, Any] = await self._json("POST", f"/api/kernels/{kernel_id}/restart", body={}, timeout=timeout)
        return answer

    async def ping(self) -> str:
        """Say in a health check that it answers; which version it is, is not for everybody."""
        await self._json("GET", "/api")
        return "answers"

    async def _json(self, method: str, path: str, **more: Any) -> Any:
        response = await self._call(method, path, **more)
        try:
            return json.loads(response.body)
        except ValueError as error:
            raise PublicError(
                "enterprise-gateway-failed", "Enterprise Gateway answered with something that is not JSON."
            ) from error

    async def _call(
        self, method: str, path: str, *, body: dict[str, Any] | None = None, timeout: float | None = None
    ) -> HTTPResponse:
        request = HTTPRequest(
            self.url + path,
            method=method,
            headers={"Authorization": self.authorization, "Content-Type": "application/json", **request_headers()},
            body=None if body is None else json.dumps(body),
            allow_nonstandard_methods=True,
            connect_timeout=5.0,
            request_timeout=timeout or self._timeout,
            follow_redirects=False,
        )
        try:
            response = await self._http.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            CALL_FAILURES.labels(to="enterprise-gateway").inc()
            log.warning("Enterprise Gateway: %s %s failed: %s", method, path, error)
            raise unreachable(error) from error
        if response.code >= 300:
            raise of_answer(response.code, response.body, path)
        return response
