"""``limits/history``: what was changed, and taking it back; ``limits/export`` and ``limits/import``."""

from ..limits_api import answers, asked
from ..limits_api.api import LimitsApi
from .base import Parts
from .limits_base import LimitsHandler, operation

MAXIMUM_FILE_BYTES = 16 * 1024 * 1024


class HistoryHandler(LimitsHandler):
    @operation("List changes, newest first.", answers.HistoryAnswer, query=asked.HistoryQuery)
    async def get(self, query: asked.HistoryQuery) -> answers.HistoryAnswer:
        return await self.limits.history.page(query)


class UndoHandler(LimitsHandler):
    @operation(
        "Take a change back, if its values are still those that it made.",
        answers.UndoAnswer,
        body=asked.Undo,
        errors=("no-such-change", "limits-changed"),
    )
    async def post(self, batch: str, body: asked.Undo) -> answers.UndoAnswer:
        return await self.limits.changing.undo(batch, body, self.who)


class ExportHandler(LimitsHandler):
    @operation("Give all own values as a file.", str)
    async def get(self) -> str:
        return await self.limits.changing.export()


class ImportHandler(LimitsHandler):
    """Takes larger bodies than others: what was exported has to fit."""

    def initialize(self, parts: Parts, limits: LimitsApi | None = None) -> None:
        super().initialize(parts, limits)
        self._maximum = max(self._maximum, MAXIMUM_FILE_BYTES)

    @operation(
        "Make the limits those of a file, or tell what that would change.",
        answers.ImportAnswer,
        query=asked.ImportQuery,
        body=str,
        errors=("limits-changed", "limits-need-confirmation"),
    )
    async def post(self, query: asked.ImportQuery, body: str) -> answers.ImportAnswer:
        return await self.limits.changing.import_file(body, query, self.who)
