"""Tables of nodes and queues, and what a person's own applications hold."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hub_ext.cluster import Application, ClusterState, Node, Queue
from hub_ext.sizes import human_mb

from .words import NOTHING, level, percent

#: A node that YARN gives containers to, or that finishes what it has before it leaves.
WORKING = ("RUNNING", "DECOMMISSIONING")

WHOLE_CLUSTER = 100.0
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
    """Totals of some applications: MiB, vcores, how many. `withheld`: YARN did not tell all of it."""

    memory_mb: int = 0
    vcores: int = 0
    applications: int = 0
    withheld: bool = False


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


def withheld(application: Application) -> bool:
    """Say whether YARN tells the edge service's user no times and sizes of this application (its view ACL)."""
    return application.started_at is None


def usage(applications: Sequence[Application]) -> Usage:
    """Add up what applications hold now."""
    return Usage(
        memory_mb=sum(one.memory_mb for one in applications),
        vcores=sum(one.vcores for one in applications),
        applications=len(applications),
        withheld=any(withheld(one) for one in applications),
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


def node_rows(nodes: Sequence[Node]) -> tuple[NodeRow, ...]:
    """Make the table of nodes; the port is told only where several run on one host."""
    hosts = Counter(one.host for one in nodes)
    return tuple(node_row(one, hosts[one.host] > 1) for one in sorted(nodes, key=_node_order))


def node_row(one: Node, with_port: bool = False) -> NodeRow:
    """Make a line of the table of nodes."""
    works = one.state in WORKING
    return NodeRow(
        host=one.host,
        port=one.id.rsplit(":", 1)[-1] if with_port and ":" in one.id else "",
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
        used=f"{one.used_percent:.0f} % of the cluster",
        capacity=f"{one.capacity_percent:.0f} %",
        maximum=f"at most {one.maximum_percent:.0f} %" if one.maximum_percent < WHOLE_CLUSTER else "",
        running=one.applications_running,
        waiting=one.applications_waiting,
        share=human_mb(mine.memory_mb) if mine.applications and not mine.withheld else NOTHING,
    )
