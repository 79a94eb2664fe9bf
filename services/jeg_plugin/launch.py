"""The program of a kernelspec: reads kernel.json, then has the application submitted.

By the submitter, if it runs; where it is certain that it has submitted nothing, by becoming Spark's own client.

``python -I -m jeg_plugin.launch RESOURCE_DIR KERNEL_ID RESPONSE_ADDRESS PUBLIC_KEY PORT_RANGE``; Enterprise Gateway
fills the arguments in and sets ``KERNEL_ID`` and ``KERNEL_USERNAME``. No shell is involved, and the client gets an
environment of allow-listed names only.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .command import Start, argv_of, environment_of, request_of
from .counted import DefinitionChangedError, as_counted
from .definition import Definition, DefinitionError, definition_of, kernel_id_of, user_of
from .driver_files import modules_of
from .java_options import SMALL_HEAP, defaults_in, java_settings, small_heap_mb_of
from .node import node_of
from .story import REQUEST_ID, TELLS, Story, request_id_of
from .submitting import SOCKET, UNKNOWN, ClusterRefusedError, NotSubmittedError, Request, UnknownError, submit

#: kernel.json is small; whatever is larger is something else.
MAXIMUM_BYTES = 256 * 1024
USAGE = "usage: jeg_plugin.launch RESOURCE_DIR KERNEL_ID RESPONSE_ADDRESS PUBLIC_KEY PORT_RANGE"
#: Exit statuses, beside that of a submission of which nobody knows.
UNUSABLE, REFUSED = 2, 1
#: How a line for the gateway begins that says which way a submission goes.
BY_SUBMITTER, BY_CLIENT = "The submitter submits", "Spark's client submits"


class Prepared(NamedTuple):
    """One application, for either way: the client's arguments and environment, and the submitter's request."""

    argv: list[str]
    environment: dict[str, str]
    request: Request


def prepare(arguments: Sequence[str], environ: Mapping[str, str]) -> Prepared:
    """Turn the arguments and environment from Enterprise Gateway into what is submitted.

    Raises
    ------
    DefinitionError
        Something in them, or in kernel.json, can't be used, or isn't what was counted when the kernel was started.
    """
    if len(arguments) != 5:
        raise DefinitionError(USAGE)
    folder, kernel_id, response_address, public_key, port_range = arguments
    start = Start(
        kernel_id=kernel_id_of(environ.get("KERNEL_ID")),
        user=user_of(environ.get("KERNEL_USERNAME")),
        response_address=response_address,
        public_key=public_key,
        port_range=port_range,
        impersonate=environ.get("EG_IMPERSONATION_ENABLED", "").lower() == "true",
        request=request_id_of(environ.get(REQUEST_ID)),
        modules=modules_of(environ),
    )
    if kernel_id != start.kernel_id:
        raise DefinitionError("KERNEL_ID is not the kernel that Enterprise Gateway starts")
    definition = as_counted(definition_in(folder), environ)
    environment, node = environment_of(start, environ), node_of(environ)
    small_heap_mb = small_heap_mb_of(environ.get(SMALL_HEAP))
    java = java_settings(definition.size, node, _site_defaults(environ), small_heap_mb)
    argv = argv_of(definition, start, environment, node, java)
    return Prepared(argv, environment, request_of(definition, start, environment, java))


def story_of(environ: Mapping[str, str]) -> Story:
    """Return whose start this is, for the log; `prepare` has checked the names."""
    return Story(environ["KERNEL_ID"], environ["KERNEL_USERNAME"], request_id_of(environ.get(REQUEST_ID)))


def definition_in(folder: str) -> Definition:
    """Read the definition of the kernelspec in a folder, as it is now."""
    return definition_of(_read(Path(folder) / "kernel.json"))


def _site_defaults(environ: Mapping[str, str]) -> dict[str, str]:
    folder = environ.get("SPARK_CONF_DIR")
    try:
        return defaults_in((Path(folder) / "spark-defaults.conf").read_text(errors="replace")) if folder else {}
    except OSError:
        # Spark's client reads it too, and says so if it has to be there.
        return {}


def _read(path: Path) -> object:
    with path.open("rb") as file:
        content = file.read(MAXIMUM_BYTES + 1)
    if len(content) > MAXIMUM_BYTES:
        raise DefinitionError("kernel.json is too large")
    try:
        return json.loads(content)
    except ValueError:
        raise DefinitionError("kernel.json is not JSON") from None


def main() -> int:
    """Have the application submitted; return the exit status unless this process becomes Spark's client."""
    try:
        prepared = prepare(sys.argv[1:], os.environ)
        path = os.environ.get(SOCKET)
        status = _ask_submitter(path, prepared.request) if path else None
        if status is None:
            _become_client(prepared, "there is no submitter" if not path else "")
        return status or 0
    except DefinitionChangedError as error:
        print(f"Error: {error}", file=sys.stderr)
    except DefinitionError as error:
        print(f"Error: the kernel definition can't be used: {error}", file=sys.stderr)
    except OSError as error:
        print(f"Error: the submission client can't be started: {error.strerror}: {error.filename}", file=sys.stderr)
    return UNUSABLE


def submitted_by(line: str) -> str | None:
    """Return by which way an application was submitted, from a line that this program tells; None: it says no such."""
    ways = {BY_SUBMITTER: "submitter", BY_CLIENT: "client"}
    return next((by for words, by in ways.items() if line.startswith(words)), None)


def _ask_submitter(path: str, request: Request) -> int | None:
    """Return the exit status, or None where it is certain that nothing was submitted."""
    try:
        application = submit(path, request)
    except NotSubmittedError as error:
        _tell(f"The submitter is away: {_flat(error)}:")
        return None
    except ClusterRefusedError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except UnknownError as error:
        print(f"Error: {error}", file=sys.stderr)
        return UNKNOWN
    _tell(f"{BY_SUBMITTER}: application={application}")
    return 0


def _become_client(prepared: Prepared, why: str) -> None:
    _tell(f"{BY_CLIENT}: {why}".rstrip())
    argv, environment = prepared.argv, prepared.environment
    os.execvpe(argv[0], argv, environment)  # noqa: S606 - an argument list, no shell; the values were checked


def _tell(text: str) -> None:
    print(f"{TELLS}{text} {story_of(os.environ)}", file=sys.stderr, flush=True)


def _flat(error: Exception) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in str(error))[:300]


if __name__ == "__main__":
    sys.exit(main())
