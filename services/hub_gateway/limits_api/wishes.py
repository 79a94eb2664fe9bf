"""Requests for more: asking, looking, answering."""

from collections.abc import Sequence

from hub_ext.limits.requests import Request, RequestStore
from hub_ext.limits.resolve import plain

from . import asked
from .answers import CurrentLimit, RequestModel, RequestsAnswer
from .state import State
from .table import Member, Table


class Wishes:
    """What people ask for, beside the limit that they have now."""

    def __init__(self, state: State, requests: RequestStore) -> None:
        self._state = state
        self._requests = requests

    async def all(self, query: asked.RequestsQuery, *, user: str = "") -> RequestsAnswer:
        """Return a page of everyone's requests, or of one user's."""
        found, total = await self._requests.list(state=query.state, user=user, page=query.page, per_page=query.per_page)
        if user:
            _, opened = await self._requests.list(state="open", user=user, page=1, per_page=1)
        else:
            opened = await self._requests.count_open()
        return RequestsAnswer(requests=await self._shown(found), total=total, open=opened)

    async def ask(self, user: str, body: asked.Wish) -> RequestModel:
        return await self._one(await self._requests.ask(user, body.field, body.wanted, body.reason))

    async def withdraw(self, number: int, user: str) -> None:
        await self._requests.withdraw(number, user)

    async def grant(self, number: int, body: asked.Grant, who: str) -> RequestModel:
        granted = await self._requests.grant(number, who, value=body.value, until=body.until, answer=body.answer)
        return await self._one(granted)

    async def decline(self, number: int, body: asked.Decline, who: str) -> RequestModel:
        return await self._one(await self._requests.decline(number, who, body.answer))

    async def _one(self, request: Request) -> RequestModel:
        return (await self._shown([request]))[0]

    async def _shown(self, requests: Sequence[Request]) -> list[RequestModel]:
        table = await self._state.some({request.user for request in requests})
        return [_model(table, request) for request in requests]


def _model(table: Table, request: Request) -> RequestModel:
    member = table.member(request.user) or Member(request.user)
    current = table.limits(member)[request.field]
    return RequestModel(
        id=request.id,
        user=request.user,
        field=request.field,
        wanted=plain(request.wanted),
        current=CurrentLimit(value=plain(current.value), source=current.source),
        reason=request.reason,
        created_at=request.created_at,
        state=request.state,
        decided_by=request.decided_by,
        decided_at=request.decided_at,
        granted=plain(request.granted),
        until=request.until,
        answer=request.answer,
    )
