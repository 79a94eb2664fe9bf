"""From a Hub user's name to the name the Hadoop cluster knows, and which names are safe.

A Hub name can be anything an authenticator lets in. On the cluster the same name becomes the owner of
an application, a folder on each node and often a Unix account, so only a safe subset passes. This module is the one
place where a name is accepted or refused.
"""

import re

from .errors import PublicError

#: What Hadoop, a node's file system and a URL all take unchanged.
CLUSTER_USER_PATTERN = r"[A-Za-z_][A-Za-z0-9._-]{0,62}"
#: The name of a kernelspec folder, as jupyter_client accepts it.
KERNELSPEC_PATTERN = r"[A-Za-z0-9._-]{1,100}"
KERNEL_ID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
APPLICATION_ID_PATTERN = r"application_\d{1,20}_\d{1,10}"


def is_kernelspec_name(name: str) -> bool:
    """Say whether `name` can name a kernelspec: no separators, no ``..``."""
    return re.fullmatch(KERNELSPEC_PATTERN, name) is not None and name.strip(".") != ""


def is_kernel_id(text: str) -> bool:
    """Say whether `text` is a kernel id in the canonical lower-case form."""
    return re.fullmatch(KERNEL_ID_PATTERN, text) is not None


def application_order(application_id: str) -> tuple[int, int]:
    """Return what orders application ids by age: the cluster's start, then the running number."""
    parts = application_id.split("_")
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return (0, 0)
    return (int(parts[1]), int(parts[2]))


def cluster_user(hub_name: str, user_domain: str = "") -> str:
    """Give the user that owns this person's applications on the Hadoop cluster.

    Parameters
    ----------
    hub_name : str
        The name as JupyterHub has it.
    user_domain : str
        When set, only names that end in exactly ``@user_domain`` pass, and lose that ending. Two Hub users can
        therefore never become the same cluster user.

    Returns
    -------
    str
        The cluster user, matching `CLUSTER_USER_PATTERN`.

    Raises
    ------
    PublicError
        ``name-not-usable``, with the reason.
    """
    short = hub_name
    if user_domain:
        ending = "@" + user_domain.lstrip("@")
        if not hub_name.endswith(ending):
            raise _not_usable(hub_name, f"only names that end in {ending} have an account there")
        short = hub_name[: -len(ending)]
    if re.fullmatch(CLUSTER_USER_PATTERN, short):
        return short
    raise _not_usable(
        hub_name,
        "a name there begins with a letter or _ and has only letters a-z, digits, dots, dashes and underscores",
    )


def _not_usable(hub_name: str, reason: str) -> PublicError:
    return PublicError(
        "name-not-usable",
        f"The name '{hub_name}' can't be used on the Hadoop cluster.",
        details=[f"Reason: {reason}."],
        remedy=(
            "Ask your Hub administrator for another name, or to set RemoteKernelMixin.user_domain if "
            "people log in with e-mail addresses."
        ),
        status=403,
    )
