"""Where a start is, in words. Pure."""

from dataclasses import dataclass
from html import escape
from typing import Any

from hub_ext.cluster import StartState

#: What YARN says of an application that waits, and what that means to a person.
REASONS = (
    ("queue's am resource limit", "the queue runs as many drivers as it may at once"),
    ("user's am resource limit", "you run as many drivers in this queue as you may at once"),
    ("am-resource-percent", "the queue runs as many drivers as it may at once"),
    ("queue resource limit", "the queue is full"),
    ("user limit", "you hold as much of this queue as you may"),
    ("cluster resource is empty", "no node of the cluster works at the moment"),
)


@dataclass(frozen=True)
class Whereabouts:
    """How far a start has come. `phase` is one of `phases.PHASES`; `ahead` is None where there is no line."""

    phase: str = "requested"
    ahead: int | None = None
    queue: str = ""
    used_percent: int | None = None
    why: str = ""
    host: str = ""


def in_line(ahead: int) -> Whereabouts:
    """Say that a start waits for its turn to be submitted."""
    return Whereabouts("requested", ahead=ahead)


SUBMITTING = Whereabouts("submitted")
CONNECTING = Whereabouts("connected")


def in_yarn(told: StartState) -> Whereabouts:
    """Read what YARN has of a kernel."""
    queue = told.queue.rsplit(".", 1)[-1]
    if told.state == "RUNNING" or (told.state == "ACCEPTED" and told.containers):
        return Whereabouts("driver", queue=queue, host=told.host)
    if told.state != "ACCEPTED":
        return SUBMITTING
    return Whereabouts("accepted", told.ahead, queue, told.used_percent, _reason(told.diagnostics))


def _reason(diagnostics: str) -> str:
    lowered = diagnostics.lower()
    return next((words for sign, words in REASONS if sign in lowered), "")


def words(where: Whereabouts) -> str:
    """Say where a start is, as the part of a sentence that follows "Starting in YARN:"."""
    if where.phase == "requested":
        return "about to be submitted" if not where.ahead else f"waiting to be submitted, {_ahead(where.ahead)}"
    if where.phase == "submitted":
        return "submitted"
    if where.phase == "accepted":
        used = f" ({where.used_percent} % used)" if where.used_percent is not None else ""
        place = f", {_ahead(where.ahead)}" if where.ahead is not None else ""
        why = f"; {where.why}" if where.why else ""
        return f"accepted in queue {where.queue}{used}{place}{why}"
    if where.phase == "driver":
        return f"driver starting on node {where.host}" if where.host else "driver starting"
    return "connecting to the driver"


def _ahead(number: int) -> str:
    return "nobody ahead of you" if number == 0 else f"{number} ahead of you"


def sentence(where: Whereabouts, seconds: float) -> str:
    """Say it to a person who waits."""
    return f"Starting in YARN: {words(where)}, {elapsed(seconds)}"


def html(text: str) -> str:
    return f"<em>{escape(text)}</em>"


def elapsed(seconds: float) -> str:
    """Write a time that goes on: ``11 s``, ``4 min 05 s``, ``1 h 02 min``."""
    whole = int(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def as_json(where: Whereabouts, seconds: float) -> dict[str, Any]:
    """Return it for programs and pages."""
    return {"phase": where.phase, "ahead": where.ahead, "text": words(where), "seconds": int(max(seconds, 0))}
