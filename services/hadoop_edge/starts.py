"""Where starting kernels are in YARN: their applications, and how many wait before them."""

import asyncio
from collections.abc import Collection, Iterable

from hub_ext.cluster import Application, ClusterState, StartState, StartStates, queue_path
from hub_ext.errors import PublicError
from hub_ext.names import application_order, is_kernel_id

from .handlers import APIHandler, cluster_unreachable
from .resource_manager import ResourceManagerError

MAXIMUM_KERNELS = 2000
#: Kernels for which the ResourceManager is asked within one call.
MAXIMUM_FRESH = 10
WAITING = frozenset({"NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED"})


class StartsHandler(APIHandler):
    """``POST /api/starts``: ``{"kernel_ids": […], "fresh": […]}``. Asks only; a body because there may be many."""

    async def post(self) -> None:
        body = self.json_body()
        kernel_ids, fresh = _ids(body.get("kernel_ids"), MAXIMUM_KERNELS), _ids(body.get("fresh", []), MAXIMUM_FRESH)
        found = await self.poller.current(self.wait)
        if found.state.as_of is None:
            raise cluster_unreachable(found.state.error)
        newer = [one for one in await asyncio.gather(*map(self._asked, fresh)) if one is not None]
        applications = {one.id: one for one in [*found.applications, *newer]}
        starts = start_states(kernel_ids, applications.values(), found.state)
        self.write_json(StartStates(as_of=found.state.as_of, stale=found.state.stale, starts=starts).model_dump_json())

    async def _asked(self, kernel_id: str) -> Application | None:
        """Ask the ResourceManager; what it does not tell is as the last poll saw it."""
        try:
            found = [one for one in await self.of_kernel(kernel_id) if not one.ended]
        except ResourceManagerError:
            return None
        return max(found, key=lambda one: application_order(one.id), default=None)


def start_states(
    kernel_ids: Collection[str], applications: Iterable[Application], state: ClusterState
) -> tuple[StartState, ...]:
    """Say where each kernel's newest unfinished application is."""
    wanted = frozenset(kernel_ids)
    newest: dict[str, Application] = {}
    waiting: dict[str, list[tuple[int, int]]] = {}
    for one in sorted(applications, key=lambda one: application_order(one.id)):
        if one.ended:
            continue
        for kernel_id in one.kernel_ids & wanted:
            newest[kernel_id] = one
        if one.state in WAITING and not one.containers:
            waiting.setdefault(queue_path(one.queue), []).append(application_order(one.id))
    return tuple(
        start_state(kernel_id, one, waiting.get(queue_path(one.queue), []), state) for kernel_id, one in newest.items()
    )


def start_state(
    kernel_id: str, application: Application, waiting: Collection[tuple[int, int]], state: ClusterState
) -> StartState:
    """Say where one application is, among those that wait in its queue."""
    order = application_order(application.id)
    return StartState(
        kernel_id=kernel_id,
        state=application.state,
        queue=application.queue,
        ahead=sum(one < order for one in waiting),
        used_percent=used_percent(application.queue, state),
        containers=application.containers,
        host=application.host,
        diagnostics=application.diagnostics[:500],
    )


def used_percent(name: str, state: ClusterState) -> int | None:
    """Return how much of what a queue may have at most is used."""
    queue = state.queue(name)
    if queue is None or not queue.maximum_percent:
        return None
    return min(round(100 * queue.used_percent / queue.maximum_percent), 100)


def _ids(given: object, maximum: int) -> list[str]:
    known = isinstance(given, list) and all(isinstance(one, str) and is_kernel_id(one) for one in given)
    if not isinstance(given, list) or not known or len(given) > maximum:
        raise PublicError("bad-request", f"That is not a list of at most {maximum} kernel ids.")
    return given
