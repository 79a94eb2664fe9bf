"""The program of a kernelspec: reads kernel.json, then becomes Spark's submission client.

``python -I -m jeg_plugin.launch RESOURCE_DIR KERNEL_ID RESPONSE_ADDRESS PUBLIC_KEY PORT_RANGE``; Enterprise Gateway
fills the arguments in and sets ``KERNEL_ID`` and ``KERNEL_USERNAME``. No shell is involved, and the client gets an
environment of allow-listed names only.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .command import Start, argv_of, environment_of
from .counted import DefinitionChangedError, as_counted
from .definition import Definition, DefinitionError, definition_of, kernel_id_of, user_of
from .story import REQUEST_ID, TELLS, Story, request_id_of

#: kernel.json is small; whatever is larger is something else.
MAXIMUM_BYTES = 256 * 1024
USAGE = "usage: jeg_plugin.launch RESOURCE_DIR KERNEL_ID RESPONSE_ADDRESS PUBLIC_KEY PORT_RANGE"


def prepare(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Turn the arguments and environment from Enterprise Gateway into those of the submission client.

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
    )
    if kernel_id != start.kernel_id:
        raise DefinitionError("KERNEL_ID is not the kernel that Enterprise Gateway starts")
    definition = as_counted(definition_in(folder), environ)
    environment = environment_of(start, environ)
    return argv_of(definition, start, environment), environment


def story_of(environ: Mapping[str, str]) -> Story:
    """Return whose start this is, for the log; `prepare` has checked the names."""
    return Story(environ["KERNEL_ID"], environ["KERNEL_USERNAME"], request_id_of(environ.get(REQUEST_ID)))


def definition_in(folder: str) -> Definition:
    """Read the definition of the kernelspec in a folder, as it is now."""
    return definition_of(_read(Path(folder) / "kernel.json"))


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
    """Replace this process by the submission client; return only when that can't be."""
    try:
        argv, environment = prepare(sys.argv[1:], os.environ)
        print(TELLS + f"Spark's client submits: {story_of(os.environ)}", file=sys.stderr, flush=True)
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - an argument list, no shell; the values were checked
    except DefinitionChangedError as error:
        print(f"Error: {error}", file=sys.stderr)
    except DefinitionError as error:
        print(f"Error: the kernel definition can't be used: {error}", file=sys.stderr)
    except OSError as error:
        print(f"Error: the submission client can't be started: {error.strerror}: {error.filename}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
