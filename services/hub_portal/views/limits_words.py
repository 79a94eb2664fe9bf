"""Previews, changes and requests in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hub_ext.limits.history import CONFIGURATION, END_DATE

from ..limits_models import Batch, ChangeLine, LimitRequest, PersonLimits, Preview, Value
from .limits import badge, day_words, label, names_words, value_text, value_words
from .limits_table import use_of
from .words import count, since

STATES: Mapping[str, tuple[str, str]] = {
    "open": ("open", "waiting"),
    "granted": ("granted", "ok"),
    "declined": ("declined", "bad"),
    "withdrawn": ("withdrawn", "waiting"),
}


def preview_lines(preview: Preview) -> tuple[str, ...]:
    """Say whom a change would affect, a sentence each."""
    total = preview.affected + preview.unchanged
    people = count(total, "person", "people")
    lines = [f"affects {preview.affected:,} of {people}{_of(preview.names, preview.affected)}"]
    if preview.personal:
        more = max(0, preview.unchanged - len(preview.personal))
        keeps = "keeps another value" if preview.unchanged == 1 else "keep other values"
        lines.append(f"{preview.unchanged:,} {keeps}: {names_words(preview.personal, more)}")
    elif preview.unchanged:
        lines.append(f"{preview.unchanged:,} have other values that stay")
    if preview.over:
        lines.append(
            f"{len(preview.over):,} would be over their limit: {names_words(preview.over)}; "
            "their running kernels stay, new ones are refused"
        )
    return tuple(lines)


def _of(names: Sequence[str], total: int) -> str:
    return f": {names_words(names, total - len(names))}" if names else ""


@dataclass(frozen=True)
class LineView:
    """A changed field."""

    subject: str
    scope: str
    name: str
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class BatchView:
    """A change with everything that belongs to it."""

    batch: str
    at: datetime
    who: str
    reason: str
    undone: bool
    undoes: bool
    lines: tuple[LineView, ...]
    hidden: int
    ago: str
    #: What nobody did can't be taken back: a date that came, a configuration that was read.
    can_undo: bool


#: More lines of one change are counted instead of shown.
MOST_LINES = 20


def batch_view(batch: Batch, now: datetime) -> BatchView:
    """Make a line of the history."""
    return BatchView(
        batch=batch.batch,
        at=batch.at,
        who=batch.who,
        reason=batch.reason,
        undone=batch.undone,
        undoes=bool(batch.undoes),
        lines=tuple(_line(one, now) for one in batch.lines[:MOST_LINES]),
        hidden=max(0, len(batch.lines) - MOST_LINES) + batch.left_off,
        ago=f"{since(batch.at, now)} ago",
        can_undo=not batch.undone and batch.who not in (CONFIGURATION, END_DATE),
    )


def _line(one: ChangeLine, now: datetime) -> LineView:
    return LineView(
        subject="default" if one.scope == "default" else f"{one.scope} {one.name}",
        scope=one.scope,
        name=one.name,
        field=label(one.field),
        before=_with_end(one.field, one.before, one.before_until, now),
        after=_with_end(one.field, one.after, one.after_until, now),
    )


def _with_end(name: str, value: Value, until: datetime | None, now: datetime) -> str:
    words = "inherited" if value is None else value_words(name, value)
    return f"{words} until {day_words(until, now)}" if until else words


@dataclass(frozen=True)
class RequestView:
    """A request, for whoever asked and whoever decides."""

    id: int
    user: str
    field: str
    label: str
    wanted: str
    wanted_text: str
    current: str
    source: str
    reason: str
    state: str
    level: str
    asked: str
    open: bool
    decision: str
    answer: str
    use: str


def request_view(one: LimitRequest, now: datetime, person: PersonLimits | None = None) -> RequestView:
    """Make a request's view; `person` adds what they use now."""
    state, level = STATES.get(one.state, (one.state, "waiting"))
    return RequestView(
        id=one.id,
        user=one.user,
        field=one.field,
        label=label(one.field),
        wanted=value_words(one.field, one.wanted),
        wanted_text=value_text(one.field, one.wanted) or str(one.wanted or ""),
        current=value_words(one.field, one.current.value),
        source=badge(one.current, now).text,
        reason=one.reason,
        state=state,
        level=level,
        asked=f"{since(one.created_at, now)} ago" if one.created_at else "",
        open=one.state == "open",
        decision=_decision(one, now),
        answer=one.answer or "",
        use=use_of(person).words if person else "",
    )


def _decision(one: LimitRequest, now: datetime) -> str:
    if one.state == "open" or not one.decided_by:
        return ""
    by = f"by {one.decided_by}"
    if one.state != "granted":
        return by
    value = value_words(one.field, one.granted if one.granted is not None else one.wanted)
    return f"{value}{f' until {day_words(one.until, now)}' if one.until else ''} {by}"


def saved_words(scope: str, name: str, batch: str) -> str:
    """Say that a change is in force."""
    subject = "the default" if scope == "default" else f"{scope} {name}"
    said = f"Saved. New starts by {subject} use the new limits." if scope == "user" else f"Saved for {subject}."
    return said if batch else "Nothing was changed: the values are the same."
