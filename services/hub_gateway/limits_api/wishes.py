"""Requests for more: asking, looking, answering."""

from collections.abc import Collection, Sequence

from hub_ext.errors import PublicError
from hub_ext.limits import UNLIMITED, Value
from hub_ext.limits.fields import FIELDS, checked
from hub_ext.limits.model import Edit, Subject
from hub_ext.limits.requests import OPEN, Request, RequestStore
from hub_ext.limits.resolve import plain
from hub_ext.limits.text import write_value

from . import asked
from .advice import Adviser, unconfirmed
from .answers import CurrentLimit, RequestModel, RequestsAnswer
from .operations import invalid
from .state import State
from .table import Member, Table


class Wishes:
    """What people ask for, beside the limit that they have now."""

    def __init__(self, state: State, requests: RequestStore, adviser: Adviser) -> None:
        self._state = state
        self._requests = requests
        self._adviser = adviser

    async def all(self, query: asked.RequestsQuery, *, user: str = "") -> RequestsAnswer:
        """Return a page of everyone's requests, or of one user's."""
        found, total = await self._requests.list(state=query.state, user=user, page=query.page, per_page=query.per_page)
        if user:
            _, opened = await self._requests.list(state="open", user=user, page=1, per_page=1)
        else:
            opened = await self._requests.count_open()
        return RequestsAnswer(requests=await self._shown(found), total=total, open=opened)

    async def one(self, number: int) -> RequestModel:
        """Return one request, whatever became of it."""
        return await self._one(await self._requests.get(number))

    async def ask(self, user: str, groups: Collection[str], body: asked.Wish) -> RequestModel:
        """Ask for more; less than one has is not asked for but used."""
        table = await self._state.some([user], {user: groups})
        has = table.limits(table.member(user) or Member(user, tuple(groups)))[body.field].value
        wanted = checked(body.field, body.wanted)
        if not is_less(has, wanted):
            raise _has_that(body.field, has)
        return await self._one(await self._requests.ask(user, body.field, body.wanted, body.reason))

    async def withdraw(self, number: int, user: str) -> None:
        await self._requests.withdraw(number, user)

    async def grant(self, number: int, body: asked.Grant, who: str) -> RequestModel:
        """Give what was asked for, or another value; like every change, it may need a second thought.

        Raises
        ------
        PublicError
            ``limits-need-confirmation``; ``limits-changed``; as `RequestStore.grant`.
        """
        request = await self._requests.get(number)
        if request.state == OPEN and not body.confirmed:
            warnings = await self._warnings(request, body)
            if warnings:
                raise unconfirmed(warnings)
        granted = await self._requests.grant(
            number, who, value=body.value, until=body.until, answer=body.answer, revision=body.revision
        )
        return await self._one(granted)

    async def _warnings(self, request: Request, body: asked.Grant) -> list[str]:
        table = await self._state.some([request.user])
        subject = Subject("user", request.user)
        if body.revision is not None and body.revision != table.resolver.all.of(subject).revision:
            return []  # it will be refused for that
        value = request.wanted if body.value is None else checked_value(request.field, body.value)
        _, found = await self._adviser.look(table, [Edit(subject, {request.field: value}, body.until)])
        has = table.limits(table.member(request.user) or Member(request.user))[request.field].value
        if not is_less(value, has):
            return found
        words = f"{write_value(request.field, value)} is less than what {request.user} has now"
        return [f"{words} ({write_value(request.field, has)}).", *found]

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
        revision=table.resolver.all.of(Subject("user", request.user)).revision,
    )


def is_less(value: Value, than: Value) -> bool:
    """Say whether a limit allows less than another, or leaves something out that the other has."""
    if value == UNLIMITED or than == UNLIMITED:
        return value != UNLIMITED
    if isinstance(value, tuple) and isinstance(than, tuple):
        return not set(value) >= set(than)
    return isinstance(value, int) and isinstance(than, int) and value < than


def checked_value(name: str, value: object) -> Value:
    """Return a value as the store takes it.

    Raises
    ------
    PublicError
        ``limits-invalid``.
    """
    try:
        return checked(name, value)
    except ValueError as error:
        raise invalid([str(error)], field=name) from error


def _has_that(name: str, has: Value) -> PublicError:
    label = FIELDS[name].label
    return invalid([f"{label}: you have {write_value(name, has)} already. Ask for more than that."], field=name)
