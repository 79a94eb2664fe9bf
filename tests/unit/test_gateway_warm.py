"""Kernels that start before anybody asks for them: used, in the way, left over."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from hub_ext.clock import utc_now
from hub_ext.database import Database
from hub_ext.errors import PublicError
from hub_ext.limits.admission import Starter
from hub_ext.limits.kernels import ENDED, ENDING, RUNNING
from hub_ext.limits.store import Edit, Subject
from hub_gateway.catalogue import Person
from hub_gateway.failures import unreachable
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
        allowed = replace(gateway.lifecycle.admitting._settings, allowed_env=frozenset({"WHERE"}))
        monkeypatch.setattr(gateway.lifecycle.admitting, "_settings", allowed)
        env = {"WHERE": "here"}
    if other == "size":
        block = gateway.upstream.kernelspec["metadata"]["remote_kernel"]
        monkeypatch.setitem(block, "size", {"driver_memory_mb": 1000})
    if other == "time":
        clock.ahead = timedelta(seconds=SECONDS + 1)
    model = await gateway.lifecycle.start(ALICE, kernelspec, env, patience=0.0)
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
    ask = await gateway.lifecycle.admitting.asked("alice", await definition(gateway))
    starter = Starter("x", "alice", None, frozenset())
    many = await asyncio.gather(*(gateway.lifecycle.admitting.warm.gave_way(ask, starter, None) for _ in range(3)))
    assert many == [True, True, True]
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
    await gateway.store.apply([Edit(Subject("user", "alice"), {"kernels": 0})], who="admin")
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


async def test_a_start_in_advance_that_fails_after_somebody_asked_for_it_says_why_to_them(gateway):
    await used_once(gateway)
    kernel_id = await gateway.warm.begin(SERVER)
    await until(lambda: gateway.upstream.launching)
    model = await gateway.lifecycle.start(ALICE, KERNELSPEC, {}, patience=0.0)
    assert model["id"] == kernel_id
    gateway.upstream.finish(PublicError("queue-stopped", "The queue is stopped."))
    await until(lambda: nobody(gateway))
    room = await gateway.lifecycle.waiting_room("alice", kernel_id)
    assert room.failure.sentence == "The queue is stopped."
    (listed,) = await gateway.lifecycle.listing.kernels("alice")
    assert (listed["id"], listed["execution_state"]) == (kernel_id, "dead")


async def test_what_could_not_start_is_not_what_somebody_used_last(gateway):
    for end in (PublicError("queue-stopped", "The queue is stopped."), None):
        task, row = await gateway.launched()
        if end is None:
            await gateway.lifecycle.interrupt(row)
        gateway.upstream.finish(end)
        with pytest.raises(PublicError):
            await task
        await until(lambda: nobody(gateway))
        assert await gateway.rows.last_used("alice") == ""
        assert await gateway.warm.begin(SERVER) == ""
    await used_once(gateway)
    assert await gateway.rows.last_used("alice") == KERNELSPEC


async def test_a_client_that_goes_away_before_it_is_told_leaves_no_kernel(gateway):
    await used_once(gateway)
    await gateway.warm.begin(SERVER)
    await until(lambda: gateway.upstream.launching)
    task = asyncio.ensure_future(gateway.lifecycle.start(ALICE, KERNELSPEC, {}))
    await until(lambda: taken(gateway))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: in_state(gateway, ENDING))
    gateway.upstream.finish()
    await until(lambda: nobody(gateway))
    assert not gateway.upstream.running


async def taken(gateway):
    row = await gateway.row()
    return row.warm_until is None


async def test_what_could_not_be_told_of_waits_again(gateway):
    row = await waiting(gateway)
    kernel = gateway.upstream.kernel

    async def away(kernel_id):
        raise unreachable()

    gateway.upstream.kernel = away
    with pytest.raises(PublicError) as error:
        await gateway.lifecycle.start(ALICE, KERNELSPEC, {})
    assert error.value.code == "enterprise-gateway-unreachable"
    assert (await gateway.row()).warm_until == row.warm_until
    gateway.upstream.kernel = kernel
    assert (await gateway.lifecycle.start(ALICE, KERNELSPEC, {}))["id"] == row.id


async def test_a_notice_that_nobody_was_given_is_none(gateway):
    row = await waiting(gateway)
    assert await gateway.registry.give_notice(row.id, None, utc_now() + timedelta(seconds=9), "idle since 10:00")
    await gateway.lifecycle.start(ALICE, KERNELSPEC, {})
    used = await gateway.row()
    assert (used.stop_at, used.stop_reason) == (None, "")


async def test_several_notebook_servers_that_start_at_once_start_one_kernel(gateway):
    await used_once(gateway)
    await gateway.store.apply([Edit(Subject("user", "alice"), {"kernels": 9})], who="admin")
    found = await asyncio.gather(*(gateway.warm.begin(SERVER) for _ in range(4)))
    assert len([one for one in found if one]) == 1
    await until(lambda: gateway.upstream.launching)
    gateway.upstream.finish()
    await until(lambda: in_state(gateway, RUNNING))


async def test_through_two_gateways_it_is_either_used_or_in_the_way(gateway, database_url):
    """One asks for it while the other ends it: whoever gets it keeps it. Their clocks differ by some seconds."""
    second = Database(database_url)
    late = Clock()
    late.ahead = timedelta(seconds=-5)
    async with Gateway(second, gateway.upstream, gateway.edge, clock=late) as other:
        for _ in range(5):
            row = await waiting(gateway)
            ask = await other.lifecycle.admitting.asked("alice", await definition(gateway))
            starter = Starter("x", "alice", None, frozenset())
            used, gone = await asyncio.gather(other.admission.use_warm(ask, starter), gateway.rows.let_go("alice"))
            assert (used is not None) + len(gone) == 1
            assert await other.admission.use_warm(ask, starter) is None
            await gateway.lifecycle.stop(await gateway.row(), "x")
            assert row.id
    await second.close()


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


async def test_only_one_of_many_takes_it(gateway):
    row = await waiting(gateway)
    ask = await gateway.lifecycle.admitting.asked("alice", await definition(gateway))
    starter = Starter("x", "alice", None, frozenset())
    taken = await asyncio.gather(*(gateway.admission.use_warm(ask, starter) for _ in range(5)))
    assert sorted(one.id if one else "" for one in taken) == ["", "", "", "", row.id]


async def definition(gateway):
    return await gateway.lifecycle.catalogue.definition(ALICE, KERNELSPEC)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"kernels": 0}, "too-many-kernels"),
        ({"memory_mb": 100}, "over-total-limit"),
        ({"driver_memory_mb": 100}, "over-kernel-limit"),
        ({"queues": ("other",)}, "queue-not-allowed"),
    ],
)
async def test_limits_that_were_lowered_since_hold_for_it_too(gateway, limits, code):
    row = await waiting(gateway)
    await gateway.store.apply([Edit(Subject("user", "alice"), limits)], who="admin")
    with pytest.raises(PublicError) as refusal:
        await gateway.lifecycle.start(ALICE, KERNELSPEC, {})
    assert refusal.value.code == code
    # There would be no place without it either.
    assert (await gateway.row()).warm_until == row.warm_until


async def test_a_definition_that_names_another_queue_since_gets_a_new_kernel(gateway, monkeypatch):
    row = await waiting(gateway)
    monkeypatch.setitem(gateway.upstream.kernelspec["metadata"]["remote_kernel"], "queue", "other")
    model = await gateway.lifecycle.start(ALICE, KERNELSPEC, {}, patience=0.0)
    assert model["id"] != row.id
    await until(lambda: gateway.upstream.launching)
    gateway.upstream.finish()
    await until(lambda: in_state(gateway, RUNNING))
