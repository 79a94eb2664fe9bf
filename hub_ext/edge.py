"""Client of the edge service: the only way from Kubernetes into the Hadoop cluster's state."""

import json
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ValidationError
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from .cluster import Applications, ClusterState
from .errors import PublicError

#: Names the person a service acts for; only credible together with the edge token.
ACTING_USER_HEADER = "X-Acting-User"
MAXIMUM_ANSWER_BYTES = 64 * 1024 * 1024


class EdgeClient:
    """Typed calls of the edge API.

    Parameters
    ----------
    url : str
        Where the edge service answers, for example ``https://edge.example.org:8899``.
    token : str
        The secret that services and the edge share.
    timeout : float
        Seconds for a whole call.
    ca_certs : str
        File with the certificate authority that signed the edge's certificate; empty for the system's.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 10.0, ca_certs: str = "") -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._ca_certs = ca_certs or None
        self._http = AsyncHTTPClient(force_instance=True, max_clients=100, max_body_size=MAXIMUM_ANSWER_BYTES)

    async def cluster(self) -> ClusterState:
        """Return the cluster as the poller last saw it."""
        return _typed(ClusterState, await self._call("GET", "/api/cluster"))

    async def applications(self, *, cluster_user: str = "", kernel_id: str = "", user: str = "") -> Applications:
        """Return applications of a cluster user or of a kernel (by tag); of everyone when neither is given.

        Parameters
        ----------
        cluster_user, kernel_id : str
            Filters; both must match when both are given.
        user : str
            The Hub user this is asked for, for the edge's log.
        """
        query = urlencode({k: v for k, v in {"user": cluster_user, "kernel_id": kernel_id}.items() if v})
        path = "/api/applications" + (f"?{query}" if query else "")
        return _typed(Applications, await self._call("GET", path, user=user))

    async def end_kernel(self, kernel_id: str, *, reason: str, user: str = "") -> Applications:
        """Kill every application that carries this kernel's tag and still runs or waits.

        Returns
        -------
        Applications
            Those that were told to end; empty when there was none.
        """
        path = f"/api/kernels/{quote(kernel_id, safe='')}/applications"
        return _typed(Applications, await self._call("DELETE", path, user=user, body={"reason": reason}))

    async def _call(self, method: str, path: str, *, user: str = "", body: dict[str, Any] | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if user:
            headers[ACTING_USER_HEADER] = quote(user)
        request = HTTPRequest(
            self.url + path,
            method=method,
            headers=headers,
            body=None if body is None else json.dumps(body),
            allow_nonstandard_methods=True,
            connect_timeout=min(self._timeout, 5.0),
            request_timeout=self._timeout,
            follow_redirects=False,
            ca_certs=self._ca_certs,
        )
        try:
            response = await self._http.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            raise unreachable() from error
        return _answered(response)


def unreachable() -> PublicError:
    """Make the error for an edge service that does not answer."""
    return PublicError(
        "edge-unreachable",
        "The edge service of the Hadoop cluster does not answer.",
        remedy="Running kernels go on. Try again in a minute; if it stays, tell your Hub administrator.",
    )


def _answered(response: HTTPResponse) -> bytes:
    if response.code < 400:
        return response.body
    try:
        body = json.loads(response.body)
        raise PublicError(
            str(body["code"]),
            str(body["text"]),
            details=[str(line) for line in body.get("details", [])],
            remedy=str(body.get("remedy", "")),
            status=response.code if response.code not in (401, 403) else 502,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise unreachable() from error


def _typed(model: type[Any], body: bytes) -> Any:
    try:
        answer: BaseModel = model.model_validate_json(body)
    except ValidationError as error:
        raise unreachable() from error
    return answer
