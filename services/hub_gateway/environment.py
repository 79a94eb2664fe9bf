"""What a kernel start passes on: our kernel id, our user name, allow-listed variables, and nothing else. Pure."""

import re
from collections.abc import Collection, Mapping
from typing import Any

MAXIMUM_VALUE_LENGTH = 1024
#: Decided by the gateway; a client's own value never counts.
OURS = frozenset({"KERNEL_ID", "KERNEL_USERNAME", "KERNEL_LAUNCH_TIMEOUT"})


def upstream_body(
    kernelspec: str,
    kernel_id: str,
    cluster_user: str,
    launch_timeout: int,
    client_env: Mapping[str, Any],
    allowed: Collection[str],
) -> dict[str, Any]:
    """Build the body of ``POST /api/kernels`` for Enterprise Gateway.

    Parameters
    ----------
    kernelspec, kernel_id, cluster_user : str
        Checked names.
    launch_timeout : int
        Seconds that Enterprise Gateway waits for the kernel.
    client_env : mapping
        The client's ``env``, untrusted.
    allowed : collection of str
        Names of variables that may pass.

    Returns
    -------
    dict
        ``{"name": …, "env": {…}}``. ``env`` is never empty: without one, Enterprise Gateway gives a kernel its own
        environment.
    """
    env = {
        name: value for name, value in client_env.items() if name in allowed and name not in OURS and _is_plain(value)
    }
    env |= {
        "KERNEL_ID": kernel_id,
        "KERNEL_USERNAME": cluster_user,
        "KERNEL_LAUNCH_TIMEOUT": str(launch_timeout),
    }
    return {"name": kernelspec, "env": env}


def _is_plain(value: Any) -> bool:
    """Accept printable text without anything that a shell, a template or a log could take for more."""
    return (
        isinstance(value, str)
        and len(value) <= MAXIMUM_VALUE_LENGTH
        and re.fullmatch(r"[^\x00-\x1f\x7f$`{}]*", value) is not None
    )
