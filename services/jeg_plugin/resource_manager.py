"""The few calls to YARN's ResourceManager that a kernel's life needs (blocking; call them in a worker thread).

REST API: https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-site/ResourceManagerRest.html
"""

import json
import logging
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from .metrics import RESOURCE_MANAGER_FAILURES, RESOURCE_MANAGER_SECONDS

#: Seconds to connect, and between two pieces of an answer.
TIMEOUT = (3.0, 10.0)
#: Bytes, and seconds, of one answer at most. What is asked for is a kernel's own applications.
MAXIMUM_ANSWER, LONGEST_ANSWER, PIECE = 8 * 1024 * 1024, 20.0, 64 * 1024
ALIVE = frozenset({"NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING"})
ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})

_APPLICATION_ID = re.compile(r"application_(\d{1,20})_(\d{1,10})")
log = logging.getLogger(__name__)


class UnreachableError(Exception):
    """No ResourceManager gave an answer that could be understood."""


class RefusedError(Exception):
    """The ResourceManager refuses; `status` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def age_of(application_id: str) -> tuple[int, int]:
    """Return what orders applications by age; as texts they would not (``…_9999`` and ``…_10000``)."""
    found = _APPLICATION_ID.fullmatch(application_id)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def newest(applications: Iterable[dict[str, Any]], known: Iterable[str] = ()) -> dict[str, Any] | None:
    """Return the newest application that is not among the `known` ones.

    A restarted kernel keeps its id and so its tag; its earlier applications are the known ones.
    """
    seen = set(known)
    fresh = [application for application in applications if application.get("id") not in seen]
    return max(fresh, key=lambda application: age_of(str(application.get("id"))), default=None)


def applications_in(answer: Any) -> list[dict[str, Any]]:
    """Read a list of applications out of every form that ResourceManagers give it: null, empty, one, several.

    Raises
    ------
    UnreachableError
        It is something else: that says nothing about applications.
    """
    apps = answer.get("apps", "") if isinstance(answer, dict) else ""
    found = apps.get("app") if isinstance(apps, dict) else apps
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list | None):
        raise UnreachableError("an answer that is no list of applications")
    return [app for app in found or () if isinstance(app, dict)]


class ResourceManager:
    """Asks as `user`, who owns the application, and falls back to the gateway's own account where that is refused.

    Parameters
    ----------
    endpoints : sequence of str
        ``http://host:port`` of every ResourceManager; a standby one is passed over.
    user, service_user : str
        Names for the simple authentication (``user.name``); not used with Kerberos.
    auth : optional
        Authentication for `requests`, for Kerberos.
    verify : bool or str
        Whether to check certificates, or the bundle to check them with.
    """

    def __init__(
        self, endpoints: Sequence[str], user: str, service_user: str, auth: Any = None, verify: bool | str = True
    ) -> None:
        self._endpoints = [endpoint.rstrip("/") for endpoint in endpoints]
        self._user = user
        self._service_user = service_user
        self._auth = auth
        self._verify = verify

    def applications(self, tag: str) -> list[dict[str, Any]]:
        """Return every application with this tag, also ended ones."""
        return applications_in(self._ask("GET", "/ws/v1/cluster/apps", self._user, {"applicationTags": tag}))

    def all_applications(self, tag: str) -> list[dict[str, Any]]:
        """Return the same, and be sure that there is none when none is told; see `application`."""
        found = self.applications(tag)
        if found:
            return found
        self._require_active()
        return self.applications(tag)

    def application(self, application_id: str) -> dict[str, Any] | None:
        """Return one application, or None if the ResourceManager has forgotten it.

        One that starts answers this question before it has read what it remembers of applications.
        """
        found = self._application(application_id)
        if found is not None:
            return found
        self._require_active()
        return self._application(application_id)

    def _require_active(self) -> None:
        info = self._ask("GET", "/ws/v1/cluster/info", self._user).get("clusterInfo")
        if not isinstance(info, dict):
            raise UnreachableError("an answer that does not tell the ResourceManager's state")
        state = info.get("haState")
        if state not in (None, "ACTIVE"):
            raise UnreachableError(f"the ResourceManager is {state}")

    def _application(self, application_id: str) -> dict[str, Any] | None:
        try:
            answer = self._ask("GET", f"/ws/v1/cluster/apps/{application_id}", self._user)
        except RefusedError as refusal:
            if refusal.status == 404:
                return None
            raise
        found = answer.get("app")
        if not isinstance(found, dict):
            raise UnreachableError("an answer that is no application")
        return found

    def ping(self) -> None:
        """Ask something small.

        Raises
        ------
        UnreachableError, RefusedError
            No ResourceManager answers, or none answers us.
        """
        self._ask("GET", "/ws/v1/cluster/info", self._service_user)

    def kill(self, application_id: str) -> None:
        """Ask for the end of an application; an ended or forgotten one is fine.

        Raises
        ------
        RefusedError
            Neither the owner nor the gateway's own account may end it.
        UnreachableError
            No ResourceManager answers.
        """
        path = f"/ws/v1/cluster/apps/{application_id}/state"
        for user in dict.fromkeys((self._user, self._service_user)):
            try:
                self._ask("PUT", path, user, body={"state": "KILLED"})
                return
            except RefusedError as refusal:
                if refusal.status in (400, 404):
                    return
                log.warning("%s may not end %s: %s", user, application_id, refusal)
                last = refusal
        raise last

    def _ask(
        self, method: str, path: str, user: str, query: dict[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        with RESOURCE_MANAGER_SECONDS.time():
            try:
                return self._asked(method, path, user, query, body)
            except UnreachableError:
                RESOURCE_MANAGER_FAILURES.inc()
                raise

    def _asked(self, method: str, path: str, user: str, query: dict[str, str] | None, body: Any) -> dict[str, Any]:
        trouble = "no address is configured (EG_YARN_ENDPOINT)"
        for endpoint in list(self._endpoints):
            try:
                with requests.request(
                    method,
                    endpoint + path,
                    params={**(query or {}), **({} if self._auth else {"user.name": user})},
                    json=body,
                    auth=self._auth,
                    verify=self._verify,
                    timeout=TIMEOUT,
                    # A standby redirects; credentials go to configured addresses only.
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    status, content = response.status_code, _content(response)
            except requests.RequestException as error:
                trouble = f"{endpoint}: {type(error).__name__}"
                continue
            if 300 <= status < 400:
                trouble = f"{endpoint}: standby"
                continue
            if status >= 500:
                trouble = f"{endpoint}: HTTP {status}"
                continue
            if status >= 400:
                raise RefusedError(status, content[:300].decode(errors="replace"))
            answer = _json(content)
            if answer is None:
                trouble = f"{endpoint}: an answer that is not JSON"
                continue
            self._prefer(endpoint)
            return answer
        raise UnreachableError(trouble)

    def _prefer(self, endpoint: str) -> None:
        if self._endpoints[0] != endpoint:
            self._endpoints = [endpoint, *(other for other in self._endpoints if other != endpoint)]


def _content(response: requests.Response) -> bytes:
    """Read an answer, but not one without an end: its thread serves every kernel of this gateway.

    Raises
    ------
    requests.RequestException
        It is too large or takes too long.
    """
    content, until = bytearray(), time.monotonic() + LONGEST_ANSWER
    try:
        # What is there by now: waiting for a whole piece could last for ever, a byte at a time.
        while piece := response.raw.read1(PIECE, decode_content=True):
            content += piece
            if len(content) > MAXIMUM_ANSWER or time.monotonic() > until:
                raise requests.exceptions.ContentDecodingError("too large or too slow")
    except HTTPError as error:
        raise requests.exceptions.ConnectionError(type(error).__name__) from error
    return bytes(content)


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def kerberos() -> Any:
    """Return what authenticates calls under Kerberos."""
    # Not a dependency of Enterprise Gateway: a site with Kerberos installs it.
    from requests_kerberos import OPTIONAL, HTTPKerberosAuth  # type: ignore[import-not-found]  # see above

    return HTTPKerberosAuth(mutual_authentication=OPTIONAL)
