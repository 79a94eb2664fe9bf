"""What changes limits: one subject, several users at once, taking a change back, a file."""

import asyncio
import hashlib
import json
from collections.abc import Sequence

from hub_ext.errors import PublicError
from hub_ext.limits.model import AllLimits, Edit, Subject
from hub_ext.limits.store import LimitStore
from hub_ext.limits.yaml_io import describe, export_yaml, import_plan, parse_yaml

from . import asked, shown
from .advice import Adviser, unconfirmed
from .answers import BatchAnswer, ImportAnswer, SubjectChanged, UndoAnswer, UserChanged
from .state import State
from .table import Member, Table


class Changing:
    """Changes, each in one transaction of the store and with the name of who made it."""

    def __init__(self, state: State, store: LimitStore, adviser: Adviser) -> None:
        self._state = state
        self._store = store
        self._adviser = adviser

    async def user(self, name: str, body: asked.Change, who: str) -> UserChanged:
        """Change a user's own values; also those of somebody who has not logged in yet, once that is confirmed."""
        batch, warnings = await self._change(Subject("user", name), body, who)
        table = await self._state.some([name])
        row = shown.user_limits(table, table.member(name) or Member(name))
        return UserChanged(**dict(row), batch=batch, warnings=warnings)

    async def subject(self, subject: Subject, body: asked.Change, who: str) -> SubjectChanged:
        """Change the own values of the default or of a group."""
        batch, warnings = await self._change(subject, body, who)
        row = shown.subject_limits(await self._state.table(), subject)
        return SubjectChanged(**dict(row), batch=batch, warnings=warnings)

    async def _change(self, subject: Subject, body: asked.Change, who: str) -> tuple[str | None, list[str]]:
        table = await (self._state.some([subject.name]) if subject.scope == "user" else self._state.table())
        edit = Edit(subject, body.values, until=body.until, revision=body.revision)
        warnings: list[str] = []
        if not _is_outdated(table, subject, body.revision):
            warnings = await self._warned(table, [edit], confirmed=body.confirmed)
        batch = await self._store.apply([edit], who=who, reason=body.reason)
        return (batch if await self._state.changed_by(batch) else None), warnings

    async def batch(self, body: asked.BatchChange, who: str) -> BatchAnswer:
        """Change several users' own values, all or none."""
        table = await self._state.some(body.users)
        edits = [
            Edit(Subject("user", name), body.values, until=body.until, revision=body.revisions.get(name))
            for name in body.users
        ]
        warnings = await self._warned(table, edits, confirmed=body.confirmed)
        batch = await self._store.apply(edits, who=who, reason=body.reason)
        changed = await self._state.changed_by(batch)
        return BatchAnswer(batch=batch if changed else None, changed=changed, warnings=warnings)

    async def undo(self, batch: str, body: asked.Undo, who: str) -> UndoAnswer:
        """Take a change back."""
        return UndoAnswer(batch=await self._store.undo(batch, who=who, reason=body.reason))

    async def export(self) -> str:
        return await asyncio.to_thread(export_yaml, await self._store.everything())

    async def import_file(self, text: str, query: asked.ImportQuery, who: str) -> ImportAnswer:
        """Make the limits those of a file, or tell what that would change."""
        table = await self._state.table()
        plan, changes = await asyncio.to_thread(_plan, table.resolver.all, text, query.merge)
        digest = _digest(plan, changes)
        if query.plan not in ("", digest):
            raise _other_plan()
        removed = [] if query.merge else _removed(plan)
        warnings = await self._warned(table, plan, removed, confirmed=query.confirmed or query.dry_run)
        batch = None
        if plan and not query.dry_run:
            batch = await self._store.apply(plan, who=who, reason=_why(query.reason))
        return ImportAnswer(changes=changes, batch=batch, warnings=warnings, plan=digest)

    async def _warned(
        self, table: Table, edits: Sequence[Edit], known: Sequence[str] = (), *, confirmed: bool
    ) -> list[str]:
        """Return what should be thought about, with what is `known` already, or refuse until it was.

        Raises
        ------
        PublicError
            ``limits-need-confirmation``.
        """
        _, found = await self._adviser.look(table, edits)
        warnings = [*known, *found]
        if warnings and not confirmed:
            raise unconfirmed(warnings)
        return warnings


def _is_outdated(table: Table, subject: Subject, revision: int | None) -> bool:
    """Say whether the store will refuse this change anyway, so that nobody confirms what can't be done."""
    return revision is not None and revision != table.resolver.all.of(subject).revision


def _plan(limits: AllLimits, text: str, merge: bool) -> tuple[list[Edit], list[str]]:
    plan = import_plan(limits, parse_yaml(text, merge=merge), merge=merge)
    return plan, describe(plan)


def _digest(plan: Sequence[Edit], changes: Sequence[str]) -> str:
    """Return what stands for a plan: its changes and what they start from."""
    revisions = sorted({(str(edit.subject), edit.revision) for edit in plan})
    return hashlib.sha256(json.dumps([changes, revisions]).encode()).hexdigest()


def _other_plan() -> PublicError:
    return PublicError(
        "limits-changed",
        "Nothing was changed: limits have changed meanwhile, and the file would change something else than you saw.",
        remedy="Look at what it would change now, then apply it.",
    )


def _why(reason: str) -> str:
    return f"imported from a file: {reason}"[:500] if reason else "imported from a file"


def _removed(plan: Sequence[Edit]) -> list[str]:
    """Say how much the file takes away by not naming it."""
    count = sum(value is None for edit in plan for value in edit.values.values())
    if not count:
        return []
    values = "1 value is" if count == 1 else f"{count} values are"
    return [f"{values} taken away, as the file does not name them: 'merge' keeps such."]
