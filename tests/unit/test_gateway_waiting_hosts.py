"""Who looks after a client of the waiting room."""

import asyncio
from types import SimpleNamespace

import pytest

from hub_gateway.handlers import channels
from hub_gateway.sockets import Seat, Sockets
from tests.unit.test_gateway_waiting import Place, cell


@pytest.fixture
def delivered(monkeypatch):
    found = []

    async def deliver(upstream, kernel_id, raw, timeout):
        found.append(raw)

    async def called(upstream, kernel_id, session_id, timeout):
        raise AssertionError("the next connection of the same session may be there already")

    monkeypatch.setattr(channels, "deliver", deliver)
    monkeypatch.setattr(channels, "called", called)
    return found


def hosted(place):
    """Return a guest and the task that looks after it."""
    key, guest, _ = place.arrives()
    handler = channels.ChannelsHandler.__new__(channels.ChannelsHandler)
    handler.parts = SimpleNamespace(
        reauthorize_interval=60, sockets=Sockets(), upstream=None, connect_timeout=1, lifecycle=None
    )
    handler._arrival = handler.parts.sockets.arrived(key)
    return guest, asyncio.ensure_future(handler._host(place.room, guest, Seat(guest), "s"))


@pytest.mark.parametrize("first", ["the kernel", "the client"])
async def test_cells_of_a_client_that_goes_in_the_moment_in_which_its_kernel_comes_reach_it(delivered, first):
    place = Place()
    guest, hosting = hosted(place)
    guest.data_received(cell(1))
    await asyncio.sleep(0)  # it waits for either of them
    steps = [place.room.ready, lambda: (guest.transport.close(), guest.connection_lost(None))]
    for step in steps if first == "the kernel" else reversed(steps):
        step()
    await asyncio.wait_for(hosting, 20)
    assert delivered == [cell(1)]
    assert not place.room.guests
