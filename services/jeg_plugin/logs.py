"""Enterprise Gateway's log in the form of the other services: one line a record, or one JSON object."""

import json
import logging
import re
from datetime import datetime, timezone
from typing import Any

from tornado import web

from .definition import KERNEL_ID
from .story import NONE, request_id_of

REQUEST_ID_HEADER = "X-Request-ID"
LAYOUT = "[%(levelname)1.1s %(asctime)s.%(msecs)03d %(name)s] %(message)s"
TIME_LAYOUT = "%Y-%m-%d %H:%M:%S"
_FIELD = re.compile(r"(?:^| )(kernel|user|request|application|outcome|node)=([^ ,;:]+)")
#: What is asked all the time and changes nothing.
QUIET = ("GET", "HEAD")


class TextFormatter(logging.Formatter):
    """One line a record; what follows it, such as a traceback, is indented, so that it is not taken for a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without control characters."""
        first, *more = record.getMessage().splitlines() or [""]
        if record.exc_info:
            more += self.formatException(record.exc_info).splitlines()
        asctime = self.formatTime(record, TIME_LAYOUT)
        line = LAYOUT % {**vars(record), "asctime": asctime, "message": visible(first)}
        return "\n".join([line, *(f"    {visible(part)}" for part in more)])


class JsonFormatter(logging.Formatter):
    """One JSON object a record; what a message says as ``name=value`` is a field of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        found = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            # The last of a name: whose start it is stands at a message's end.
            **dict(_FIELD.findall(visible(message))),
        }
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str)


def visible(text: str) -> str:
    """Write out characters that a terminal or a reader of lines would obey."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def set_up(style: str, log: logging.Logger) -> None:
    """Have everything that this process logs written in one form.

    Parameters
    ----------
    style : str
        ``json``, or anything else for lines of text.
    log : logging.Logger
        Enterprise Gateway's own, which has handlers of its own.
    """
    formatter = JsonFormatter() if style == "json" else TextFormatter()
    for handler in (*logging.getLogger().handlers, *log.handlers):
        handler.setFormatter(formatter)


def request_line(method: str, path: str, status: int, seconds: float, request: str) -> str:
    """Return the line about a request that was answered; `path` comes without its query."""
    kernel = KERNEL_ID.search(path)
    about = f" kernel={kernel.group()}" if kernel else ""
    return f"{method} {path} {status} {seconds * 1000:.0f} ms{about} request={request}"


def log_request(handler: Any) -> None:
    """Log a request that was answered."""
    request, status = handler.request, handler.get_status()
    level = logging.DEBUG if request.method in QUIET else logging.INFO
    if status >= 400:
        level = logging.WARNING if status >= 500 else logging.INFO
    who = request_id_of(request.headers.get(REQUEST_ID_HEADER, NONE))
    path = request.path.split("?", 1)[0]
    logging.getLogger("jeg_plugin").log(
        level, "%s", request_line(request.method, path, status, request.request_time(), who)
    )


def use(application: web.Application) -> None:
    """Have requests logged so."""
    application.settings["log_function"] = log_request
