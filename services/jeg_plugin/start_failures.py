"""A start that failed, as Enterprise Gateway answers it; and how long one may take."""

import math
from typing import Any

from tornado.web import HTTPError

from .failures import Failure

LONGEST_START = 3600.0


class KernelStartError(HTTPError):
    """`reason` is the code, `message` the line of text."""

    def __init__(self, failure: Failure) -> None:
        # tornado reads the text as a format
        super().__init__(failure.status, failure.text.replace("%", " percent"), reason=failure.code)


def seconds_of(timeout: Any) -> float:
    """Return a launch timeout within bounds; it comes from the request."""
    seconds = float(timeout)
    return min(max(seconds, 1.0), LONGEST_START) if math.isfinite(seconds) else LONGEST_START


def outcome_of(error: BaseException) -> str:
    """Name a failed start for log and metrics: the failure's code, or what was raised."""
    return str(error.reason) if isinstance(error, KernelStartError) else type(error).__name__
