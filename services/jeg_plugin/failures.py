"""Why a kernel did not start, in a stable form: a code for programs and one line of text for people (pure).

Enterprise Gateway's error answer is ``{"reason": …, "message": …}``. For a kernel in YARN `reason` is the code and
`message` the line. The patterns are those of Hadoop 3.3 to 3.5 and Spark 3.5 to 4.3; a text that none of them knows
is passed on shortened under a general code.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAXIMUM_CHARACTERS = 700


@dataclass(frozen=True)
class Failure:
    """A cause: `code` in kebab-case, `text` one line, `status` for HTTP."""

    code: str
    text: str
    status: int = 500


@dataclass(frozen=True)
class _Known:
    pattern: re.Pattern[str]
    code: str
    text: str
    status: int = 500


def _known(pattern: str, code: str, text: str, status: int = 500) -> _Known:
    return _Known(re.compile(pattern, re.DOTALL), code, text, status)


_KNOWN = (
    _known(
        r"The kernel's definition was changed since it was started",
        "definition-changed",
        "The kernel's definition was changed since it was started: start a new kernel.",
        409,
    ),
    _known(
        r"definition can't be used: (?P<what>[^\n]+)",
        "bad-definition",
        "The kernel's definition can't be used: {what}.",
    ),
    _known(
        r"Required AM memory \((?P<heap>\d+)\+(?P<more>\d+) MB\) is above the max threshold \((?P<max>\d+) MB\)",
        "driver-too-large",
        "The driver needs {heap} MB and {more} MB beside it; the cluster's largest container has {max} MB.",
    ),
    _known(
        r"Required executor memory \((?P<heap>\d+) MB\).{0,200}?overhead \((?P<more>\d+) MB\)"
        r".{0,200}?is above the max threshold \((?P<max>\d+) MB\)",
        "executor-too-large",
        "An executor needs {heap} MB and {more} MB beside it; the cluster's largest container has {max} MB.",
    ),
    _known(
        r"Requested resource=<memory:(?P<asked>\d+), vCores:(?P<cores>\d+)[^>]*>.{0,80}?"
        r"maximum allowed allocation=<memory:(?P<max>\d+), vCores:(?P<maxcores>\d+)",
        "container-too-large",
        "A container of {asked} MB and {cores} cores is larger than this queue allows: {max} MB and {maxcores} cores.",
    ),
    _known(r"unknown queue: (?P<queue>[\w.-]+)", "unknown-queue", "There is no queue named {queue}."),
    _known(
        r"User (?P<user>\S+) (?:does not have permission to|cannot) submit \S+ to queue (?P<queue>[\w.-]+)",
        "queue-not-permitted",
        "{user} may not use the queue {queue}.",
    ),
    _known(
        r"[Qq]ueue (?P<queue>[\w.-]+) is STOPPED",
        "queue-stopped",
        "The queue {queue} is stopped and takes no applications.",
    ),
    _known(
        r"[Qq]ueue (?P<queue>[\w.-]+) already has (?P<count>\d+) applications",
        "queue-full",
        "The queue {queue} has {count} applications already and takes no more.",
    ),
    _known(
        r"(?P<who>\S+) is not allowed to impersonate (?P<user>\S+)",
        "impersonation-refused",
        "The cluster does not let {who} act for {user}.",
    ),
    _known(
        r"beyond the 'PHYSICAL' memory limit\. Current usage: (?P<used>[\d.]+ \w+) of (?P<limit>[\d.]+ \w+) physical",
        "driver-out-of-memory",
        "The driver was ended because it used {used} of its {limit} memory.",
    ),
    _known(
        r'Cannot run program "(?P<python>[^"\n]{1,200})"',
        "python-missing",
        "The kernel's Python, {python}, does not exist on the node.",
    ),
    _known(
        r"FileNotFoundException: (?:File )?(?P<file>\S{1,300}) ?(?:does not exist|\(No such file)?",
        "file-missing",
        "A file that the kernel needs does not exist: {file}",
    ),
    _known(
        r"Failed to download resource.{0,600}?FileNotFoundException: (?P<file>\S{1,300})",
        "file-missing",
        "A file that the kernel needs does not exist: {file}",
    ),
    _known(
        r"the submitter was lost with",
        "submission-unknown",
        "The submitter was lost in the midst of it, and YARN does not have the application.",
        503,
    ),
    _known(
        r"Call From .{0,200}? failed on connection exception|ConnectException: Connection refused",
        "resource-manager-unreachable",
        "The cluster's ResourceManager does not answer.",
        503,
    ),
)
_STACK_FRAME = re.compile(r"^\s*(at |\.\.\. \d+ more|Caused by: )", re.MULTILINE)
_TELLING = re.compile(r"(?:Exception|Error)(?: in thread \S+)?\b.*", re.MULTILINE)


def one_line(text: str, limit: int = MAXIMUM_CHARACTERS) -> str:
    """Return `text` on one line of printable characters, shortened at its end."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def of_client(stderr: str, exit_code: int) -> Failure:
    """Say why the submission client ended without an application, from the end of its standard error."""
    known = _lookup(stderr)
    if known is not None:
        return known
    telling = [line for line in stderr.splitlines() if _TELLING.search(line) and not _STACK_FRAME.match(line)]
    cause = one_line(telling[-1]) if telling else f"the client ended with status {exit_code}"
    return Failure("submission-failed", f"The application could not be submitted: {cause}")


