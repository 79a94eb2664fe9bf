"""One form of log line for all services, and what every line of a request ends with: kernel, user, request.

A line is ``[I 2026-05-04 13:37:00.123 hub_gateway] what happened kernel=… user=… request=…``, or the same as one JSON
object. The three fields stand in a context variable, so that whatever is logged while a request is answered carries
them, also in tasks that it has begun. The request's id travels on to other services in `REQUEST_ID_HEADER`.
"""

import json
import logging
import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime, timezone

REQUEST_ID_HEADER = "X-Request-ID"
#: What a request's id may be made of, wherever it comes from: nothing that could forge a line or a field.
REQUEST_ID_PATTERN = r"[A-Za-z0-9_-]{1,64}"
#: In the order in which they stand in a line.
FIELDS = ("kernel", "user", "request")
LAYOUT = "[%(levelname)1.1s %(asctime)s.%(msecs)03d %(name)s] %(message)s"
TIME_LAYOUT = "%Y-%m-%d %H:%M:%S"
_FIELD = re.compile(r"(?:^| )(kernel|user|request|application|kernelspec|code|case|chore)=([^ ,;:]+)")
_PLAIN = re.compile(r"[A-Za-z0-9_.@+-]{1,200}")
_NOTHING: Mapping[str, str] = {}

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=_NOTHING)


def checked_request_id(given: str | None) -> str:
    """Return the id that a caller sent if it is one, else a new one."""
    return given if given and re.fullmatch(REQUEST_ID_PATTERN, given) else new_request_id()


def new_request_id() -> str:
    """Return an id for a request that brought none, or for work that nobody asked for."""
    return secrets.token_hex(8)


def begin(request: str) -> None:
    """Begin a request or a round of work: what is logged from here on is about it, and about nothing before it."""
    _about.set({"request": request})


def about(**fields: str) -> None:
    """Say what everything that this request or task logs from here on is about: `kernel`, `user`."""
    _about.set({**_about.get(), **{name: value for name, value in fields.items() if value}})


def request_id() -> str:
    """Return the id of the request that is being answered; empty outside of any."""
    return _about.get().get("request", "")


def request_headers() -> dict[str, str]:
    """Return the header that tells another service which request it works for."""
    found = request_id()
    return {REQUEST_ID_HEADER: found} if found else {}


class TextFormatter(logging.Formatter):
    """One line a record; a traceback follows it, indented."""

    def __init__(self) -> None:
        super().__init__(LAYOUT, TIME_LAYOUT)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without control characters, ending with the fields that its message lacks."""
        message = visible(record.getMessage())
        missing = {name: value for name, value in fields_of(record).items() if not _says(name, message)}
        message += "".join(f" {name}={plain(value)}" for name, value in missing.items())
        line = LAYOUT % {**vars(record), "message": message, "asctime": self.formatTime(record, TIME_LAYOUT)}
        # No line of a traceback may be taken for a record.
        below = self.formatException(record.exc_info) if record.exc_info else record.stack_info
        return f"{line}\n{_indented(below)}" if below else line


class JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what a message says as ``name=value`` is a field of its own."""
        message = record.getMessage()
        found = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            # The first of a name: what others said stands at a message's end.
            **dict(reversed(_FIELD.findall(visible(message)))),
            **fields_of(record),
        }
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str)


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Return the fields of the request or task that logs; those that a line's ``extra`` names win."""
    known = _about.get()
    found = {name: getattr(record, name, None) or known.get(name) for name in FIELDS}
    return {name: str(value) for name, value in found.items() if value}


def visible(text: str) -> str:
    """Write out line breaks and other characters that a terminal or a reader of lines would obey."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def plain(value: str) -> str:
    """Return a field's value, in quotes if it could be taken for more than one."""
    return value if _PLAIN.fullmatch(value) else json.dumps(visible(value[:200]))


def _says(name: str, message: str) -> bool:
    return f" {name}=" in message or message.startswith(f"{name}=")


def _indented(text: str) -> str:
    return "\n".join(f"    {visible(line)}" for line in text.splitlines())


def set_up(style: str, level: int | str) -> None:
    """Have everything that this process logs written in one form, to its standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level)
    # Ours tells requests; tornado's own line would be a second one.
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
