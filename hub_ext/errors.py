"""The one kind of error that a person may see, and how it is shown to them.

Everything else is logged with a reference, and only that reference is shown.
"""

import secrets
import textwrap
from collections.abc import Sequence
from typing import Any

#: JupyterLab's dialog keeps line breaks but does not wrap, and cuts lines at about 100 columns.
DIALOG_COLUMNS = 80


class PublicError(Exception):
    """An error that may be shown to the person who caused it.

    Parameters
    ----------
    code : str
        Stable name of the case, for programs: a key of `STATUS`, or any other kebab-case word together with `status`.
    message : str
        One sentence: what was asked and why it can't be.
    details : sequence of str
        Numbers and causes, a sentence each.
    remedy : str
        What would work, or whom to ask.
    status : int, optional
        HTTP status; by default the one that `STATUS` has for the code.
    numbers : dict, optional
        The same figures for programs (plain JSON values).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: Sequence[str] = (),
        remedy: str = "",
        status: int | None = None,
        numbers: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.remedy = remedy
        self.status = status if status is not None else STATUS.get(code, 400)
        self.numbers = dict(numbers or {})

    def lines(self) -> list[str]:
        """Return the sentences in the order a person reads them."""
        return [line for line in (self.message, *self.details, self.remedy) if line]

    def __str__(self) -> str:
        return " ".join(self.lines())


#: HTTP status of each case that needs no further context.
STATUS: dict[str, int] = {
    "name-not-usable": 403,
    "login-expired": 401,
    "not-yours": 403,
    "no-such-kernel": 404,
    "no-such-kernelspec": 404,
    "no-such-page": 404,
    "method-not-allowed": 405,
    "sessions-closed": 403,
    "bad-request": 400,
    "request-too-large": 413,
    "not-a-websocket": 400,
    "hub-unreachable": 503,
    "enterprise-gateway-unreachable": 503,
    "enterprise-gateway-failed": 502,
    "edge-unreachable": 503,
    "cluster-unreachable": 503,
    "database-unreachable": 503,
    "kernel-start-failed": 500,
    "kernel-start-timeout": 504,
    "internal-error": 500,
}


def new_reference() -> str:
    """Make a short reference that connects what a person saw with the log line."""
    return secrets.token_hex(4)


def internal_error(reference: str) -> PublicError:
    """Make what a person sees of an error that is not theirs to know."""
    return PublicError(
        "internal-error",
        "Something went wrong on our side.",
        details=[f"Reference: {reference}"],
        remedy="Try again; if it happens again, give this reference to your Hub administrator.",
    )


def dialog_text(error: PublicError) -> str:
    """Render an error for JupyterLab's "Error Starting Kernel" dialog.

    The dialog shows the text preformatted behind words of its own, so it begins with an empty line, no
    line is wider than `DIALOG_COLUMNS`, and it ends with a line break.
    """
    wrapped = [textwrap.fill(line, DIALOG_COLUMNS, break_long_words=True) for line in error.lines()]
    return "\n\n" + "\n".join(wrapped) + "\n"


def as_json(error: PublicError) -> dict[str, Any]:
    """Render an error for an API client; jupyter_server shows `message` and `reason` to its user."""
    return {
        "code": error.code,
        "message": dialog_text(error),
        "reason": error.code,
        "text": error.message,
        "details": list(error.details),
        "remedy": error.remedy,
        "numbers": error.numbers,
    }
