"""What Enterprise Gateway's failures mean, in words. Pure."""

import json
import re
from typing import Any

from tornado.simple_httpclient import HTTPTimeoutError

from hub_ext.errors import PublicError

#: First match wins: pattern in the failure's text, code, sentence, remedy. Groups of the pattern fill the sentence.
CAUSES: tuple[tuple[str, str, str, str], ...] = (
    (
        r"(?:to unknown queue:?|unknown queue) (?P<queue>[\w.\-]+)",
        "queue-unknown",
        "The queue '{queue}' does not exist on the cluster.",
        "This is a mistake in the kernel's definition: tell its owner or your Hub administrator.",
    ),
    (
        r"User (?P<user>\S+) does not have permission to submit \S+ to queue (?P<queue>[\w.\-]+)",
        "queue-not-permitted",
        "{user} may not use the queue '{queue}'.",
        "Choose a kernel in another queue, or ask your Hadoop administrator for access.",
    ),
    (
        r"Required (?:AM|executor) memory (?P<asked>\([^)]*\)|.{0,160}?) is above the max threshold "
        r"\((?P<most>\d+) MB\)",
        "larger-than-container",
        "The kernel asks for more memory than one container may have: asked was {asked}, the most is {most} MB.",
        "Choose a smaller kernel.",
    ),
    (
        r"Requested resource=<(?P<asked>[^>]*)>.*?maximum allowed allocation=<(?P<most>[^>]*)>",
        "larger-than-container",
        "The kernel asks for a container of {asked}; the largest allowed is {most}.",
        "Choose a smaller kernel.",
    ),
    (
        r"running beyond the 'PHYSICAL' memory limit\. Current usage: (?P<used>[\d.]+ \w+) of (?P<of>[\d.]+ \w+)",
        "driver-killed-for-memory",
        "YARN ended the driver because it used {used} of {of} memory.",
        "Choose a kernel with more driver memory.",
    ),
    (
        r"Cannot run program \"(?P<program>[^\"]+)\"",
        "environment-missing",
        "The kernel's Python is missing on the node: {program}.",
        "Tell the owner of this kernel or your Hub administrator.",
    ),
    (
        r"Failed to download resource .*?(?P<file>[\w.\-]+\.(?:tar\.gz|tgz|zip|jar))",
        "environment-missing",
        "A node could not fetch the kernel's environment: {file}.",
        "Tell the owner of this kernel or your Hub administrator.",
    ),
    (
        r"YARN resources unavailable after (?P<seconds>\d+)",
        "kernel-start-timeout",
        "The cluster had no room for the kernel within {seconds} seconds.",
        "Look at the Cluster page for what is free, and try again or choose a smaller kernel.",
    ),
    (
        r"is RUNNING, but waited too long|launch timeout",
        "kernel-start-timeout",
        "The kernel's driver started, but did not report in time.",
        "Try again. If it stays, tell your Hub administrator.",
    ),
    (
        r"No active RMs? found|ResourceManager .{0,80}(?:refused|does not answer|unreachable)",
        "cluster-unreachable",
        "The Hadoop cluster's ResourceManager does not answer.",
        "Try again in a few minutes; if it stays, tell your Hadoop administrator.",
    ),
)
CAUSE_STATUS = {
    "queue-unknown": 409,
    "queue-not-permitted": 403,
    "larger-than-container": 409,
    "driver-killed-for-memory": 500,
    "environment-missing": 500,
    "kernel-start-timeout": 504,
    "cluster-unreachable": 503,
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
    text = _text(body)
    cause = _cause(text)
    if cause is not None:
        return cause
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


def _cause(text: str) -> PublicError | None:
    for pattern, code, sentence, remedy in CAUSES:
        match = re.search(pattern, text, re.DOTALL)
        if match:
            found = {name: value or "" for name, value in match.groupdict().items()}
            return PublicError(code, sentence.format(**found), remedy=remedy, status=CAUSE_STATUS[code], numbers=found)
    return None


def _text(body: bytes) -> str:
    """Take the words out of an answer, without the traceback that Enterprise Gateway adds."""
    try:
        value: Any = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(value, dict):
        return ""
    parts = [str(value.get(key) or "") for key in ("reason", "message")]
    return " ".join(dict.fromkeys(part for part in parts if part))


def shortened(text: str) -> str:
    """Keep the first line of a text, without tokens and within bounds."""
    line = text.strip().split("\n", 1)[0]
    line = re.sub(r"(?i)\b(token|bearer|authorization)\b[=: ]+\S+", r"\1 …", line)
    return line if len(line) <= MAXIMUM_TEXT else line[: MAXIMUM_TEXT - 1] + "…"