def of_application(application: Mapping[str, Any]) -> Failure:
    """Say why an application ended before its kernel was ready, from the ResourceManager's description of it."""
    name = one_line(str(application.get("id", "")))
    diagnostics = str(application.get("diagnostics") or "")
    known = _lookup(diagnostics)
    if known is not None:
        return known
    if application.get("state") == "KILLED":
        return Failure(
            "application-killed", f"{name} was ended while it started. {one_line(diagnostics, 300)}".rstrip()
        )
    cause = one_line(_STACK_FRAME.split(diagnostics)[0], 500) or "YARN gives no reason"
    return Failure("application-failed", f"{name} ended while it started: {cause}")


def of_timeout(seconds: float, application: Mapping[str, Any] | None, trouble: str = "") -> Failure:
    """Say what a start was waiting for when its time was up."""
    waited = f"The kernel did not start within {seconds:.0f} seconds"
    if application is None:
        return Failure("start-timeout", f"{waited}: {trouble or 'YARN has not got the application yet'}.", 504)
    name, state = application.get("id"), application.get("state")
    if state == "RUNNING":
        return Failure("start-timeout", f"{waited}: {name} runs but its driver has not reported.", 504)
    reason = one_line(str(application.get("diagnostics") or ""), 400)
    return Failure("cluster-busy", f"{waited}: {name} is still waiting for the cluster. {reason}".rstrip(), 503)


def unreachable(cause: str) -> Failure:
    """Say that no ResourceManager answers."""
    return Failure(
        "resource-manager-unreachable", f"The cluster's ResourceManager does not answer: {one_line(cause, 200)}", 503
    )


def bad_definition(text: str) -> Failure:
    """Say what of a definition or a request can't be used."""
    return Failure("bad-definition", f"The kernel's definition can't be used: {one_line(text, 300)}.")


def definition_changed() -> Failure:
    """Say that a kernel is not restarted, because it would become another one."""
    text = (
        "The kernel's definition was changed since it was started: start a new kernel. "
        "This one was not restarted and goes on as it is."
    )
    return Failure("definition-changed", text, 409)


def refused(text: str) -> Failure:
    """Say that the ResourceManager does not let the gateway look."""
    return Failure("submission-failed", f"The ResourceManager refuses to answer: {one_line(text, 200)}")


def unknown_node(host: str) -> Failure:
    """Say that the gateway can't find the node that runs the driver."""
    text = f"The address of the node {one_line(host, 100)}, where the driver runs, is not known to Enterprise Gateway."
    return Failure("application-failed", text)


STOPPING = Failure("gateway-stopping", "Enterprise Gateway is being stopped.", 503)


def _lookup(text: str) -> Failure | None:
    for known in _KNOWN:
        found = known.pattern.search(text)
        if found:
            return Failure(known.code, one_line(known.text.format(**found.groupdict())), known.status)
    return None
