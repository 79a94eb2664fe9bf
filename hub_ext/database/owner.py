"""To which cluster a database belongs: what is written in it are kernels of that cluster and of no other."""

from .engine import Database
from .models import Setting

CLUSTER = "cluster"


async def claim(database: Database, cluster: str) -> None:
    """Write down that the database belongs to `cluster`, unless it belongs to one already.

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


async def forget(database: Database) -> str:
    """Let the next gateway claim the database; return the name of the cluster that it belonged to, or ""."""
    async with database.transaction(lock=CLUSTER) as session:
        setting = await session.get(Setting, CLUSTER)
        if setting is None:
            return ""
        await session.delete(setting)
        return str(setting.value)
