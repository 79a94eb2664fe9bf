"""To which cluster a database belongs: what is written in it are kernels of that cluster and of no other."""

import socket
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from .engine import Database
from .models import Setting

CLUSTER = "cluster"
#: Where the gateway that started last without a name for its cluster found that cluster.
ADDRESS = "cluster_address"
#: What a cluster is called that nobody has given a name: two of them can't be told apart by it.
UNNAMED = "default"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


async def claim(database: Database, cluster: str, edge_url: str = "") -> str:
    """Write down that the database belongs to `cluster`, unless it belongs to one already.

    Returns
    -------
    str
        A warning when it may be another cluster after all: neither has a name, and the edge service is elsewhere than
        the last gateway's. Otherwise empty.

    Raises
    ------
    RuntimeError
        When it belongs to another one, whose kernels a gateway of this one would take for lost.
    PublicError
        ``database-unreachable``.
    """
    async with database.transaction(lock=CLUSTER) as session:
        setting = await session.get(Setting, CLUSTER)
        if setting is None:
            session.add(Setting(key=CLUSTER, value=cluster))
        elif setting.value != cluster:
            raise RuntimeError(
                f"The database belongs to the cluster '{setting.value}', and this gateway to '{cluster}': it would "
                "take the other's kernels for lost. Give each cluster a database of its own. If the cluster has only "
                "got another name, stop all gateways and run 'hub-ext db forget-cluster'."
            )
        return await _moved(session, edge_url) if cluster == UNNAMED and edge_url else ""


async def _moved(session: AsyncSession, edge_url: str) -> str:
    """Note where the cluster is found, and tell when that was elsewhere before."""
    address, setting = place(edge_url), await session.get(Setting, ADDRESS)
    if setting is None:
        session.add(Setting(key=ADDRESS, value=address))
        return ""
    before, setting.value = setting.value, address
    if before == address:
        return ""
    return (
        f"The last gateway that used this database found its cluster's edge service at {before}, this one at "
        f"{address}, and neither has a cluster_name. If these are two clusters, stop one gateway now: each takes the "
        "other's kernels for lost. Give each cluster a database and a HubGateway.cluster_name of its own. If it is one "
        "cluster, a cluster_name ends this warning, after 'hub-ext db forget-cluster' with all gateways stopped."
    )


def place(url: str) -> str:
    """Return the address, with this machine's name where it says only "here"."""
    parts = urlsplit(url)
    if parts.hostname not in LOOPBACK:
        return url
    return f"{parts.scheme}://{socket.gethostname()}{f':{parts.port}' if parts.port else ''}"


async def forget(database: Database) -> str:
    """Let the next gateway claim the database; return the name of the cluster that it belonged to, or ""."""
    async with database.transaction(lock=CLUSTER) as session:
        setting = await session.get(Setting, CLUSTER)
        if setting is None:
            return ""
        await session.delete(setting)
        address = await session.get(Setting, ADDRESS)
        if address is not None:
            await session.delete(address)
        return str(setting.value)
