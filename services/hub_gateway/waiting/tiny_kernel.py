"""A very small kernel, until the real one is there: a request in, answers out. Pure.

It answers what a client asks of itself while it opens a notebook, keeps what only the real kernel can do, and says so
where neither is possible.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from hub_ext.errors import PublicError

from .messages import IOPUB, PROTOCOL, Message

#: What becomes of a request: it is done with, kept for the real kernel, or asks for the start's end or repetition.
Deed = Literal["done", "keep", "interrupt", "stop", "restart"]

#: What editors go by, for the languages of our own definitions.
LANGUAGES: dict[str, dict[str, Any]] = {
    "python": {
        "name": "python",
        "version": "3",
        "mimetype": "text/x-python",
        "file_extension": ".py",
        "pygments_lexer": "ipython3",
        "codemirror_mode": {"name": "ipython", "version": 3},
        "nbconvert_exporter": "python",
    },
    "r": {"name": "R", "version": "", "mimetype": "text/x-r-source", "file_extension": ".r", "pygments_lexer": "r"},
    "scala": {"name": "scala", "version": "", "mimetype": "text/x-scala", "file_extension": ".scala"},
}


@dataclass(frozen=True)
class Said:
    """A message of ours: its type, content and channel. It belongs to the request, unless it is about no one's."""

    kind: str
    content: dict[str, Any]
    channel: str = IOPUB
    about_request: bool = True


@dataclass(frozen=True)
class Answer:
    """What is said to a request, and what becomes of it."""

    said: tuple[Said, ...] = ()
    deed: Deed = "done"


@dataclass(frozen=True)
class Failure:
    """Why the kernel will not come: a name, a sentence, and all lines for a person."""

    name: str
    sentence: str
    lines: tuple[str, ...] = field(default=())

    def content(self) -> dict[str, Any]:
        return {"ename": self.name, "evalue": self.sentence, "traceback": list(self.lines)}


def failure_of(error: PublicError, headline: str = "This kernel could not start.") -> Failure:
    """Say in a cell why it has no answer. The headline is red."""
    first, *more = error.lines()
    return Failure("KernelStartError", first, (f"\x1b[31m{headline}\x1b[39m", first, *more))


def is_cell(message: Message) -> bool:
    return message.kind == "execute_request"


def is_shown(message: Message) -> bool:
    """Say whether a cell of a person can carry a word about the wait."""
    return is_cell(message) and not message.content.get("silent")


def answer(message: Message, language: str) -> Answer:
    """Answer a request while the kernel starts."""
    if is_cell(message):
        return Answer((status("busy"),), "keep")
    if message.kind == "interrupt_request":
        return _replied(message, {"status": "ok"}, "interrupt")
    if message.kind == "shutdown_request":
        again = bool(message.content.get("restart"))
        return _replied(message, {"status": "ok", "restart": again}, "restart" if again else "stop")
    content = _reply_content(message, language)
    if content is not None:
        return _replied(message, content)
    # Widgets' messages, and what we do not know: the kernel's to answer. Input without a question is nobody's.
    return Answer((), "done" if message.channel == "stdin" else "keep")


def answer_of_none(message: Message, failure: Failure, language: str) -> Answer:
    """Answer a request to a kernel that will not come."""
    if is_cell(message):
        return Answer((status("busy"), *failed(failure)))
    first = answer(message, language)
    return first if first.deed == "done" else Answer(first.said, "done" if first.deed == "keep" else first.deed)


def failed(failure: Failure) -> Iterator[Said]:
    """Say to a cell that is being executed that its kernel will not come."""
    content = failure.content()
    yield Said("error", content)
    yield Said("execute_reply", {"status": "error", "execution_count": 0, **content}, "shell")
    yield status("idle")


def aborted() -> Iterator[Said]:
    """Say to a cell that is being executed that it will not be."""
    yield Said("execute_reply", {"status": "aborted"}, "shell")
    yield status("idle")


def status(state: str, *, about_request: bool = True) -> Said:
    return Said("status", {"execution_state": state}, about_request=about_request)


def display(display_id: str, html: str, text: str, *, again: bool) -> Said:
    """Show a line in a cell, or replace the line that is there."""
    content = {
        "data": {"text/html": html, "text/plain": text},
        "metadata": {},
        "transient": {"display_id": display_id},
    }
    return Said("update_display_data" if again else "display_data", content)


CLEAR = Said("clear_output", {"wait": False})


def _replied(message: Message, content: dict[str, Any], deed: Deed = "done") -> Answer:
    kind = message.kind.removesuffix("_request") + "_reply"
    return Answer((status("busy"), Said(kind, content, message.channel), status("idle")), deed)


def _reply_content(message: Message, language: str) -> dict[str, Any] | None:
    """Return what a request is told at once; None when it has to wait."""
    kind, content = message.kind, message.content
    if kind == "kernel_info_request":
        return kernel_info(language)
    if kind == "comm_info_request":
        return {"status": "ok", "comms": {}}
    if kind == "history_request":
        return {"status": "ok", "history": []}
    if kind == "complete_request":
        at = content.get("cursor_pos", 0)
        return {"status": "ok", "matches": [], "cursor_start": at, "cursor_end": at, "metadata": {}}
    if kind == "inspect_request":
        return {"status": "ok", "found": False, "data": {}, "metadata": {}}
    if kind == "is_complete_request":
        return {"status": "unknown"}
    if kind == "debug_request":
        return {
            "type": "response",
            "request_seq": content.get("seq", 0),
            "success": False,
            "command": content.get("command", ""),
            "message": "The kernel is starting.",
        }
    return None


def kernel_info(language: str) -> dict[str, Any]:
    """Describe the kernel that is to come, as far as its kernelspec tells."""
    name = language.lower()
    return {
        "status": "ok",
        "protocol_version": PROTOCOL,
        "implementation": "starting",
        "implementation_version": "",
        "language_info": LANGUAGES.get(name, {"name": name or "python", "version": "", "mimetype": "text/plain"}),
        "banner": "",
        "help_links": [],
    }
