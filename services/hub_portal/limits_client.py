"""Client of the gateway's limits, with the token of the person who looks."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ValidationError
from tornado.httpclient import HTTPResponse

from hub_ext.errors import PublicError

from .gateway import GatewayClient, check, unreachable
from .limits_models import (
    Batch,
    EndedKernel,
    FilePlan,
    History,
    LimitRequest,
    LimitRequests,
    MyLimits,
    People,
    PersonLimits,
    Preview,
    Subject,
    Value,
)

M = TypeVar("M", bound=BaseModel)

Values = Mapping[str, Value]
#: Seconds for the file of all limits, which may be that of many thousand users.
FILE_TIMEOUT = 60.0


def subject_path(scope: str, name: str) -> str:
    """Return the API's path of a user, a group or the default."""
    return "default" if scope == "default" else f"{scope}s/{quote(name, safe='')}"


class LimitsClient:
    """Typed calls of ``/limits/``; every refusal comes as the gateway's own `PublicError`."""

    def __init__(self, gateway: GatewayClient) -> None:
        self._gateway = gateway

    async def mine(self, token: str) -> MyLimits:
        """Return the caller's own limits."""
        return read(MyLimits, await self._get("my", token))

    async def my_requests(self, token: str) -> LimitRequests:
        """Return the caller's own requests."""
        body = await self._get("my/requests", token)
        return read(LimitRequests, {"requests": body} if isinstance(body, list) else body)

    async def ask(self, token: str, field: str, wanted: Value, reason: str) -> LimitRequest:
        """Ask for more."""
        body = {"field": field, "wanted": wanted, "reason": reason}
        return read(LimitRequest, await self._send("POST", "my/requests", token, body))

    async def withdraw(self, token: str, number: int) -> None:
        """Take a request back."""
        check(await self._gateway.call("DELETE", f"/limits/my/requests/{number}", token))

    async def ended_kernels(self, user: str, token: str) -> tuple[EndedKernel, ...]:
        """Return a person's kernels that ended lately, the newest first."""
        body = await self._gateway.json("GET", f"/user/{quote(user, safe='')}/api/ended-kernels", token)
        return tuple(read(EndedKernel, one) for one in body) if isinstance(body, list) else ()

    async def people(self, token: str, query: Mapping[str, Any]) -> People:
        """Return a page of the administrators' table."""
        return read(People, await self._get("users", token, query))

    async def person(self, token: str, name: str) -> PersonLimits:
        """Return one person, with what is inherited and what they hold."""
        return read(PersonLimits, await self._get(subject_path("user", name), token))

    async def groups(self, token: str) -> tuple[Subject, ...]:
        """Return all groups."""
        body = await self._get("groups", token)
        found = body.get("groups") if isinstance(body, dict) else None
        return tuple(read(Subject, {"scope": "group", **one}) for one in found or () if isinstance(one, dict))

    async def subject(self, token: str, scope: str, name: str) -> Subject:
        """Return a group or the default."""
        return read(Subject, await self._get(subject_path(scope, name), token))

    async def change(self, token: str, scope: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change a user's, a group's or the default values; return what the gateway then tells of it."""
        answer = await self._send("PATCH", subject_path(scope, name), token, body)
        return answer if isinstance(answer, dict) else {}

    async def preview(self, token: str, scope: str, name: str, values: Values) -> Preview:
        """Ask whom a change would affect; nothing is changed."""
        body = {"scope": scope, "name": name, "values": dict(values)}
        return read(Preview, await self._send("POST", "preview", token, body))

    async def change_many(self, token: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change values of several users at once."""
        answer = await self._send("POST", "batch", token, body)
        return answer if isinstance(answer, dict) else {}

    async def history(self, token: str, query: Mapping[str, Any]) -> History:
        """Return a page of changes."""
        return read(History, await self._get("history", token, query))

    async def batch(self, token: str, batch: str) -> Batch:
        """Return one change."""
        history = await self.history(token, {"batch": batch})
        if not history.batches:
            raise PublicError(
                "no-such-change", "There is no such change.", remedy="The history lists all changes.", status=404
            )
        return history.batches[0]

    async def undo(self, token: str, batch: str, reason: str) -> None:
        """Take a batch of changes back."""
        await self._send("POST", f"history/{quote(batch, safe='')}/undo", token, {"reason": reason})

    async def requests(self, token: str, query: Mapping[str, Any]) -> LimitRequests:
        """Return a page of everyone's requests."""
        return read(LimitRequests, await self._get("requests", token, query))

    async def request(self, token: str, number: int) -> LimitRequest:
        """Return one request, whatever became of it."""
        return read(LimitRequest, await self._get(f"requests/{number}", token))

    async def decide(self, token: str, number: int, decision: str, body: Mapping[str, Any]) -> None:
        """Grant or decline a request (`decision` is ``grant`` or ``decline``)."""
        await self._send("POST", f"requests/{number}/{decision}", token, body)

    async def export(self, token: str) -> bytes:
        """Return all values as YAML."""
        response = await self._gateway.call("GET", "/limits/export", token, timeout=FILE_TIMEOUT)
        check(response)
        return response.body or b""

    async def plan(self, token: str, text: bytes, *, merge: bool) -> FilePlan:
        """Return what importing YAML would change; nothing is changed."""
        return await self._import(token, text, dry_run="true", merge=_flag(merge))

    async def load(
        self, token: str, text: bytes, *, merge: bool, plan: str, confirmed: bool, reason: str = ""
    ) -> FilePlan:
        """Import YAML if it changes what `plan` stands for; return what was changed."""
        how = {"merge": _flag(merge), "confirmed": _flag(confirmed), "plan": plan, "reason": reason}
        return await self._import(token, text, dry_run="false", **how)

    async def _import(self, token: str, text: bytes, **how: str) -> FilePlan:
        query = urlencode(how)
        address = f"/limits/import?{query}"
        response = await self._gateway.call(
            "POST", address, token, body=text, content_type="application/yaml", timeout=FILE_TIMEOUT
        )
        return read(FilePlan, _json(response))

    async def _get(self, path: str, token: str, query: Mapping[str, Any] | None = None) -> Any:
        given = {key: value for key, value in (query or {}).items() if value not in ("", None)}
        return await self._gateway.json("GET", f"/limits/{path}" + (f"?{urlencode(given)}" if given else ""), token)

    async def _send(self, method: str, path: str, token: str, body: Mapping[str, Any]) -> Any:
        raw = json.dumps(body, default=_plain).encode()
        return _json(await self._gateway.call(method, f"/limits/{path}", token, body=raw))


def read(model: type[M], body: Any) -> M:
    """Read an answer; one of another shape is as good as none."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise unreachable() from error


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _json(response: HTTPResponse) -> Any:
    check(response)
    try:
        return json.loads(response.body or b"{}")
    except ValueError as error:
        raise unreachable() from error


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
