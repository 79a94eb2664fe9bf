"""Starts that are answered before the kernel runs."""

import asyncio
import time
from dataclasses import replace

import pytest

from hub_ext.database import Database
from hub_ext.errors import PublicError
from hub_ext.limits.kernels import ENDING, RUNNING, STARTING
from hub_ext.limits.store import Configured
from hub_gateway import ends, launches
from hub_gateway.waiting import rooms
from tests.unit.gateway_support import ALICE, KERNELSPEC, Edge, Gateway, Upstream, until


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(ends, "AGAIN", 0.02)
    monkeypatch.setattr(rooms, "PAUSE", 0.02)


@pytest.fixture
async def gateway(database):
    async with Gateway(database, Upstream(), Edge()) as opened:
        yield opened


async def begin(gateway, patience=0.0):
    model = await gateway.lifecycle.start(ALICE, KERNELSPEC, {}, patience=patience)
    await until(lambda: gateway.upstream.launching)
    return model, await gateway.row()


async def over(room):
    await asyncio.wait_for(room.over.wait(), 5)
    return room


async def test_a_start_is_answered_at_once_and_goes_on(gateway):
    model, row = await begin(gateway)
    assert (model["id"], model["execution_state"], row.state) == (row.id, "starting", STARTING)
    assert model["remote_kernel"]["start"]["phase"] in ("requested", "submitted")
    (listed,) = await gateway.lifecycle.listing.kernels("alice")
    assert listed["remote_kernel"]["start"]["text"] == "submitted"
    room = await gateway.lifecycle.waiting_room("alice", row.id)
    gateway.upstream.finish()
    assert (await over(room)).failure is None
    assert (await gateway.row()).state == RUNNING
    assert (await gateway.lifecycle.listing.kernels("alice"))[0]["remote_kernel"]["start"] is None
    assert await gateway.lifecycle.waiting_room("alice", row.id) is None


async def test_of_a_clients_variables_a_room_keeps_those_that_may_pass(gateway):
    admitting = gateway.lifecycle.admitting
    admitting._settings = replace(admitting._settings, allowed_env=frozenset({"TZ"}))
    model = await gateway.lifecycle.start(ALICE, KERNELSPEC, {"TZ": "UTC", "MORE": "x" * 1_000_000}, patience=0)
    await until(lambda: gateway.upstream.launching)
    assert (await gateway.lifecycle.waiting_room("alice", model["id"])).client_env == {"TZ": "UTC"}
    gateway.upstream.finish()
    await until(lambda: gateway.upstream.running)


async def test_what_fails_within_the_patience_is_the_answer(gateway):
    starting = asyncio.ensure_future(gateway.lifecycle.start(ALICE, KERNELSPEC, {}, patience=30))
    await until(lambda: gateway.upstream.launching)
    gateway.upstream.finish(PublicError("queue-stopped", "The queue is stopped."))
    with pytest.raises(PublicError, match="The queue is stopped"):
        await starting
    assert await gateway.lifecycle.listing.kernels("alice") == []


async def test_what_fails_later_is_told_in_the_room_after_the_place_was_given_back(gateway):
    _, row = await begin(gateway)
    room = await gateway.lifecycle.waiting_room("alice", row.id)
    gateway.upstream.finish(PublicError("queue-stopped", "The queue is stopped."))
    await over(room)
    assert room.failure.sentence == "The queue is stopped."
    assert await gateway.row() is None
    (listed,) = await gateway.lifecycle.listing.kernels("alice")
    assert (listed["id"], listed["execution_state"]) == (row.id, "dead")
    assert await gateway.lifecycle.listing.failed("alice", row.id) == listed
    assert await gateway.lifecycle.listing.failed("bob", row.id) is None
    assert await gateway.lifecycle.listing.kernels(None) == []
    assert await gateway.lifecycle.waiting_room("alice", row.id) is room
    with pytest.raises(PublicError, match="no such kernel"):
        await gateway.lifecycle.waiting_room("bob", row.id)


async def test_a_failed_start_is_begun_anew_under_its_id(gateway):
    _, row = await begin(gateway)
    room = await gateway.lifecycle.waiting_room("alice", row.id)
    gateway.upstream.finish(PublicError("queue-stopped", "x"))
    await over(room)
    await gateway.store.configure(Configured(default={"kernels": 2}))
    both = await asyncio.gather(*(gateway.lifecycle.begin_anew(ALICE, room) for _ in range(2)))
    assert [(one["id"], one["execution_state"]) for one in both] == [(row.id, "starting")] * 2
    assert (await gateway.row()).state == STARTING
    await until(lambda: gateway.upstream.launching)
    new = await gateway.lifecycle.waiting_room("alice", row.id)
    assert (new is room, room.failure) == (True, None)
    gateway.upstream.finish(PublicError("queue-stopped", "Still stopped."))
    assert (await over(new)).failure.sentence == "Still stopped."
    assert [one["id"] for one in await gateway.lifecycle.listing.kernels("alice")] == [row.id]
    # A refusal leaves the room as it was.
    await gateway.store.configure(Configured(default={"kernels": 0}))
    for _ in range(2):
        with pytest.raises(PublicError) as refused:
            await gateway.lifecycle.begin_anew(ALICE, new)
        assert refused.value.code == "too-many-kernels"
    await gateway.store.configure(Configured(default={"kernels": 1}))
    await gateway.lifecycle.begin_anew(ALICE, new)
    await until(lambda: gateway.upstream.launching)
    gateway.upstream.finish()
    await until(lambda: list(gateway.upstream.running) == [row.id])


