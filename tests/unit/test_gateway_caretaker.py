import asyncio
from datetime import datetime, timezone

from hub_ext.database import Kernel
from hub_ext.errors import PublicError
from hub_gateway import caretaker
from hub_gateway.caretaker import Caretaker, Chore, every, still_missing
from hub_gateway.leases import Leases, Work
from tests.unit.gateway_support import until

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def kernel(kernel_id, owner="alice", server=""):
    return Kernel(id=kernel_id, owner=owner, server=server, started_at=NOW)


def test_the_clock_starts_when_a_server_is_first_missing_and_stops_when_it_is_back():
    kernels = [kernel("a"), kernel("b", server="named"), kernel("c", owner="bob")]
    servers = {("alice", "")}
    first = still_missing(kernels, servers, {}, 100.0)
    assert first == {"b": 100.0, "c": 100.0}
    later = still_missing(kernels, {("alice", ""), ("bob", "")}, first, 130.0)
    assert later == {"b": 100.0}


async def test_a_chore_that_fails_is_done_again_and_keeps_no_other_from_its_work(monkeypatch):
    monkeypatch.setattr(caretaker, "PAUSE_AFTER_FAILURE", 0.001)
    done = {"public": 0, "bug": 0, "well": 0}

    def chore(name, error=None, pause=None):
        async def task():
            done[name] += 1
            if error is not None:
                raise error

        return Chore(name, task, pause or every(0.001))

    async def broken_pause():
        raise PublicError("database-unreachable", "x")

    chores = [chore("public", PublicError("x", "y")), chore("bug", KeyError("z")), chore("well", pause=broken_pause)]
    running = asyncio.create_task(Caretaker(chores).run())
    await until(lambda: len(done) == len(chores) and all(count > 3 for count in done.values()))
    assert not running.done()
    running.cancel()


async def test_leases_are_renewed_together_while_they_are_held_and_not_after():
    renewed = []

    async def renew(kernel_ids):
        renewed.append(set(kernel_ids))
        if len(renewed) == 1:
            raise PublicError("database-unreachable", "x")
        return {"b"}

    leases = Leases(renew, 0.02)
    running = asyncio.create_task(leases.run())
    works = Work(), Work()
    with leases.held("a", works[0]), leases.held("b", works[1]):
        await asyncio.wait_for(works[1].to_end.wait(), 10)
    assert not works[0].to_end.is_set()
    count = len(renewed)
    await asyncio.sleep(0.05)
    running.cancel()
    assert count >= 2
    assert {frozenset(one) for one in renewed} == {frozenset({"a", "b"})}
    assert len(renewed) <= count + 1
