"""A place is given back when the launch it was taken for has ended, whoever goes away meanwhile."""

import asyncio

import pytest

from hub_ext.database import Database
from hub_ext.errors import PublicError
from hub_ext.limits.kernels import ENDING, RESTARTING, RUNNING
from hub_gateway import ends
from hub_gateway.failures import unreachable
from tests.unit.gateway_support import Edge, Gateway, Upstream, until


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(ends, "AGAIN", 0.02)


@pytest.fixture
async def gateway(database):
    async with Gateway(database, Upstream(), Edge()) as opened:
        yield opened


@pytest.fixture
async def quick_gateway(database):
    """Return one whose leases run out soon, for what waits for that."""
    async with Gateway(database, Upstream(), Edge(), lease=0.15) as opened:
        yield opened


async def no_row(gateway):
    return await gateway.row() is None


async def in_state(gateway, state):
    row = await gateway.row()
    return row is not None and row.state == state


async def refused(gateway):
    with pytest.raises(PublicError) as error:
        await gateway.start()
    return error.value.code


async def reason(gateway):
    return (await gateway.registry.ended("alice"))[0].end_reason


async def test_a_client_that_goes_away_keeps_its_place_until_the_launch_has_ended(gateway):
    for _ in range(3):
        task, _ = await gateway.launched()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: in_state(gateway, ENDING))
        assert await refused(gateway) == "too-many-kernels"
        gateway.upstream.finish()
        await until(lambda: no_row(gateway))
        assert not gateway.upstream.running
    assert gateway.upstream.most == 1
    assert await reason(gateway) == "start failed: whoever asked for it went away"


async def test_an_application_of_a_client_that_went_away_is_ended_so_that_the_launch_fails(gateway):
    failure = PublicError("application-killed", "killed")
    gateway.edge.on_end = lambda: gateway.upstream.finish(failure)
    task, row = await gateway.launched()
    task.cancel()
    await asyncio.sleep(0.1)
    gateway.edge.add(row.id)
    await until(lambda: no_row(gateway))
    assert not gateway.edge.found


async def test_a_client_that_goes_away_in_the_moment_its_kernel_runs_leaves_none(gateway):
    task, _ = await gateway.launched()
    gateway.upstream.finish()
    while not task.cancelled():
        await asyncio.sleep(0)
        if gateway.leases.kernel_ids:
            continue
        task.cancel()
        break
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: no_row(gateway))
    assert not gateway.upstream.running


async def test_a_kernel_that_is_stopped_while_it_is_launched_keeps_its_place_until_the_launch_has_ended(gateway):
    task, row = await gateway.launched()
    await gateway.lifecycle.stop(row, "stopped by its owner")
    assert (await gateway.row()).state == ENDING
    assert await refused(gateway) == "too-many-kernels"
    await gateway.lifecycle.stop(await gateway.row(), "stopped again")
    gateway.upstream.finish()
    with pytest.raises(PublicError, match="was ended during its start"):
        await task
    assert await no_row(gateway)
    assert not gateway.upstream.running
    assert await reason(gateway) == "stopped by its owner"


async def test_it_can_be_stopped_through_another_gateway_too(database_url, gateway):
    second = Database(database_url)
    async with Gateway(second, gateway.upstream, gateway.edge) as other:
        task, row = await gateway.launched()
        await other.lifecycle.stop(row, "stopped by its owner")
        gateway.edge.add(row.id)
        # The one that launches it learns of it with its next renewal, and ends what YARN has.
        await until(lambda: not gateway.edge.found)
        gateway.upstream.finish(PublicError("application-killed", "killed"))
        with pytest.raises(PublicError):
            await task
        assert await no_row(other)
    await second.close()


@pytest.mark.parametrize(
    ("answer", "enterprise_gateway_away", "edge_away", "kept"),
    [
        # It was refused, and it is nowhere.
        (PublicError("kernel-start-failed", "x"), False, False, False),
        # Who can't be asked may have it.
        (PublicError("kernel-start-failed", "x"), False, True, True),
        (PublicError("kernel-start-failed", "x"), True, False, True),
        # No answer: Enterprise Gateway may still be launching it.
        (unreachable(), False, False, True),
        (unreachable(), True, True, True),
    ],
)
async def test_a_start_that_failed_gives_its_place_back_when_nothing_can_be_left(
    quick_gateway, answer, enterprise_gateway_away, edge_away, kept
):
    gateway = quick_gateway
    task, _ = await gateway.launched()
    gateway.upstream.away, gateway.edge.away = enterprise_gateway_away, edge_away
    gateway.upstream.finish(answer)
    with pytest.raises(PublicError):
        await task
    assert (await gateway.row() is not None) == kept
    gateway.upstream.away = gateway.edge.away = False

    async def mended():
        await gateway.reconciler.reconcile()
        return await no_row(gateway)

    await until(mended)
    if kept:
        assert (await reason(gateway)).startswith("start failed: ")


