"""Everything behind the addresses of the API, put together."""

from dataclasses import dataclass

from hub_ext.database import Database
from hub_ext.limits.refused_starts import RefusedStarts
from hub_ext.limits.requests import RequestStore
from hub_ext.limits.store import LimitStore
from hub_ext.sizes import MINIMUM_OVERHEAD_MB, OVERHEAD_FACTOR

from ..registry import Registry
from .advice import Adviser, Cluster
from .changing import Changing
from .history import History
from .mine import Mine
from .reading import DisplayNames, Reading
from .state import State
from .wishes import Wishes


@dataclass(frozen=True)
class LimitsApi:
    """What the handlers call."""

    reading: Reading
    changing: Changing
    history: History
    wishes: Wishes
    mine: Mine


def limits_api(
    database: Database,
    store: LimitStore,
    requests: RequestStore,
    *,
    cluster: Cluster,
    display_names: DisplayNames,
    overhead: tuple[float, int] = (OVERHEAD_FACTOR, MINIMUM_OVERHEAD_MB),
) -> LimitsApi:
    """Make the API's domain.

    Parameters
    ----------
    database, store, requests
        Where limits and requests for more are kept.
    cluster : callable
        Gives the cluster's state, or raises `PublicError`.
    display_names : callable
        Gives kernelspecs' display names; an empty mapping when they are not known.
    overhead : tuple
        The site's factor and minimum (MiB) of Spark's memory beside the heap.
    """
    state = State(database, store)
    adviser = Adviser(cluster)
    reading = Reading(state, Registry(database), adviser, display_names)
    return LimitsApi(
        reading=reading,
        changing=Changing(state, store, adviser),
        history=History(store),
        wishes=Wishes(state, requests, adviser),
        mine=Mine(state, reading, RefusedStarts(database), cluster, overhead),
    )
