"""``limits/users``: the table of users, one user, several at once; ``limits/preview``."""

from ..limits_api import answers, asked
from .limits_base import LimitsHandler, operation


class UsersHandler(LimitsHandler):
    @operation("List users with limits and use.", answers.UsersAnswer, query=asked.UsersQuery)
    async def get(self, query: asked.UsersQuery) -> answers.UsersAnswer:
        return await self.limits.reading.users(query)


class UserHandler(LimitsHandler):
    @operation(
        "Tell one user's limits and use; users themselves may ask for their own.",
        answers.UserDetail,
        rights="self",
        errors=("no-such-subject",),
    )
    async def get(self, name: str) -> answers.UserDetail:
        is_caller = self.identity.is_user and name == self.identity.name
        return await self.limits.reading.user(name, self.identity.groups if is_caller else None)

    @operation(
        "Change a user's own values.",
        answers.UserChanged,
        body=asked.Change,
        errors=("limits-changed", "limits-need-confirmation"),
    )
    async def patch(self, name: str, body: asked.Change) -> answers.UserChanged:
        return await self.limits.changing.user(name, body, self.who)


class BatchHandler(LimitsHandler):
    @operation(
        "Change the own values of several users: all of them or none.",
        answers.BatchAnswer,
        body=asked.BatchChange,
        errors=("limits-changed", "limits-need-confirmation"),
    )
    async def post(self, body: asked.BatchChange) -> answers.BatchAnswer:
        return await self.limits.changing.batch(body, self.who)


class PreviewHandler(LimitsHandler):
    @operation("Tell whom a change would concern, without making it.", answers.PreviewAnswer, body=asked.Preview)
    async def post(self, body: asked.Preview) -> answers.PreviewAnswer:
        return await self.limits.reading.preview(body)
