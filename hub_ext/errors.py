"""The one kind of error that a person may see, and how it is shown to them.

Everything else is logged with a reference, and only that reference is shown.
"""

import secrets
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: JupyterLab's dialog keeps line breaks but does not wrap, and cuts lines at about 100 columns.
DIALOG_COLUMNS = 80


@dataclass(frozen=True)
class Case:
    """What a code stands for: its HTTP status, and what it means to whoever meets it."""

    status: int
    meaning: str


#: Every case there is. `docs/reference/errors.md` is written from it.
CASES: dict[str, Case] = {
    # who asks
    "login-expired": Case(401, "The token is missing, unknown or expired."),
    "edge-token": Case(401, "A call to the edge service without its token."),
    "name-not-usable": Case(403, "The user's name can't be the name of a cluster user."),
    "not-yours": Case(403, "It belongs to somebody else."),
    "sessions-closed": Case(403, "Sessions are not kept here; the notebook server has its own."),
    "not-a-limits-admin": Case(403, "Changing limits, or seeing those of others, needs the scope for it."),
    # what is asked
    "bad-request": Case(400, "The request can't be read."),
    "nothing-changed": Case(400, "A form was sent in which nothing is changed."),
    "not-a-websocket": Case(400, "A plain request where only a websocket is answered."),
    "no-such-kernel": Case(404, "There is no such kernel, or it is not the caller's."),
    "no-such-kernelspec": Case(404, "There is no such kernel in the catalogue, or not for the caller."),
    "no-such-page": Case(404, "There is nothing at this address."),
    "method-not-allowed": Case(405, "The address does not take this method."),
    "superseded": Case(409, "A later connection of the same session has taken this one's place."),
    "request-too-large": Case(413, "The request is larger than what is taken."),
    # limits: a start that is against them
    "over-kernel-limit": Case(403, "The kernel is larger than one kernel of this user may be."),
    "over-total-limit": Case(403, "With it, the user's kernels together would hold more memory or cores than allowed."),
    "size-unknown": Case(403, "The kernel takes settings from a file that is not read, and the user has limits."),
    "too-many-kernels": Case(403, "The user has as many kernels as allowed."),
    "queue-not-allowed": Case(403, "The kernel runs in a queue that the user may not use."),
    # the cluster: a start that it could never serve
    "unknown-queue": Case(409, "The scheduler has no such queue."),
    "container-too-large": Case(409, "The driver or an executor is larger than the largest container."),
    "node-too-small": Case(409, "The driver or an executor is larger than every working node."),
    "queue-too-small": Case(409, "The whole kernel is larger than the largest share its queue can have."),
    # limits: changing them
    "limits-invalid": Case(422, "A value that the limit does not take."),
    "limits-changed": Case(409, "Somebody else has changed the same limits meanwhile."),
    "limits-need-confirmation": Case(409, "The change has consequences that must be confirmed."),
    "limits-unreadable": Case(500, "The stored or configured limits can't be read."),
    "no-such-change": Case(404, "There is no such change in the history."),
    "no-such-subject": Case(404, "There is no such user or group."),
    "no-such-request": Case(404, "There is no such request, or it is not the caller's."),
    "request-decided": Case(409, "The request has already been granted, declined or withdrawn."),
    "too-many-requests": Case(429, "The user has too many open requests."),
    # starting
    "kernel-start-failed": Case(500, "The kernel could not be started."),
    "kernel-start-timeout": Case(504, "The kernel did not start in time."),
    "bad-definition": Case(500, "The kernel's definition can't be used."),
    "definition-changed": Case(409, "The kernel's definition was changed since the kernel was started."),
    "driver-too-large": Case(409, "YARN refused the driver: it is larger than the largest container."),
    "executor-too-large": Case(409, "YARN refused an executor: it is larger than the largest container."),
    "queue-not-permitted": Case(403, "YARN does not let this user into the queue."),
    "queue-stopped": Case(409, "The queue takes no applications at present."),
    "queue-full": Case(409, "The queue has as many applications as it takes."),
    "impersonation-refused": Case(500, "The gateway's account may not start applications for others."),
    "driver-out-of-memory": Case(500, "The driver took more memory than its container has."),
    "python-missing": Case(500, "The kernel's Python is not on the node."),
    "file-missing": Case(500, "A file that the kernel needs is not there."),
    "resource-manager-unreachable": Case(503, "Enterprise Gateway does not reach the ResourceManager."),
    "submission-failed": Case(500, "The application could not be submitted."),
    "submission-unknown": Case(
        503, "What submits applications was lost in the midst of one, and YARN does not have it."
    ),
    "application-failed": Case(500, "The application ended with a failure."),
    "application-killed": Case(500, "The application was ended by somebody."),
    "start-timeout": Case(504, "The kernel's application did not start in time."),
    "cluster-busy": Case(503, "The cluster had no room for the kernel in time."),
    "too-many-clients": Case(429, "So many clients wait for one kernel that no more can."),
    "warm-start-not-offered": Case(409, "Whether kernels start in advance is the administrator's to decide."),
    "gateway-stopping": Case(503, "The gateway or Enterprise Gateway is being stopped; what it was starting is ended."),
    "server-not-allowed": Case(403, "The user may have no notebook server: one of its limits is 0."),
    "no-gateway": Case(503, "The notebook server can't be given a gateway to the cluster."),
    # parts that do not answer
    "hub-unreachable": Case(503, "The Hub does not answer."),
    "gateway-unreachable": Case(503, "The gateway does not answer."),
    "enterprise-gateway-unreachable": Case(503, "Enterprise Gateway does not answer."),
    "enterprise-gateway-failed": Case(502, "Enterprise Gateway could not do it."),
    "edge-unreachable": Case(503, "The edge service does not answer."),
    "cluster-unreachable": Case(503, "The ResourceManager does not answer, or has not for too long."),
    "database-unreachable": Case(503, "The database does not answer."),
    "applications-not-ended": Case(502, "The cluster did not end everything that belongs to a kernel."),
    "internal-error": Case(500, "A mistake of ours; the log has it under the reference that is shown."),
}

#: HTTP status of each case.
STATUS: dict[str, int] = {code: case.status for code, case in CASES.items()}


class PublicError(Exception):
    """An error that may be shown to the person who caused it.

    Parameters
    ----------
    code : str
        Stable name of the case, for programs: a key of `CASES`.
    message : str
        One sentence: what was asked and why it can't be.
    details : sequence of str
        Numbers and causes, a sentence each.
    remedy : str
        What would work, or whom to ask.
    status : int, optional
        HTTP status; by default the one that `CASES` has for the code.
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
