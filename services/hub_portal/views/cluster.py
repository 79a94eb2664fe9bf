"""The cluster page: tiles, nodes, queues."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub_ext.cluster import Application, ClusterState
from hub_ext.sizes import human_mb

from .tables import WORKING, NodeRow, QueueRow, Usage, node_rows, queue_rows, trouble, usage
from .words import count, level, listed, percent, since

#: The overview shows so many rows; a page of its own shows the rest.
MOST_NODES = 20
MOST_QUEUES = 50


@dataclass(frozen=True)
class Tile:
    """One figure with a meter. Shares are in percent; `word` says in words what the colour says."""

    title: str
    value: str
    of: str
    mine: float
    others: float
    level: str
    word: str
    note: str


@dataclass(frozen=True)
class ClusterView:
    """Everything the live part of the cluster page shows."""

    as_of: datetime | None
    age: str
    stale: bool
    error: str
    version: str
    room: str
    tiles: tuple[Tile, ...]
    trouble: tuple[str, ...]
    nodes: tuple[NodeRow, ...]
    nodes_hidden: int
    queues: tuple[QueueRow, ...]
    queues_hidden: int


def cluster_view(
    state: ClusterState, own: Sequence[Application], now: datetime, all_nodes: bool = False
) -> ClusterView:
    """Make the view.

    Parameters
    ----------
    state : ClusterState
        The cluster as the edge service tells it.
    own : sequence of Application
        The viewer's unfinished applications.
    now : datetime
        The time, UTC.
    all_nodes : bool
        Every node instead of the first `MOST_NODES`.
    """
    nodes = node_rows(state.nodes)
    shown = nodes if all_nodes else nodes[:MOST_NODES]
    queues = queue_rows(state, own)
    return ClusterView(
        as_of=state.as_of,
        age=since(state.as_of, now),
        stale=state.stale,
        error=state.error,
        version=state.resource_manager_version,
        room=room(state),
        tiles=tiles(state, usage(own)),
        trouble=trouble(state.nodes),
        nodes=shown,
        nodes_hidden=len(nodes) - len(shown),
        queues=queues[:MOST_QUEUES],
        queues_hidden=max(0, len(queues) - MOST_QUEUES),
    )


def room(state: ClusterState) -> str:
    """Say in a sentence how much is free."""
    if not state.nodes_active:
        return "No node is running, so no kernel can start now."
    free_mb = max(0, state.memory_total_mb - state.memory_used_mb)
    free_vcores = max(0, state.vcores_total - state.vcores_used)
    word = {"free": "There is room", "busy": "It is busy", "full": "It is nearly full"}[
        level(max(percent(state.memory_used_mb, state.memory_total_mb), percent(state.vcores_used, state.vcores_total)))
    ]
    return f"{word}: {human_mb(free_mb)} and {count(free_vcores, 'vcore')} free."


def tiles(state: ClusterState, mine: Usage) -> tuple[Tile, ...]:
    """Make the four tiles: memory, vcores, nodes, applications."""
    others_mb = max(0, state.memory_used_mb - mine.memory_mb)
    others_vcores = max(0, state.vcores_used - mine.vcores)
    return (
        _used_tile(
            "Memory",
            (mine.memory_mb, state.memory_used_mb, state.memory_total_mb),
            (human_mb(state.memory_used_mb), human_mb(state.memory_total_mb)),
            _split(mine, human_mb(mine.memory_mb), human_mb(others_mb)),
        ),
        _used_tile(
            "Vcores",
            (mine.vcores, state.vcores_used, state.vcores_total),
            (f"{state.vcores_used:,}", f"{state.vcores_total:,}"),
            _split(mine, f"{mine.vcores:,}", f"{others_vcores:,}"),
        ),
        _nodes_tile(state),
        _applications_tile(state, mine),
    )


def _split(mine: Usage, own: str, others: str) -> str:
    return "your share is not told" if mine.withheld else f"you {own} · others {others}"


def _used_tile(title: str, figures: tuple[int, int, int], words: tuple[str, str], note: str) -> Tile:
    mine, used, total = figures
    own, share = percent(min(mine, used), total), percent(used, total)
    return Tile(
        title=title,
        value=words[0],
        of=f"of {words[1]}",
        mine=own,
        others=round(share - own, 1),
        level=level(share),
        word=f"{share:.0f} % in use",
        note=note,
    )


def _nodes_tile(state: ClusterState) -> Tile:
    missing = max(0, state.nodes_total - state.nodes_active)
    return Tile(
        title="Nodes",
        value=f"{state.nodes_active:,}",
        of=f"of {state.nodes_total:,}",
        mine=0.0,
        others=percent(state.nodes_active, state.nodes_total),
        level="bad" if missing else "free",
        word=f"{count(missing, 'node')} not working" if missing else "all working",
        note=listed([one.host for one in state.nodes if one.state not in WORKING]),
    )


def _applications_tile(state: ClusterState, mine: Usage) -> Tile:
    running, waiting = state.applications_running, state.applications_waiting
    unfinished = running + waiting
    own = percent(min(mine.applications, unfinished), unfinished)
    return Tile(
        title="Applications",
        value=f"{running:,}",
        of="running",
        mine=own,
        others=round(percent(running, unfinished) - own, 1) if percent(running, unfinished) > own else 0.0,
        level="busy" if waiting else "free",
        word=f"{waiting:,} waiting for room" if waiting else "none waiting",
        note=f"yours: {mine.applications:,}",
    )
