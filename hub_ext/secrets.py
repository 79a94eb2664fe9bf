"""Secrets reach a process through its environment or a file, never through its arguments."""

import os
from collections.abc import Mapping
from pathlib import Path


def read_secret(name: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the secret `name`, from the variable of that name or the file that ``<name>_FILE`` points to.

    Returns
    -------
    str
        The secret without surrounding white space; empty when neither is set.

    Raises
    ------
    ValueError
        The file can't be read. The message names the variable and the path, never a value.
    """
    values = os.environ if environment is None else environment
    if values.get(name):
        return values[name].strip()
    path = values.get(f"{name}_FILE")
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ValueError(f"{name}_FILE points to {path}, which can't be read: {error.strerror}") from error
