"""``limits/my`` and requests for more: ``limits/my/requests``, ``limits/requests``."""

from ..limits_api import answers, asked
from .limits_base import LimitsHandler, operation

DECIDED = ("no-such-request", "request-decided")


class MyHandler(LimitsHandler):
    @operation("Tell the caller's own limits, use, and largest kernel.", answers.MyLimits, rights="any")
    async def get(self) -> answers.MyLimits:
        return await self.limits.mine.limits(self.myself, self.identity.groups)


class MyRequestsHandler(LimitsHandler):
    @operation("List the caller's own requests.", answers.RequestsAnswer, rights="any", query=asked.RequestsQuery)
    async def get(self, query: asked.RequestsQuery) -> answers.RequestsAnswer:
        return await self.limits.wishes.all(query, user=self.myself)

    @operation(
        "Ask for more; an open request for the same limit is withdrawn.",
        answers.RequestModel,
        rights="any",
        body=asked.Wish,
        status=201,
        errors=("too-many-requests",),
    )
    async def post(self, body: asked.Wish) -> answers.RequestModel:
        return await self.limits.wishes.ask(self.myself, self.identity.groups, body)


class MyRequestHandler(LimitsHandler):
    @operation("Withdraw a request of one's own.", None, rights="any", status=204, errors=DECIDED)
    async def delete(self, number: int) -> None:
        await self.limits.wishes.withdraw(number, self.myself)


class RequestsHandler(LimitsHandler):
    @operation("List everyone's requests.", answers.RequestsAnswer, query=asked.RequestsQuery)
    async def get(self, query: asked.RequestsQuery) -> answers.RequestsAnswer:
        return await self.limits.wishes.all(query)


class RequestHandler(LimitsHandler):
    @operation("Give one request.", answers.RequestModel, errors=("no-such-request",))
    async def get(self, number: int) -> answers.RequestModel:
        return await self.limits.wishes.one(number)


class GrantHandler(LimitsHandler):
    @operation(
        "Grant a request, or less than was asked for, perhaps until a date.",
        answers.RequestModel,
        body=asked.Grant,
        errors=(*DECIDED, "limits-changed", "limits-need-confirmation"),
    )
    async def post(self, number: int, body: asked.Grant) -> answers.RequestModel:
        return await self.limits.wishes.grant(number, body, self.who)


class DeclineHandler(LimitsHandler):
    @operation("Decline a request.", answers.RequestModel, body=asked.Decline, errors=DECIDED)
    async def post(self, number: int, body: asked.Decline) -> answers.RequestModel:
        return await self.limits.wishes.decline(number, body, self.who)
