"""Async client of the ResourceManager's REST API: finds the active one, bounds answers, no redirects."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.iostream import StreamClosedError

from . import shapes

log = logging.getLogger("hadoop_edge.resource_manager")

T = TypeVar("T")

API = "/ws/v1/cluster"
#: Parts of an application that nobody here reads. A version that does not know one of them answers 400; the
#: first of these lists that it takes is kept: all since YARN-6871, the largest since YARN-6280, none before.
DESELECTS = (
    "resourceRequests,timeouts,appNodeLabelExpression,amNodeLabelExpression,resourceInfo",
    "resourceRequests",
    "",
)
#: The last one is what ``yarn.resourcemanager.webapp.rest-csrf.enabled`` asks of a program.
HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "X-XSRF-Header": "hadoop_edge"}
UNFINISHED = "NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING"
NODE_STATES = "NEW,RUNNING,UNHEALTHY,LOST,DECOMMISSIONING,REBOOTED"
#: A larger answer is parsed in a thread: the event loop stays free.
PARSE_IN_THREAD_BYTES = 128 * 1024


class ResourceManagerError(Exception):
    """The ResourceManager did not give an answer that can be used. The text is a sentence for people."""

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


class NoAnswerError(ResourceManagerError):
    """Nothing came back, so nothing is known: that is not the same as a setting that is not told."""


#: Statuses of a ResourceManager that is busy, or of what stands before one that is away.
BUSY = frozenset({502, 503, 504})


@dataclass(frozen=True)
class Answer:
    """Status and body of one call."""

    status: int
    body: bytes


def origin(url: str) -> str:
    """Return scheme, host and port of a URL: what may be shown."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


