"""What was changed, by whom and why."""

from hub_ext.limits.resolve import plain
from hub_ext.limits.store import LimitStore

from . import asked
from .answers import HistoryAnswer, HistoryBatch, HistoryLine


class History:
    """The audit, newest first, in the batches in which it was made."""

    def __init__(self, store: LimitStore) -> None:
        self._store = store

    async def page(self, query: asked.HistoryQuery) -> HistoryAnswer:
        found = await self._store.history(
            scope=query.scope,
            name=query.name,
            who=query.who,
            field=query.field,
            batch=query.batch,
            page=query.page,
            per_page=query.per_page,
        )
        return HistoryAnswer(
            batches=[
                HistoryBatch(
                    batch=batch.batch,
                    at=batch.at,
                    who=batch.who,
                    reason=batch.reason,
                    undoes=batch.undoes,
                    undone=batch.undone,
                    left_off=batch.left_off,
                    lines=[
                        HistoryLine(
                            scope=line.subject.scope,
                            name=line.subject.name,
                            field=line.field,
                            before=plain(line.before),
                            after=plain(line.after),
                            before_until=line.before_until,
                            after_until=line.after_until,
                        )
                        for line in batch.lines
                    ],
                )
                for batch in found.batches
            ],
            total=found.total,
            page=query.page,
        )