async def test_a_failed_start_of_which_something_may_be_left_is_not_begun_anew_yet(gateway):
    _, row = await begin(gateway)
    room = await gateway.lifecycle.waiting_room("alice", row.id)
    gateway.edge.away = True
    gateway.upstream.finish(PublicError("enterprise-gateway-unreachable", "x"))
    await over(room)
    assert (await gateway.row()).state == ENDING
    with pytest.raises(PublicError, match="still being ended") as refused:
        await gateway.lifecycle.begin_anew(ALICE, room)
    assert refused.value.status == 409


async def test_an_interrupt_cancels_the_start_and_ends_nothing_that_runs(gateway):
    _, row = await begin(gateway)
    room = await gateway.lifecycle.waiting_room("alice", row.id)
    await gateway.lifecycle.interrupt(row)
    assert (await gateway.row()).state == ENDING
    gateway.upstream.finish()
    await over(room)
    assert room.failure.sentence == "Its start was ended: interrupted while it was starting."
    assert not gateway.upstream.running
    _, row = await begin(gateway)
    room = await gateway.lifecycle.waiting_room("alice", row.id)
    gateway.upstream.finish()
    await over(room)
    interrupted = []

    async def interrupt(kernel_id):
        interrupted.append(kernel_id)

    gateway.upstream.interrupt = interrupt
    await gateway.lifecycle.interrupt(row)  # as it was read before the kernel came
    assert interrupted == [row.id]
    assert (await gateway.row()).state == RUNNING


async def test_a_restart_of_a_start_changes_nothing_but_what_waits(gateway):
    _, row = await begin(gateway)
    model = await gateway.lifecycle.restart(row)
    assert model["execution_state"] == "starting"
    assert gateway.upstream.most == 1
    gateway.upstream.finish()
    await until(lambda: gateway.upstream.running)


async def test_clients_of_another_gateway_follow_the_start(database_url, gateway):
    second = Database(database_url)
    async with Gateway(second, gateway.upstream, gateway.edge) as other:
        _, row = await begin(gateway)
        room = await other.lifecycle.waiting_room("alice", row.id)
        assert await other.lifecycle.waiting_room("alice", row.id) is room
        assert room.waits
        gateway.upstream.finish()
        assert (await over(room)).failure is None
        await gateway.lifecycle.stop(await gateway.row(), "x")
        _, row = await begin(gateway)
        room = await other.lifecycle.waiting_room("alice", row.id)
        await other.lifecycle.interrupt(row)
        gateway.upstream.finish()
        assert (await over(room)).failure.sentence == "The kernel's start was ended: interrupted while it was starting."
        _, row = await begin(gateway)
        room = await other.lifecycle.waiting_room("alice", row.id)
        gateway.upstream.finish(PublicError("queue-stopped", "The queue is stopped."))
        assert (await over(room)).failure.sentence == "The kernel's start was ended: The queue is stopped."
    await second.close()


async def test_a_failed_start_that_another_gateway_begins_anew_has_not_failed(database_url, gateway):
    second = Database(database_url)
    async with Gateway(second, gateway.upstream, gateway.edge) as other:
        _, row = await begin(gateway)
        room = await other.lifecycle.waiting_room("alice", row.id)
        mine = await gateway.lifecycle.waiting_room("alice", row.id)
        gateway.upstream.finish(PublicError("queue-stopped", "The queue is stopped."))
        await over(room)
        assert await other.lifecycle.listing.failed("alice", row.id)
        await gateway.lifecycle.begin_anew(ALICE, mine)
        await until(lambda: gateway.upstream.launching)
        assert await other.lifecycle.listing.failed("alice", row.id) is None
        again = await other.lifecycle.waiting_room("alice", row.id)
        assert again is not room
        assert again.waits
        gateway.upstream.finish()
        assert (await over(again)).failure is None
    await second.close()


async def test_a_start_waits_in_line_with_its_lease_and_can_be_cancelled_there(gateway):
    gateway.lifecycle.launches._line.enter("bob")
    for _ in range(4):
        gateway.lifecycle.launches._line.enter("cem")
    blocked = gateway.lifecycle.launches._line
    assert blocked.length == 0
    model = await gateway.lifecycle.start(ALICE, KERNELSPEC, {}, patience=0)
    row = await gateway.row()
    (listed,) = await gateway.lifecycle.listing.kernels("alice")
    assert listed["remote_kernel"]["start"]["phase"] == "requested"
    assert not gateway.upstream.launching
    assert gateway.leases.kernel_ids == {model["id"]}
    room = await gateway.lifecycle.waiting_room("alice", row.id)
    await gateway.lifecycle.stop(row, "stopped by its owner")
    assert (await over(room)).failure.sentence == "Its start was ended: stopped by its owner."
    assert await gateway.lifecycle.listing.kernels("alice") == []
    assert await gateway.row() is None
    assert blocked.length == 0


async def test_a_start_that_is_never_called_is_said_and_leaves_nothing(gateway, monkeypatch):
    for _ in range(5):
        gateway.lifecycle.launches._line.enter("bob")
    launches = gateway.lifecycle.launches
    monkeypatch.setattr(launches, "_settings", replace(launches._settings, launch_timeout=0))
    with pytest.raises(PublicError) as error:
        await gateway.lifecycle.start(ALICE, KERNELSPEC, {})
    assert error.value.code == "kernel-start-timeout"
    assert await gateway.row() is None


async def test_a_submission_of_which_yarn_knows_nothing_does_not_block_the_line(gateway, monkeypatch):
    monkeypatch.setattr(launches, "LONGEST_SUBMISSION", 0.05)
    line = gateway.lifecycle.launches._line
    for _ in range(4):
        line.enter("bob")
    began = time.monotonic()
    await begin(gateway)
    await asyncio.wait_for(line.enter("cem").called.wait(), 10)
    assert time.monotonic() - began > 0.04
    gateway.upstream.finish()
    await until(lambda: gateway.upstream.running)