async def test_a_kernel_that_is_stopped_while_it_restarts_keeps_its_place_until_that_has_ended(gateway):
    task, row = await gateway.launched()
    gateway.upstream.finish()
    await task
    restart = asyncio.ensure_future(gateway.lifecycle.restart(row))
    await until(lambda: gateway.upstream.launching)
    # Twice at once is once.
    second = asyncio.ensure_future(gateway.lifecycle.restart(row))
    row = await gateway.row()
    assert row.state == RESTARTING
    await gateway.lifecycle.stop(row, "stopped by its owner")
    assert await refused(gateway) == "too-many-kernels"
    gateway.upstream.finish()
    for one in (restart, second):
        with pytest.raises(PublicError):
            await one
    assert gateway.upstream.most == 1
    assert await no_row(gateway)
    assert not gateway.upstream.running


async def test_whoever_saw_it_running_does_not_give_the_place_of_its_restart_back(gateway):
    task, _ = await gateway.launched()
    gateway.upstream.finish()
    await task
    seen = await gateway.row()
    assert seen.state == RUNNING
    restart = asyncio.ensure_future(gateway.lifecycle.restart(seen))
    await until(lambda: gateway.upstream.launching)
    await gateway.lifecycle.stop(seen, "stopped by its owner")
    assert (await gateway.row()).state == ENDING
    gateway.upstream.finish()
    with pytest.raises(PublicError):
        await restart
    assert await no_row(gateway)


async def test_a_start_that_ends_with_its_gateway_says_so_and_what_to_do(gateway):
    task, row = await gateway.launched()
    gateway.edge.add(row.id)
    ended = PublicError("application-killed", "application_1_1 was ended while it started.")
    gateway.edge.on_end = lambda: gateway.upstream.finish(ended)
    await gateway.lifecycle.close(20)
    with pytest.raises(PublicError, match="gateway is being stopped") as caught:
        await task
    assert (caught.value.code, caught.value.status) == ("gateway-stopping", 503)
    assert "Start it again" in caught.value.remedy
    assert await no_row(gateway)
    assert await reason(gateway) == "start failed: its gateway is being stopped"


async def test_a_gateway_that_is_stopped_ends_its_starts_and_does_not_wait_for_ever(gateway):
    task, _ = await gateway.launched()
    await asyncio.wait_for(gateway.lifecycle.close(0.2), 2)
    with pytest.raises(asyncio.CancelledError):
        await task
    # The place is kept for the reconciler of the next one.
    assert (await gateway.row()).state == ENDING


async def test_a_kernel_that_is_launched_is_listed_and_one_that_is_to_end_is_not(gateway):
    task, row = await gateway.launched()
    (model,) = await gateway.lifecycle.listing.kernels("alice")
    assert (model["id"], model["name"], model["execution_state"]) == (row.id, "spark", "starting")
    assert (model["connections"], model["last_activity"]) == (0, row.started_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert model["remote_kernel"]["memory_mb"] == 1024
    assert model["remote_kernel"]["idle_since"] is None
    assert await gateway.lifecycle.listing.get(row) == model
    assert await gateway.lifecycle.listing.kernels(None) == [model]
    await gateway.lifecycle.stop(row, "stopped by its owner")
    assert await gateway.lifecycle.listing.kernels("alice") == []
    gateway.upstream.finish()
    with pytest.raises(PublicError):
        await task


async def test_a_running_kernel_that_enterprise_gateway_does_not_have_is_not_listed(gateway):
    task, _ = await gateway.launched()
    gateway.upstream.finish()
    await task
    row = await gateway.row()
    assert [one["id"] for one in await gateway.lifecycle.listing.kernels("alice")] == [row.id]
    gateway.upstream.running.clear()
    assert await gateway.lifecycle.listing.kernels("alice") == []
    with pytest.raises(PublicError):
        await gateway.lifecycle.listing.get(row)
