"""The cluster page: tiles, nodes, queues."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub_ext.cluster import Application, ClusterState, Node, Queue
from hub_ext.sizes import human_mb

from .words import NOTHING, count, level, listed, percent, since

#: The overview shows so many rows; a page of its own shows the rest.
MOST_NODES = 20
MOST_QUEUES = 50
#: A node that YARN gives containers to, or that finishes what it has before it leaves.
WORKING = ("RUNNING", "DECOMMISSIONING")

NODE_WORDS = {
    "RUNNING": "running",
    "UNHEALTHY": "unhealthy",
    "LOST": "lost",
    "DECOMMISSIONING": "leaving",
    "REBOOTED": "restarting",
    "NEW": "joining",
}


@dataclass(frozen=True)
class Usage:
    """Totals of some applications: MiB, vcores, how many."""

    memory_mb: int = 0
    vcores: int = 0
    applications: int = 0


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
class NodeRow:
    """A line of the table of nodes."""

    host: str
    port: str
    state: str
    level: str
    report: str
    memory: str
    memory_percent: float
    vcores: str
    containers: int


@dataclass(frozen=True)
class QueueRow:
    """A line of the table of queues. Shares are in percent of the whole cluster."""

    name: str
    path: str
    stopped: bool
    mine: float
    others: float
    level: str
    used: str
    capacity: str
    maximum: str
    running: int
    waiting: int
    share: str


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


def usage(applications: Sequence[Application]) -> Usage:
    """Add up what applications hold now."""
    return Usage(
        memory_mb=sum(one.memory_mb for one in applications),
        vcores=sum(one.vcores for one in applications),
        applications=len(applications),
    )


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
    nodes = sorted(state.nodes, key=_node_order)
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
        nodes=tuple(node_row(one) for one in shown),
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
            f"you {human_mb(mine.memory_mb)} · others {human_mb(others_mb)}",
        ),
        _used_tile(
            "Vcores",
            (mine.vcores, state.vcores_used, state.vcores_total),
            (f"{state.vcores_used:,}", f"{state.vcores_total:,}"),
            f"you {mine.vcores:,} · others {others_vcores:,}",
        ),
        _nodes_tile(state),
        _applications_tile(state, mine),
    )


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


def trouble(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Say in sentences which nodes do not work and why."""
    sentences = []
    for one in nodes:
        if one.state in WORKING:
            continue
        why = f": {one.health_report}" if one.health_report else "."
        sentences.append(f"{one.host} is {NODE_WORDS.get(one.state, one.state.lower())}{why}")
    return tuple(sentences)


def _node_order(one: Node) -> tuple[bool, float, str]:
    """Order nodes: those with trouble first, then the fullest."""
    return (one.state == "RUNNING", -percent(one.memory_used_mb, one.memory_total_mb), one.id)


def node_row(one: Node) -> NodeRow:
    """Make a line of the table of nodes."""
    works = one.state in WORKING
    return NodeRow(
        host=one.host,
        port=one.id.rsplit(":", 1)[-1] if ":" in one.id else "",
        state=NODE_WORDS.get(one.state, one.state.lower()),
        level="bad" if not works else level(percent(one.memory_used_mb, one.memory_total_mb)),
        report=one.health_report,
        memory=f"{human_mb(one.memory_used_mb)} of {human_mb(one.memory_total_mb)}",
        memory_percent=percent(one.memory_used_mb, one.memory_total_mb),
        vcores=f"{one.vcores_used} of {one.vcores_total}",
        containers=one.containers,
    )


def queue_rows(state: ClusterState, own: Sequence[Application]) -> tuple[QueueRow, ...]:
    """Make the table of queues: those that the viewer is in first."""
    rows = [
        _queue_row(one, state.memory_total_mb, usage([app for app in own if _in(app, one)])) for one in state.queues
    ]
    return tuple(sorted(rows, key=lambda row: (-row.mine, row.path)))


def _in(application: Application, queue: Queue) -> bool:
    """Say whether an application is in a queue; versions write its path or its name."""
    return application.queue in (queue.path, queue.name)


def _queue_row(one: Queue, total_mb: int, mine: Usage) -> QueueRow:
    own = min(percent(mine.memory_mb, total_mb), one.used_percent)
    return QueueRow(
        name=one.name,
        path=one.path,
        stopped=one.state not in ("RUNNING", ""),
        mine=own,
        others=round(one.used_percent - own, 1),
        level=level(percent(one.used_percent, one.maximum_percent or 100.0)),
        used=f"{one.used_percent:.0f} %",
        capacity=f"{one.capacity_percent:.0f} %",
        maximum=f"{one.maximum_percent:.0f} %",
        running=one.applications_running,
        waiting=one.applications_waiting,
        share=human_mb(mine.memory_mb) if mine.applications else NOTHING,
    )