class ResourceManager:
    """Calls of the active ResourceManager.

    Parameters
    ----------
    urls : sequence of str
        Web addresses, one for each ResourceManager of a highly available pair.
    user : str
        Name given as ``user.name``.
    timeout : float
        Seconds for one call.
    maximum_bytes : int
        Largest answer that is read.
    ca_certs : str
        File with the certificate authority for https addresses; empty for the system's.
    """

    def __init__(
        self, urls: Sequence[str], *, user: str, timeout: float, maximum_bytes: int, ca_certs: str = ""
    ) -> None:
        self.urls = tuple(url.rstrip("/") for url in urls)
        self.user = user
        self._timeout = timeout
        self._maximum_bytes = maximum_bytes
        self._ca_certs = ca_certs or None
        self._active: str | None = None
        self._deselects = 0
        self._http = AsyncHTTPClient(
            force_instance=True, max_clients=20, max_body_size=maximum_bytes, max_buffer_size=maximum_bytes
        )

    async def info(self) -> dict[str, Any]:
        """Return ``clusterInfo`` of the active ResourceManager.

        One that starts answers before it has read what it remembers: it knows of no application then. So does what
        answers in its place without being one.

        Raises
        ------
        ResourceManagerError
            What it says of applications can't be relied on.
        """
        info = await self.get(f"{API}/info", _cluster_info)
        state = shapes.text(info.get("haState"))
        if not shapes.text(info.get("id")):
            raise ResourceManagerError("What answers is no ResourceManager.")
        if state not in ("", "ACTIVE"):
            self._active = None
            raise NoAnswerError(f"The ResourceManager is {state}, not ACTIVE.")
        return info

    async def applications(self, parse: Callable[[Any], T], **query: str) -> T:
        """Ask for applications without the parts that nobody reads; `parse` runs where the JSON is parsed."""
        refusal: ResourceManagerError | None = None
        for index in range(self._deselects, len(DESELECTS)):
            leave_out = {"deSelects": DESELECTS[index]} if DESELECTS[index] else {}
            try:
                found = await self.get(f"{API}/apps", parse, **query, **leave_out)
            except ResourceManagerError as error:
                if error.status != 400:
                    raise
                refusal = refusal or error
                continue
            self._deselects = index
            return found
        raise refusal or ResourceManagerError("The ResourceManager was not asked.")

    async def nodes(self, parse: Callable[[Any], T]) -> T:
        """Ask for every node that works or ought to."""
        return await self.get(f"{API}/nodes", parse, states=NODE_STATES)

    async def setting(self, name: str) -> str:
        """Return one setting of the ResourceManager; empty when it does not tell.

        Raises
        ------
        ResourceManagerError
            It gave no answer.
        """
        try:
            return await self.get("/conf", shapes.setting, name=name)
        except ResourceManagerError as error:
            if isinstance(error, NoAnswerError) or error.status in BUSY:
                raise
            log.debug("Setting %s is not told: %s", name, error)
            return ""

    async def scheduler_setting(self, name: str) -> str:
        """Return one setting of the CapacityScheduler; empty when it does not tell.

        Only one whose configuration can be changed by this API tells it, and only to its administrators.

        Raises
        ------
        ResourceManagerError
            It gave no answer.
        """
        try:
            return await self.get(f"{API}/scheduler-conf", lambda answer: shapes.scheduler_setting(answer, name))
        except ResourceManagerError as error:
            if isinstance(error, NoAnswerError) or error.status in BUSY:
                raise
            log.debug("Setting %s of the scheduler is not told: %s", name, error)
            return ""

    async def kill(self, application_id: str, owner: str, reason: str) -> None:
        """End an application: as its owner, and where that is refused, as our own user.

        Raises
        ------
        ResourceManagerError
            Both were refused, or there was no answer. An application that is gone or ended is no error.
        """
        body = json.dumps({"state": "KILLED", "diagnostics": reason}).encode()
        path = f"{API}/apps/{quote(application_id, safe='')}/state"
        answer = Answer(0, b"")
        for user in (owner, self.user):
            answer = await self._call("PUT", path, {"user.name": user}, body)
            if answer.status in (200, 202, 404):
                return
            if answer.status not in (401, 403):
                break
        raise ResourceManagerError(
            f"The ResourceManager refused to end {application_id}: {_sentence(answer)}", answer.status
        )

    async def get(self, path: str, parse: Callable[[Any], T], /, **query: str) -> T:
        """Get JSON and read it with `parse`."""
        answer = await self._call("GET", path, {**query, "user.name": self.user}, None)
        if answer.status != 200:
            raise ResourceManagerError(f"The ResourceManager answered {_sentence(answer)}", answer.status)
        try:
            if len(answer.body) > PARSE_IN_THREAD_BYTES:
                return await asyncio.to_thread(lambda: parse(json.loads(answer.body)))
            return parse(json.loads(answer.body))
        except ValueError as error:
            raise ResourceManagerError("The ResourceManager answered with something that is not JSON.") from error

    async def _call(self, method: str, path: str, query: dict[str, str], body: bytes | None) -> Answer:
        """Call the active one; when that fails in a way that a failover explains, find it anew, once."""
        if self._active is not None:
            try:
                answer = await self._fetch(self._active, method, path, query, body)
                if not 300 <= answer.status < 400:
                    return answer
            except ResourceManagerError as error:
                if len(self.urls) == 1:
                    raise
                log.info("%s Looking for the active ResourceManager again.", error)
            self._active = None
        self._active = await self._find_active()
        answer = await self._fetch(self._active, method, path, query, body)
        if 300 <= answer.status < 400:
            where = origin(self._active)
            self._active = None
            raise ResourceManagerError(f"{where} answered with a redirect, which is not followed.", answer.status)
        return answer

    async def _find_active(self) -> str:
        """Return the address whose ``/info`` says ACTIVE. A standby answers that path itself."""
        asked = [asyncio.ensure_future(self._state(url)) for url in self.urls]
        try:
            for first in asyncio.as_completed(asked):
                url, state, _ = await first
                if state == "ACTIVE":
                    return url
            raise NoAnswerError(" ".join(one.result()[2] for one in asked))
        finally:
            # A hung standby does not hold up the active one.
            for one in asked:
                one.cancel()

    async def _state(self, url: str) -> tuple[str, str, str]:
        """Return the address, its state (empty: none told) and a sentence about it."""
        try:
            answer = await self._fetch(url, "GET", f"{API}/info", {"user.name": self.user}, None)
        except ResourceManagerError as error:
            return url, "", str(error)
        if 300 <= answer.status < 400:
            return url, "", f"{origin(url)} answered with a redirect, which is not followed."
        try:
            info = _cluster_info(json.loads(answer.body))
        except ValueError:
            info = {}
        state = shapes.text(info.get("haState"))
        if state:
            return url, state, f"The ResourceManager at {origin(url)} is {state}, not ACTIVE."
        return url, "", f"{origin(url)} does not answer like a ResourceManager ({_sentence(answer)})."

    async def _fetch(self, url: str, method: str, path: str, query: dict[str, str], body: bytes | None) -> Answer:
        request = HTTPRequest(
            f"{url}{path}?{urlencode(query)}",
            method=method,
            headers=HEADERS,
            body=body,
            connect_timeout=min(self._timeout, 5.0),
            request_timeout=self._timeout,
            follow_redirects=False,
            ca_certs=self._ca_certs,
        )
        try:
            response = await self._http.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            raise NoAnswerError(self._why(url, error)) from error
        return Answer(response.code, response.body or b"")

    def _why(self, url: str, error: Exception) -> str:
        where = origin(url)
        if isinstance(error, ConnectionRefusedError):
            return f"The ResourceManager refused the connection at {where}."
        if isinstance(error, HTTPClientError) and "imeout" in str(error):
            return f"The ResourceManager at {where} did not answer in {self._timeout:g} s."
        if isinstance(error, (StreamClosedError, HTTPClientError)):
            limit = self._maximum_bytes // (1024 * 1024)
            return f"The ResourceManager at {where} broke off, or its answer was larger than {limit} MB."
        reason = getattr(error, "strerror", None) or "its name has no address"
        return f"The ResourceManager at {where} can't be reached: {reason}."


def _cluster_info(answer: Any) -> dict[str, Any]:
    return shapes.mapping(shapes.mapping(answer).get("clusterInfo"))


def _sentence(answer: Answer) -> str:
    """Write status and text of an error answer; HTML pages and long texts are left out."""
    try:
        said = shapes.error_text(json.loads(answer.body))
    except ValueError:
        said = answer.body[:300].decode(errors="replace").strip()
    said = "" if "<" in said else said.splitlines()[0] if said else ""
    return f"{answer.status} {said}".strip()
