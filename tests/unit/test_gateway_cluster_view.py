import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.cluster import ClusterState
from hub_ext.errors import PublicError
from hub_gateway import cluster_view
from hub_gateway.cluster_view import ClusterView

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


class Edge:
    """What the edge service says; `age` in seconds, None for no answer."""

    def __init__(self, age=0.0, takes=0.0):
        self.age, self.takes, self.asked = age, takes, 0

    async def __call__(self):
        self.asked += 1
        await asyncio.sleep(self.takes)
        if self.age is None:
            raise PublicError("edge-unreachable", "The edge service does not answer.")
        return ClusterState(as_of=NOW - timedelta(seconds=self.age), stale=False)


def view(edge, maximum_age=60.0):
    return ClusterView(edge, maximum_age, now=lambda: NOW)


async def test_one_question_serves_everybody_who_asks_at_once():
    edge = Edge(takes=0.05)
    shared = view(edge)
    await asyncio.gather(*(shared.state() for _ in range(50)))
    await shared.state()
    assert edge.asked == 1


async def test_a_newer_answer_is_asked_for_after_a_moment(monkeypatch):
    monkeypatch.setattr(cluster_view, "FRESH", 0.0)
    edge = Edge(age=5)
    shared = view(edge)
    assert (await shared.state()).as_of == NOW - timedelta(seconds=5)
    edge.age = 1
    assert (await shared.state()).as_of == NOW - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("edge", "said"),
    [
        (Edge(age=None), ["The edge service does not answer.", "It has not been seen since the gateway began."]),
        (Edge(age=61), ["It was last seen at 11:58:59 UTC."]),
    ],
)
async def test_what_was_never_seen_or_too_long_ago_is_refused(edge, said):
    with pytest.raises(PublicError) as refused:
        await view(edge).state()
    assert (refused.value.code, refused.value.status) == ("cluster-unreachable", 503)
    assert list(refused.value.details) == said
    assert refused.value.remedy


async def test_an_edge_that_went_away_is_done_without_until_the_last_answer_is_too_old(monkeypatch):
    monkeypatch.setattr(cluster_view, "FRESH", 0.0)
    monkeypatch.setattr(cluster_view, "PATIENCE", 0.05)
    edge, clock = Edge(), [NOW]
    shared = ClusterView(edge, 60.0, now=lambda: clock[0])
    await shared.state()
    edge.age, edge.takes = None, 0.3  # hangs
    assert await asyncio.wait_for(shared.state(), 1)
    edge.takes = 0.0
    clock[0] = NOW + timedelta(seconds=61)
    with pytest.raises(PublicError):
        await asyncio.wait_for(shared.state(), 8)


async def test_a_dead_edge_is_not_asked_by_each_of_many(monkeypatch):
    edge = Edge(age=None)
    shared = view(edge)
    results = await asyncio.gather(*(shared.state() for _ in range(20)), return_exceptions=True)
    results += await asyncio.gather(*(shared.state() for _ in range(20)), return_exceptions=True)
    assert {type(one) for one in results} == {PublicError}
    assert edge.asked == 1
