"""Why a change of limits was refused, in words."""

from collections.abc import Sequence

from ..errors import PublicError
from .history import HistoryLine
from .model import OwnValue, Subject
from .text import write_end, write_time, write_value

LINES_TOLD = 5


def changed_meanwhile(subject: Subject, lines: Sequence[HistoryLine], revision: int) -> PublicError:
    """Somebody else has changed this subject since the editor looked."""
    left_off = len(lines) - LINES_TOLD
    more = [f"And {left_off} more."] if left_off > 0 else []
    return PublicError(
        "limits-changed",
        f"The limits of {_whose(subject)} were changed meanwhile.",
        details=[*(_told(line) for line in lines[:LINES_TOLD]), *more],
        remedy="Look at them as they are now, and change them again if it is still needed.",
        numbers={"revision": revision},
    )


def value_changed(line: HistoryLine, own: OwnValue) -> PublicError:
    """A value is no longer what the change made it that should be taken back."""
    made = _value(line.field, OwnValue(line.after, line.after_until))
    return PublicError(
        "limits-changed",
        f"'{line.field}' of {_whose(line.subject)} was changed again since.",
        details=[f"That change made it {made}; now it is {_value(line.field, own)}."],
        remedy="Take back the later change first, or set the value itself.",
    )


def no_such_change(batch: str) -> PublicError:
    return PublicError("no-such-change", f"The history has no change {batch[:40]!a}.")


def nothing_left(batch: str) -> PublicError:
    return PublicError(
        "limits-changed",
        f"Change {batch} ended values whose time was over: that can't be taken back.",
        remedy="Set the value again, with a later end.",
    )


def configured_elsewhere(batch: str) -> PublicError:
    return PublicError(
        "limits-changed",
        f"Change {batch} was made in the Hub's configuration file: that can't be taken back here.",
        remedy="Change the file and restart the Hub, or set another value over it.",
    )


def _told(line: HistoryLine) -> str:
    at = f" at {write_time(line.at)}" if line.at else ""
    before, after = (write_value(line.field, value) for value in (line.before, line.after))
    return f"{line.who} changed '{line.field}' from {before} to {after}{at}."


def _value(name: str, own: OwnValue) -> str:
    until = f" until {write_end(own.until)}" if own.until else ""
    return write_value(name, own.value) + until


def _whose(subject: Subject) -> str:
    return "everybody" if subject.scope == "default" else str(subject)
