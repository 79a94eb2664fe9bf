"""Client of the edge service: the only way from Kubernetes into the Hadoop cluster's state."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ValidationError
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from .calls import CALL_FAILURES
from .cluster import Applications, ClusterState, StartStates
from .errors import PublicError
from .logs import request_headers

#: Names the person a service acts for; only credible together with the edge token.
ACTING_USER_HEADER = "X-Acting-User"
#: Clocks that agree to this are taken to agree.
SAME_TIME = timedelta(seconds=5)
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
        """Return the cluster as the poller last saw it; when that was is told by this machine's clock."""
        response = await self._response("GET", "/api/cluster")
        state: ClusterState = _typed(ClusterState, _answered(response))
        age = response.headers.get("Age", "")
        if state.as_of is None or not age.isdecimal():
            return state
        here = datetime.now(timezone.utc) - timedelta(seconds=int(age))
        return state.model_copy(update={"as_of": here}) if abs(here - state.as_of) > SAME_TIME else state

    async def probe(self) -> str:
        """Say in a health check whether the edge service answers, and how new its numbers are."""
        return "the cluster's numbers are old" if (await self.cluster()).stale else "answers"

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

    async def starts(self, kernel_ids: Collection[str], *, fresh: Collection[str] = ()) -> StartStates:
        """Return where the applications of some starting kernels are.

        Parameters
        ----------
        kernel_ids : collection of str
            The kernels; told as of the last poll.
        fresh : collection of str
            Those of them for which the ResourceManager is asked now; a few.
        """
        body = {"kernel_ids": list(kernel_ids), "fresh": list(fresh)}
        return _typed(StartStates, await self._call("POST", "/api/starts", body=body))

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
        return _answered(await self._response(method, path, user=user, body=body))

    async def _response(
        self, method: str, path: str, *, user: str = "", body: dict[str, Any] | None = None
    ) -> HTTPResponse:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **request_headers()}
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
            return await self._http.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            CALL_FAILURES.labels(to="edge").inc()
            raise unreachable() from error


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
