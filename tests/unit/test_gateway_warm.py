"""Kernels that start before anybody asks for them: used, in the way, left over."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hub_ext.clock import utc_now
from hub_ext.errors import PublicError
from hub_ext.limits.admission import ENDED, RUNNING, STARTING
from hub_ext.limits.store import Edit, Subject
from hub_gateway.catalogue import Person
from hub_gateway.warm import WarmStarts
from hub_gateway.warm_rows import CLOCKS_DIFFER
from tests.unit.gateway_support import ALICE, KERNELSPEC, Edge, Gateway, Upstream, until

SERVER = Person("alice", frozenset(), False, "")
SECONDS = 600.0


class Clock:
    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return utc_now() + self.ahead


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def gateway(database, clock):
    async with Gateway(database, Upstream(), Edge(), clock=clock) as opened:
        opened.rows = opened.books.warm
        opened.warm = WarmStarts(opened.rows, opened.registry, opened.lifecycle, "always", SECONDS)
        yield opened
        await opened.warm.close()


async def used_once(gateway):
    """Let alice use a kernel, which ends."""
    task, row = await gateway.launched()
    gateway.upstream.finish()
    await task
    await gateway.lifecycle.stop(row, "stopped by its owner")


async def waiting(gateway):
    """Let a kernel wait for alice; return its row."""
    await used_once(gateway)
    kernel_id = await gateway.warm.begin(SERVER)
    assert kernel_id
    await until(lambda: gateway.upstream.launching)
    gateway.upstream.finish()
    await until(lambda: in_state(gateway, RUNNING))
    return await gateway.row()


async def in_state(gateway, state):
    row = await gateway.row()
    return row is not None and row.state == state


async def reasons(gateway):
    return [row.end_reason for row in await gateway.registry.ended("alice")]


async def test_what_waits_is_the_answer_to_the_first_start_and_a_kernel_like_any_other_from_then_on(gateway):
    row = await waiting(gateway)
    assert (row.server, row.warm_until > utc_now()) == ("", True)
    assert await gateway.lifecycle.listing.kernels("alice", warm=False) == []
    (shown,) = await gateway.lifecycle.listing.kernels("alice")
    assert shown["remote_kernel"]["warm_until"] is not None
    model = await gateway.lifecycle.start(ALICE, KERNELSPEC, {})
    assert model["id"] == row.id
    assert gateway.upstream.most == 1
    used = await gateway.row()
    assert (used.warm_until, used.server) == (None, None)
    assert [one["id"] for one in await gateway.lifecycle.listing.kernels("alice", warm=False)] == [row.id]
    with pytest.raises(PublicError) as refusal:
        await gateway.lifecycle.start(ALICE, KERNELSPEC, {})
    assert refusal.value.code == "too-many-kernels"


async def test_one_that_still_starts_is_used_too_and_waited_for_as_long_as_the_client_wants(gateway):
    await used_once(gateway)
    kernel_id = await gateway.warm.begin(SERVER)
    await until(lambda: gateway.upstream.launching)
    model = await gateway.lifecycle.start(ALICE, KERNELSPEC, {}, patience=0.05)
    assert (model["id"], model["execution_state"]) == (kernel_id, "starting")
    assert model["remote_kernel"]["start"]["phase"] == "submitted"
    gateway.upstream.finish()
    await until(lambda: in_state(gateway, RUNNING))


async def test_one_that_has_died_unseen_is_not_the_answer(gateway):
    row = await waiting(gateway)
    gateway.upstream.running.clear()
    model = await gateway.lifecycle.start(ALICE, KERNELSPEC, {}, patience=0.0)
    assert model["id"] != row.id
    assert (await reasons(gateway))[0] == "started in advance, and had ended before it was used"
    await until(lambda: gateway.upstream.launching)
    gateway.upstream.finish()
    await until(lambda: in_state(gateway, RUNNING))


@pytest.mark.parametrize("other", ["kernelspec", "variables", "size", "time"])
async def test_what_does_not_fit_is_not_used_and_gives_way(gateway, clock, other, monkeypatch):
    row = await waiting(gateway)
    kernelspec, env = KERNELSPEC, {}
    if other == "kernelspec":
        spec = {"name": "other", "spec": gateway.upstream.kernelspec}
        known = await gateway.upstream.kernelspecs()
        known["kernelspecs"]["other"] = spec

        async def kernelspecs():
            return known

        monkeypatch.setattr(gateway.upstream, "kernelspecs", kernelspecs)
        kernelspec = "other"
    if other == "variables":
        allowed = replace(gateway.lifecycle._settings, allowed_env=frozenset({"WHERE"}))
        monkeypatch.setattr(gateway.lifecycle, "_settings", allowed)
        env = {"WHERE": "here"}
    if other == "size":
        block = gateway.upstream.kernelspec["metadata"]["remote_kernel"]
        monkeypatch.setitem(block, "size", {"driver_memory_mb": 1000})
    if other == "time":
        clock.ahead = timedelta(seconds=SECONDS + 1)
    start = gateway.lifecycle.start(ALICE, kernelspec, env, patience=0.0)
    if other == "time":  # whose place the chore gives back
        with pytest.raises(PublicError):
            await start
        return
    model = await start
    assert model["id"] != row.id
    assert gateway.upstream.deleted == [gateway.upstream.deleted[0], row.id]
    assert (await reasons(gateway))[0] == "started in advance, and gave way to another kernel"
    gateway.upstream.finish()
    await until(lambda: in_state(gateway, RUNNING))


async def test_one_that_still_starts_gives_way_when_its_launch_has_ended(gateway):
    await used_once(gateway)
    kernel_id = await gateway.warm.begin(SERVER)
    await until(lambda: gateway.upstream.launching)
    gateway.edge.on_end = lambda: gateway.upstream.finish(PublicError("application-killed", "killed"))
    gateway.edge.add(kernel_id)
    found = await gateway.lifecycle._warm.gave_way("alice")
    assert found
    await until(lambda: nobody(gateway))
    assert not gateway.edge.found


async def nobody(gateway):
    return await gateway.row() is None


async def test_what_nobody_uses_is_ended_after_its_time_and_does_not_count_as_used(gateway, clock):
    row = await waiting(gateway)
    await gateway.warm.end_unused()
    assert (await gateway.row()).id == row.id
    clock.ahead = timedelta(seconds=SECONDS) + CLOCKS_DIFFER
    await gateway.warm.end_unused()
    assert await nobody(gateway)
    assert (await reasons(gateway))[0] == "started in advance, and not used for 10 min"
    assert await gateway.rows.last_used("alice") == KERNELSPEC


async def test_nothing_starts_beside_a_kernel_that_runs_or_for_who_never_used_one(gateway):
    assert await gateway.warm.begin(SERVER) == ""
    row = await waiting(gateway)
    assert await gateway.warm.begin(SERVER) == ""
    assert (await gateway.row()).id == row.id


async def test_what_the_limits_have_no_room_for_does_not_start(gateway):
    await used_once(gateway)
    edit = Edit(Subject("user", "alice"), {"kernels": 0}, None)
    await gateway.store.apply([edit], who="admin", reason="")
    assert await gateway.warm.begin(SERVER) == ""
    assert await nobody(gateway)


async def test_a_start_in_advance_that_fails_stays_in_nobodys_list(gateway):
    await used_once(gateway)
    assert await gateway.warm.begin(SERVER)
    await until(lambda: gateway.upstream.launching)
    gateway.upstream.finish(PublicError("queue-stopped", "The queue is stopped."))
    await until(lambda: nobody(gateway))
    await until(lambda: nothing_listed(gateway))
    assert (await reasons(gateway))[0] == "start failed: The queue is stopped."


async def nothing_listed(gateway):
    return await gateway.lifecycle.listing.kernels("alice") == []


@pytest.mark.parametrize(
    ("policy", "chosen", "on"), [("never", True, False), ("chosen", True, True), ("always", None, True)]
)
async def test_who_decides(gateway, policy, chosen, on):
    warm = WarmStarts(gateway.rows, gateway.registry, gateway.lifecycle, policy, SECONDS)
    if policy == "chosen":
        assert (await warm.told("alice"))["on"] is False
        assert await warm.begin(SERVER) == ""
        await warm.want("alice", chosen)
    else:
        with pytest.raises(PublicError) as refusal:
            await warm.want("alice", True)
        assert refusal.value.code == "warm-start-not-offered"
        if chosen is not None:
            await gateway.rows.want("alice", chosen)
    told = await warm.told("alice")
    assert (told["policy"], told["on"]) == (policy, on)
    await used_once(gateway)
    assert bool(await warm.begin(SERVER)) is on
    if on:
        await until(lambda: gateway.upstream.launching)
        gateway.upstream.finish()
        await until(lambda: in_state(gateway, RUNNING))


async def test_switching_it_off_ends_what_waits(gateway):
    row = await waiting(gateway)
    warm = WarmStarts(gateway.rows, gateway.registry, gateway.lifecycle, "chosen", SECONDS)
    await warm.want("alice", False)
    assert await nobody(gateway)
    assert gateway.upstream.deleted[-1] == row.id
    assert {row.state for row in await gateway.registry.ended("alice")} == {ENDED}


async def test_only_one_of_many_takes_it(gateway, database):
    row = await waiting(gateway)
    ask = await gateway.lifecycle.asked("alice", await gateway.lifecycle.catalogue.definition(ALICE, KERNELSPEC))
    taken = [await gateway.rows.take(ask, None) for _ in range(3)]
    assert [one.id if one else None for one in taken] == [row.id, None, None]
    assert taken[0].state != STARTING
