"""What has to be there when the gateway starts, said in a sentence when it is not; never with a password.

And what has to work while it runs.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from hub_ext.database import Database
from hub_ext.edge import EdgeClient
from hub_ext.web.health import Check, Failing

from .hub import probe_hub
from .upstream import EnterpriseGateway

WHERE = "HubGateway.database_url, or the variable HUB_EXT_DATABASE_URL (or HUB_EXT_DATABASE_URL_FILE)"


def opened(url: str) -> Database:
    """Return the database of this address.

    Raises
    ------
    SystemExit
        With what is wrong.
    """
    try:
        return Database(url)
    except (SQLAlchemyError, ImportError, ValueError):
        # The text of these errors may hold the address, and that the password.
        raise SystemExit(
            f"HubGateway: the database's address can't be used: set {WHERE} to sqlite:////path/file.sqlite or "
            "postgresql://user:password@host/name."
        ) from None


async def check_database(database: Database, url: str) -> None:
    """Make sure that the database answers and has the schema of this version.

    Raises
    ------
    SystemExit
        With what is wrong, and what to set or to run.
    """
    try:
        await database.check_schema()
    except RuntimeError as error:
        raise SystemExit(f"HubGateway: {error}") from error
    except Exception as error:
        # Drivers have errors of their own; the name tells what happened, and the text could tell too much.
        raise SystemExit(
            f"HubGateway: the database {place(url)} does not answer ({_cause(error)}). It is the one of {WHERE}; "
            "'hub-ext db upgrade' makes the tables of a new one."
        ) from None


def health_checks(
    database: Database,
    tasks: Callable[[], Collection["asyncio.Task[Any]"]],
    hub_api_url: str,
    upstream: EnterpriseGateway,
    edge: EdgeClient,
) -> list[Check]:
    """Return what ``/health`` looks at. Without the others, running kernels go on; so they are soft.

    Parameters
    ----------
    tasks : callable
        Gives the tasks that have to run as long as the gateway.
    """

    async def database_answers() -> str:
        await database.ping()
        return "answers"

    async def caretaker() -> str:
        ended = sum(task.done() for task in tasks())
        if ended:
            raise Failing(f"{ended} of its tasks have ended")
        return "works"

    return [
        Check("database", database_answers),
        Check("caretaker", caretaker),
        Check("hub", lambda: probe_hub(hub_api_url), hard=False),
        Check("enterprise-gateway", upstream.ping, hard=False),
        Check("edge", edge.probe, hard=False),
    ]


def place(url: str) -> str:
    """Say which database it is, without its user and password."""
    parsed = make_url(url)
    where = f"{parsed.host or 'localhost'}:{parsed.port or 5432}/" if parsed.get_backend_name() != "sqlite" else ""
    return f"{parsed.get_backend_name()} {where}{parsed.database or ''}"


def _cause(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return str(getattr(cause, "strerror", None) or type(cause).__name__)
