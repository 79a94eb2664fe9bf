"""What Enterprise Gateway's failures mean, in words. Pure."""

import json
import re
from typing import Any

from tornado.simple_httpclient import HTTPTimeoutError

from hub_ext.errors import PublicError

SMALLER = "Choose a smaller kernel."
OWNER = "This is a mistake in the kernel's definition: tell its owner or your Hub administrator."
LATER = "Try again in a few minutes. If it stays, tell your Hub administrator."

#: The causes that the plugin inside Enterprise Gateway tells apart: code to HTTP status and what would work. The
#: sentence with the numbers is the plugin's own.
CAUSES: dict[str, tuple[int, str]] = {
    "bad-definition": (500, OWNER),
    "definition-changed": (409, "The new one has the size that the definition has now."),
    "driver-too-large": (409, SMALLER),
    "executor-too-large": (409, SMALLER),
    "container-too-large": (409, SMALLER),
    "unknown-queue": (409, OWNER),
    "queue-not-permitted": (403, "Choose a kernel in another queue, or ask your Hadoop administrator for access."),
    "queue-stopped": (409, "Ask your Hadoop administrator when it opens again."),
    "queue-full": (409, "Try again when others have finished, or ask your Hadoop administrator."),
    "impersonation-refused": (500, "Tell your Hadoop administrator: the gateway's account needs proxy-user rights."),
    "driver-out-of-memory": (500, "Choose a kernel with more driver memory."),
    "python-missing": (500, OWNER),
    "file-missing": (500, OWNER),
    "resource-manager-unreachable": (503, LATER),
    "submission-failed": (500, LATER),
    "submission-unknown": (503, "Start it again."),
    "application-failed": (500, LATER),
    "application-killed": (500, "Start it again if you want it back."),
    "start-timeout": (504, LATER),
    "cluster-busy": (503, "Look at the Cluster page for what is free; try again later or choose a smaller kernel."),
    "gateway-stopping": (503, LATER),
}
MAXIMUM_TEXT = 600


def unreachable(error: BaseException | None = None) -> PublicError:
    """Make the error for an Enterprise Gateway that does not answer, or not in time."""
    if isinstance(error, HTTPTimeoutError):
        return PublicError(
            "enterprise-gateway-unreachable",
            "Enterprise Gateway, which starts the kernels, did not answer in time.",
            remedy="Try again; if it stays, tell your Hub administrator.",
            status=504,
        )
    return PublicError(
        "enterprise-gateway-unreachable",
        "Enterprise Gateway, which starts the kernels, does not answer.",
        details=["Running kernels go on in the cluster."],
        remedy="Try again in a minute; if it stays, tell your Hub administrator.",
    )


def of_answer(status: int, body: bytes, path: str) -> PublicError:
    """Translate an answer of Enterprise Gateway that is not a success."""
    code, text = _told(body)
    if code in CAUSES:
        known, remedy = CAUSES[code]
        return PublicError(code, shortened(text), remedy=remedy, status=known)
    if status == 404 and path.startswith("/api/kernels/"):
        return no_such_kernel()
    if status == 404:
        return PublicError("no-such-kernelspec", "There is no such kernel in the catalogue.")
    if path == "/api/kernels" or path.endswith("/restart"):
        return PublicError(
            "kernel-start-failed",
            "The kernel could not be started.",
            details=[shortened(text)] if text else [],
            remedy="Try again. If it stays, tell your Hub administrator.",
        )
    return PublicError(
        "enterprise-gateway-failed",
        "Enterprise Gateway could not do this.",
        details=[shortened(text)] if text else [],
        remedy="Try again; if it stays, tell your Hub administrator.",
    )


def no_such_kernel() -> PublicError:
    return PublicError(
        "no-such-kernel",
        "There is no such kernel, or it is not yours.",
        remedy="It may have ended. My kernels shows what runs.",
    )


def _told(body: bytes) -> tuple[str, str]:
    """Take code and words out of an answer, without the traceback that Enterprise Gateway adds."""
    try:
        value: Any = json.loads(body)
    except ValueError:
        return "", ""
    if not isinstance(value, dict):
        return "", ""
    reason, message = str(value.get("reason") or ""), str(value.get("message") or "")
    return reason, message or reason


def shortened(text: str) -> str:
    """Keep the first line of a text, without tokens and within bounds."""
    line = text.strip().split("\n", 1)[0]
    line = re.sub(r"(?i)\b(token|bearer|authorization)\b[=: ]+\S+", r"\1 …", line)
    return line if len(line) <= MAXIMUM_TEXT else line[: MAXIMUM_TEXT - 1] + "…"
