"""Client of the kernel gateway, with the token of the person who looks: the portal has no power of its own."""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from hub_ext.calls import CALL_FAILURES, answers
from hub_ext.errors import PublicError
from hub_ext.kernels import definition_of
from hub_ext.logs import request_headers

from .models import Catalogue, RunningKernel, WarmStart

MAXIMUM_ANSWER_BYTES = 16 * 1024 * 1024


class GatewayClient:
    """Typed calls of the gateway.

    Parameters
    ----------
    url : str
        Base address, for example ``http://127.0.0.1:8001/services/gateway``.
    timeout : float
        Seconds for a call; stopping a kernel may take four times as long.
    ca_certs : str
        File with the certificate authority that signed the gateway's certificate; empty for the system's.
    """

    def __init__(self, url: str, *, timeout: float, ca_certs: str = "") -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._ca_certs = ca_certs or None
        self._http = AsyncHTTPClient(force_instance=True, max_clients=100, max_body_size=MAXIMUM_ANSWER_BYTES)

    async def catalogue(self, user: str, token: str) -> Catalogue:
        """Return the kernels that this person may see."""
        body = await self.json("GET", f"/user/{quote(user, safe='')}/api/kernelspecs", token)
        return read_catalogue(body)

    async def kernels(self, user: str, token: str) -> tuple[RunningKernel, ...]:
        """Return this person's running kernels, also those that were started in advance."""
        return read_kernels(await self.json("GET", f"/user/{quote(user, safe='')}/api/kernels?warm=1", token))

    async def warm_start(self, user: str, token: str) -> WarmStart:
        """Return whether this person's last kernel starts together with their notebook server."""
        found = await self.json("GET", f"/user/{quote(user, safe='')}/api/warm-start", token)
        return WarmStart(**{field.name: found[field.name] for field in fields(WarmStart) if field.name in found})

    async def want_warm_start(self, user: str, token: str, on: bool) -> None:
        """Switch that on or off."""
        body = json.dumps({"on": on}).encode()
        check(await self.call("PUT", f"/user/{quote(user, safe='')}/api/warm-start", token, body=body))

    async def all_kernels(self, token: str) -> tuple[RunningKernel, ...]:
        """Return everyone's running kernels; the gateway answers only an administrator's token."""
        return read_kernels(await self.json("GET", "/admin/api/kernels", token))

    async def stop(self, owner: str, kernel_id: str, token: str) -> None:
        """End a kernel.

        Raises
        ------
        PublicError
            ``no-such-kernel`` when it has ended already or is not this owner's: the gateway does not tell which.
        """
        path = f"/user/{quote(owner, safe='')}/api/kernels/{quote(kernel_id, safe='')}"
        check(await self.call("DELETE", path, token, timeout=4 * self._timeout))

    async def probe(self) -> str:
        """Say in a health check that the gateway answers."""
        return await answers(self._http, f"{self.url}/health/live", self._timeout, self._ca_certs)

    async def logo(self, user: str, token: str, kernelspec: str, file: str) -> bytes:
        """Return a kernelspec's picture."""
        path = "/".join(quote(part, safe="") for part in ("user", user, "kernelspecs", kernelspec, file))
        response = await self.call("GET", f"/{path}", token)
        check(response)
        return response.body or b""

    async def json(self, method: str, path: str, token: str) -> Any:
        """Call and return the answer's JSON."""
        response = await self.call(method, path, token)
        check(response)
        try:
            return json.loads(response.body)
        except ValueError as error:
            raise unreachable() from error

    async def call(
        self,
        method: str,
        path: str,
        token: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout: float | None = None,
    ) -> HTTPResponse:
        """Call and return the answer, whatever its status."""
        headers = {"Authorization": f"token {token}", "Accept": "application/json", **request_headers()}
        request = HTTPRequest(
            self.url + path,
            method=method,
            headers=headers if body is None else {**headers, "Content-Type": content_type},
            body=body,
            connect_timeout=min(self._timeout, 5.0),
            request_timeout=timeout or self._timeout,
            follow_redirects=False,
            ca_certs=self._ca_certs,
        )
        try:
            return await self._http.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            CALL_FAILURES.labels(to="gateway").inc()
            raise unreachable() from error


def unreachable() -> PublicError:
    """Make the error for a gateway that does not answer."""
    return PublicError(
        "gateway-unreachable",
        "The kernel gateway does not answer, so kernels and limits can't be shown now.",
        remedy="Running kernels go on. Try again in a minute; if it stays, tell your Hub administrator.",
        status=503,
    )


def check(response: HTTPResponse) -> None:
    """Raise what the gateway refused with, in its own words."""
    if response.code < 300:
        return
    try:
        body = json.loads(response.body)
        error = PublicError(
            str(body["code"]),
            str(body["text"]),
            details=[str(line) for line in body.get("details") or ()],
            remedy=str(body.get("remedy") or ""),
            numbers=body.get("numbers") if isinstance(body.get("numbers"), dict) else None,
            status=response.code if response.code >= 400 else 502,
        )
    except (ValueError, KeyError, TypeError) as unreadable:
        raise unreachable() from unreadable
    raise error


def read_catalogue(body: Any) -> Catalogue:
    """Read the answer of ``/api/kernelspecs``."""
    found = body if isinstance(body, Mapping) else {}
    specs = found.get("kernelspecs") or {}
    definitions = [definition_of(str(name), model) for name, model in specs.items() if isinstance(model, dict)]
    return Catalogue(default=str(found.get("default") or ""), definitions=tuple(definitions))


def read_kernels(body: Any) -> tuple[RunningKernel, ...]:
    """Read the answer of ``/api/kernels``, without those that could not start: they are among the ended ones."""
    found = [one for one in body if isinstance(one, dict)] if isinstance(body, list) else []
    return tuple(_read_kernel(one) for one in found if _start_of(one).get("phase") != "failed")


def _start_of(model: dict[str, Any]) -> dict[str, Any]:
    return (model.get("remote_kernel") or {}).get("start") or {}


def _read_kernel(model: dict[str, Any]) -> RunningKernel:
    ours = model.get("remote_kernel") or {}
    start = _start_of(model)
    return RunningKernel(
        id=str(model.get("id", "")),
        kernelspec=str(ours.get("kernelspec") or model.get("name", "")),
        owner=str(ours.get("owner") or ""),
        state=str(model.get("execution_state") or "unknown"),
        connections=int(model.get("connections") or 0),
        started_at=_moment(ours.get("started_at")),
        last_activity=_moment(model.get("last_activity")),
        start=str(start.get("text") or ""),
        start_waits=start.get("phase") in ("requested", "accepted"),
        memory_mb=_whole(ours.get("memory_mb")),
        cores=_whole(ours.get("cores")),
        stop_at=_moment(ours.get("stop_at")),
        stop_reason=str(ours.get("stop_reason") or ""),
        stop_field=str(ours.get("stop_field") or ""),
        warm_until=_moment(ours.get("warm_until")),
    )


def _whole(number: Any) -> int:
    return number if isinstance(number, int) else 0


def _moment(text: Any) -> datetime | None:
    """Read an ISO time; one without a zone is UTC, as Jupyter writes it."""
    if not isinstance(text, str) or not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
