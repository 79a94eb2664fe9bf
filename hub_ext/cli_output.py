"""Columns, and limits in columns, for a terminal."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .limits.history import HistoryBatch, HistoryLine
from .limits.model import OwnValue
from .limits.requests import Request
from .limits.resolve import ResolvedLimit, plain
from .limits.text import write_end, write_time, write_value


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Align rows."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def limits_table(limits: Mapping[str, ResolvedLimit]) -> str:
    """Write limits with where each comes from."""
    rows = [("LIMIT", "VALUE", "FROM", "")]
    for name, limit in limits.items():
        notes = ["the Hub's configuration"] if limit.configured else []
        notes += [f"until {write_end(limit.until)}"] if limit.until else []
        rows.append((name, write_value(name, limit.value), limit.source, ", ".join(notes)))
    return columns(rows)


def own_table(rows: Iterable[tuple[str, Mapping[str, OwnValue]]]) -> str:
    """Write the own values of several subjects, a line each."""
    cells = [("WHOSE", "LIMIT", "VALUE", "")]
    for whose, values in rows:
        for name, own in values.items():
            after = f", then {write_value(name, own.value_after)}" if own.until else ""
            note = f"until {write_end(own.until)}{after}" if own.until else ""
            cells.append((whose, name, write_value(name, own.value), note))
    return columns(cells) if len(cells) > 1 else "Nobody has a value: every limit is what the Hub's configuration says."


def own_json(values: Mapping[str, OwnValue]) -> dict[str, Any]:
    """Return own values as plain JSON."""
    return {
        name: {
            "value": plain(own.value),
            "until": own.until.isoformat() if own.until else None,
            "value_after": plain(own.value_after),
        }
        for name, own in values.items()
    }


def batch_text(batch: HistoryBatch) -> str:
    """Write what one action changed."""
    notes = [f"takes back {batch.undoes}"] if batch.undoes else []
    notes += ["taken back since"] if batch.undone else []
    words = [write_time(batch.at), batch.who, batch.batch, *([f"({', '.join(notes)})"] if notes else []), batch.reason]
    lines = ["  ".join(word for word in words if word)]
    lines += [f"    {line.subject}: {line.field} {_change(line)}" for line in batch.lines]
    return "\n".join([*lines, *([f"    and {batch.left_off} more"] if batch.left_off else [])])


def batch_json(batch: HistoryBatch) -> dict[str, Any]:
    """Return what one action changed as plain JSON."""
    return {
        "batch": batch.batch,
        "at": batch.at.isoformat(),
        "who": batch.who,
        "reason": batch.reason,
        "undoes": batch.undoes,
        "undone": batch.undone,
        "lines": [_line_json(line) for line in batch.lines],
        "left_off": batch.left_off,
    }


def requests_table(requests: Sequence[Request]) -> str:
    """Write requests, a line each."""
    rows = [("ID", "STATE", "USER", "LIMIT", "WANTED", "SINCE", "REASON")]
    for one in requests:
        wanted, since = write_value(one.field, one.wanted), write_time(one.created_at)
        rows.append((str(one.id), one.state, one.user, one.field, wanted, since, " ".join(one.reason.split())))
    return columns(rows)


def request_json(request: Request) -> dict[str, Any]:
    """Return a request as plain JSON."""
    times = {name: getattr(request, name) for name in ("created_at", "decided_at", "until")}
    return {
        **vars(request),
        "wanted": plain(request.wanted),
        "granted": plain(request.granted),
        **{name: moment.isoformat() if moment else None for name, moment in times.items()},
    }


def as_text(data: Any) -> str:
    """Write JSON for programs."""
    return json.dumps(data, indent=2, ensure_ascii=False)


def _change(line: HistoryLine) -> str:
    before = _with_end(line.field, OwnValue(line.before, line.before_until))
    return f"{before} → {_with_end(line.field, OwnValue(line.after, line.after_until))}"


def _with_end(name: str, own: OwnValue) -> str:
    return write_value(name, own.value) + (f" (until {write_end(own.until)})" if own.until else "")


def _line_json(line: HistoryLine) -> dict[str, Any]:
    return {
        "scope": line.subject.scope,
        "name": line.subject.name,
        "field": line.field,
        "before": plain(line.before),
        "before_until": line.before_until.isoformat() if line.before_until else None,
        "after": plain(line.after),
        "after_until": line.after_until.isoformat() if line.after_until else None,
    }
