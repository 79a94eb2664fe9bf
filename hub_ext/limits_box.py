"""The box of limits in the Hub's own templates: a variable whose call reads the services' database."""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .hub_limits import LimitsAwayError, limits_in, reading
from .limits.box import Box, LiveKernel, box_of
from .limits.model import Configured

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

#: A page of the Hub does not wait longer for it.
SECONDS = 1.0
log = logging.getLogger("jupyterhub")

#: What a template calls, with the user for whom the page is.
Ask = Callable[[Any], Awaitable[Box | None]]


def limits_box(database_url: str, configured: str) -> Callable[[Any], Ask]:
    """Return the template variable.

    JupyterHub calls it with whoever is logged in for every page it renders, so it does nothing then. The page that
    wants the box calls what it gets, ``remote_kernels_limits(user)``, which Jinja awaits.

    Parameters
    ----------
    database_url : str
        The services' database.
    configured : str
        The configured limits as JSON, from `configured_limits`.
    """
    ground = json.loads(configured)
    known = Configured(ground["default"], ground["groups"], ground["users"], ground["most_restrictive_group"])

    async def box(user: Any) -> Box | None:
        if user is None:
            return None
        question = _question(user.name, [group.name for group in user.groups], known)
        try:
            return await reading(database_url, question, SECONDS)
        except LimitsAwayError as error:
            log.warning("A page of %s is shown without limits: %s", user.name, error)
        except Exception:  # whatever it is, the page is more important
            log.exception("A page of %s is shown without limits", user.name)
        return None

    return lambda user: box


def _question(name: str, groups: list[str], configured: Configured) -> Callable[["AsyncSession"], Awaitable[Box]]:
    async def ask(session: "AsyncSession") -> Box:
        return box_of(await limits_in(session, name, groups, configured), await _live_kernels(session, name))

    return ask


async def _live_kernels(session: "AsyncSession", owner: str) -> list[LiveKernel]:
    from sqlalchemy import select

    from .database import Kernel

    columns = (Kernel.kernelspec, Kernel.memory_mb, Kernel.cores, Kernel.stop_at, Kernel.stop_reason)
    rows = await session.execute(select(*columns).where(Kernel.owner == owner, Kernel.state != "ended"))
    return [LiveKernel(*row) for row in rows]
