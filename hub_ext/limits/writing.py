"""Writes changes of limits with their lines in the history, inside a transaction that holds the lock of limits."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from .changes import configured_lines, planned
from .history import CONFIGURATION, END_DATE, HistoryLine, add_lines, last_lines
from .model import Edit
from .refused import changed_meanwhile
from .rows import Stored, revisions_of, values_of, write_revisions, write_values

#: Lines that are kept of one change of the Hub's configuration.
CONFIGURED_LINES = 500


async def apply_edits(
    session: AsyncSession, edits: Sequence[Edit], now: datetime, *, who: str, reason: str, undoes: str
) -> str:
    """Make all changes and return the id of the batch; empty when there was nothing to change.

    Raises
    ------
    PublicError
        ``limits-changed`` when an editor saw something older.
    """
    subjects = {edit.subject for edit in edits}
    revisions = await session.run_sync(revisions_of, subjects)
    for edit in edits:
        await _check_revision(session, edit, revisions.get(edit.subject, 0))
    current = await session.run_sync(values_of, subjects, skip_unreadable=True)
    if await end_values(session, current, now):
        current = await session.run_sync(values_of, subjects, skip_unreadable=True)
    plan = planned(edits, current)
    if not plan.lines:
        return ""
    batch = secrets.token_hex(8)
    await write_values(session, plan.values)
    changed = {line.subject for line in plan.lines}
    await write_revisions(session, {one: revisions.get(one, 0) + 1 for one in changed}, revisions.keys())
    await add_lines(session, plan.lines, batch=batch, at=now, who=who, reason=reason, undoes=undoes)
    return batch


async def end_values(session: AsyncSession, stored: Stored, now: datetime) -> int:
    """End those of `stored` whose time is over. Time that passes is nobody's edit: revisions stay."""
    lines, values = [], {}
    for subject, fields in stored.items():
        for name, own in fields.items():
            after = own.at(now)
            if after != own:
                lines.append(HistoryLine(subject, name, own.value, after.value, own.until))
                values[subject, name] = after
    await write_values(session, values)
    await add_lines(session, lines, batch=secrets.token_hex(8), at=now, who=END_DATE)
    return len(lines)


async def note_configured(
    session: AsyncSession, before: Mapping[str, Any], after: Mapping[str, Any], now: datetime
) -> None:
    """Write down that the Hub's configuration gives something else than before."""
    lines = configured_lines(before, after)
    left_off = len(lines) - CONFIGURED_LINES
    reason = "the Hub's configuration" + (f", with {left_off} more values" if left_off > 0 else "")
    batch = secrets.token_hex(8)
    await add_lines(session, lines[:CONFIGURED_LINES], batch=batch, at=now, who=CONFIGURATION, reason=reason)


async def _check_revision(session: AsyncSession, edit: Edit, current: int) -> None:
    if edit.revision is None or edit.revision == current:
        return
    lines = await last_lines(session, edit.subject, max(current - edit.revision, 1))
    raise changed_meanwhile(edit.subject, lines, current)
