"""What a kernel start passes on: our kernel id, our user name, allow-listed variables, and nothing else. Pure."""

import re
from collections.abc import Collection, Mapping
from typing import Any

MAXIMUM_VALUE_LENGTH = 1024
#: Names that are never a client's to set, whatever the site allows: Enterprise Gateway, Spark and Hadoop read sizes,
#: queues, users and options from them, and loaders and interpreters read code.
RESERVED = re.compile(
    r"(?i)(KERNEL|SPARK|PYSPARK|HADOOP|YARN|HDFS|MAPRED|EG|KG|REMOTE_KERNELS|JUPYTERHUB|HUB_EXT|LD)_.*"
    r"|_?JAVA_.*|JDK_.*|PYTHON.*|LAUNCH_OPTS|IMPERSONATION_OPTS|PATH|HOME|USER|LOGNAME|SHELL|IFS|ENV|BASH_ENV|CLASSPATH"
)


def reserved(names: Collection[str]) -> list[str]:
    """Return those of `names` that no client may set."""
    return sorted(name for name in names if RESERVED.fullmatch(name))


def passing(client_env: Mapping[str, Any], allowed: Collection[str]) -> dict[str, str]:
    """Return those of a client's variables that may pass, each with a plain value."""
    return {
        name: value
        for name, value in client_env.items()
        if name in allowed and not RESERVED.fullmatch(name) and _is_plain(value)
    }


def upstream_body(
    kernelspec: str,
    kernel_id: str,
    cluster_user: str,
    launch_timeout: int,
    client_env: Mapping[str, Any],
    allowed: Collection[str],
    counted: Mapping[str, str],
    request_id: str = "",
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
    counted : mapping
        What was counted for the kernel; see `counted.counted_environment`.
    request_id : str
        Of the request that asks for it, for the logs of everything that has to do with the kernel.

    Returns
    -------
    dict
        ``{"name": …, "env": {…}}``. ``env`` is never empty: without one, Enterprise Gateway gives a kernel its own
        environment.
    """
    env = passing(client_env, allowed) | {
        **counted,
        "KERNEL_ID": kernel_id,
        "KERNEL_USERNAME": cluster_user,
        "KERNEL_LAUNCH_TIMEOUT": str(launch_timeout),
    }
    if request_id:
        env["KERNEL_REQUEST_ID"] = request_id
    return {"name": kernelspec, "env": env}


def _is_plain(value: Any) -> bool:
    """Accept printable text without anything that a shell, a template or a log could take for more."""
    return (
        isinstance(value, str)
        and len(value) <= MAXIMUM_VALUE_LENGTH
        and re.fullmatch(r"[^\x00-\x1f\x7f$`{}]*", value) is not None
    )
