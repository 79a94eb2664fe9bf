"""The rows of kernels: their states, and the statements that admission runs on them.

The statements are made once: making one takes longer than running it, and so does going through the ORM.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, select

from ..database import Kernel
from .decide import Held
from .rows import Reader

STARTING, RUNNING, RESTARTING, ENDING, ENDED = "starting", "running", "restarting", "ending", "ended"
#: States in which somebody works on a kernel as long as their lease lasts.
AT_WORK = (STARTING, RESTARTING, ENDING)
ALIVE = (*AT_WORK, RUNNING)
#: States in which a kernel that was started in advance can be used.
USABLE = (STARTING, RUNNING)
MAXIMUM_REASON = 500

_TABLE: Any = Kernel.__table__
ADD = _TABLE.insert()
_ONE = _TABLE.update().where(_TABLE.c.id == bindparam("kernel_id"))
_IN_STATES = _TABLE.c.state.in_(bindparam("states", expanding=True))
_OF_LEASE = _TABLE.c.leased_until.is_not_distinct_from(bindparam("seen_lease"))
#: The reason of a kernel that is ending already stays.
_FIRST_REASON = case((_TABLE.c.state == ENDING, _TABLE.c.end_reason), else_=bindparam("reason"))
_RELEASED: dict[str, Any] = {
    "state": ENDED,
    "ended_at": bindparam("now"),
    "end_reason": _FIRST_REASON,
    "leased_until": None,
    "stop_at": None,
    "stop_reason": "",
}

#: These take `kernel_id`, `states`, and what is to be written.
CONFIRM = _ONE.where(_IN_STATES).values(state=RUNNING, leased_until=None)
RESTART = _ONE.where(_IN_STATES).values(state=RESTARTING, leased_until=bindparam("lease"))
END = _ONE.where(_IN_STATES).values(state=ENDING, end_reason=_FIRST_REASON)
RELEASE = _ONE.where(_IN_STATES).values(_RELEASED)
#: These take `seen_lease` as well: whoever has renewed it since still works on the kernel.
RELEASE_ABANDONED = _ONE.where(_IN_STATES, _OF_LEASE).values(_RELEASED)
TAKE_OVER = _ONE.where(_IN_STATES, _OF_LEASE).values(
    state=ENDING, end_reason=_FIRST_REASON, leased_until=bindparam("lease")
)
_HELD = select(_TABLE.c.id, _TABLE.c.kernelspec, _TABLE.c.memory_mb, _TABLE.c.cores).where(
    _TABLE.c.owner == bindparam("of_owner"), _TABLE.c.state != ENDED
)


def shortened(reason: str) -> str:
    """Return a reason as it fits into its column."""
    return reason[:MAXIMUM_REASON]


def usable(now: datetime) -> list[ColumnElement[bool]]:
    """Return what is true of a kernel that was started in advance and can be used."""
    return [Kernel.warm_until > now, Kernel.state.in_(USABLE)]


def held_by(reader: Reader, owner: str) -> list[Held]:
    """Return what the kernels of `owner` that have not ended hold."""
    rows = reader.execute(_HELD, {"of_owner": owner})
    return [Held(kernel_id, kernelspec, memory_mb, cores) for kernel_id, kernelspec, memory_mb, cores in rows]
