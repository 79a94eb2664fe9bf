"""``limits/groups`` and ``limits/default``."""

from hub_ext.limits.model import DEFAULT, Subject

from ..limits_api import answers, asked
from .limits_base import LimitsHandler, operation

CHANGE_ERRORS = ("limits-changed", "limits-need-confirmation")


class GroupsHandler(LimitsHandler):
    @operation("List the groups that have a member or a value.", answers.GroupsAnswer)
    async def get(self) -> answers.GroupsAnswer:
        return await self.limits.reading.groups()


class GroupHandler(LimitsHandler):
    @operation("Tell a group's own values and what it inherits.", answers.SubjectLimits, errors=("no-such-subject",))
    async def get(self, name: str) -> answers.SubjectLimits:
        return await self.limits.reading.subject(Subject("group", name))

    @operation("Change a group's own values.", answers.SubjectChanged, body=asked.Change, errors=CHANGE_ERRORS)
    async def patch(self, name: str, body: asked.Change) -> answers.SubjectChanged:
        return await self.limits.changing.subject(Subject("group", name), body, self.who)


class DefaultHandler(LimitsHandler):
    @operation("Tell everybody's default.", answers.SubjectLimits)
    async def get(self) -> answers.SubjectLimits:
        return await self.limits.reading.subject(DEFAULT)

    @operation("Change everybody's default.", answers.SubjectChanged, body=asked.Change, errors=CHANGE_ERRORS)
    async def patch(self, body: asked.Change) -> answers.SubjectChanged:
        return await self.limits.changing.subject(DEFAULT, body, self.who)
