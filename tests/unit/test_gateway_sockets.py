import asyncio

import pytest

from hub_ext.errors import PublicError
from hub_gateway.sockets import Seat, Sockets

KEY = ("client", "kernel", "session")


class Side:
    def __init__(self):
        self.closed = asyncio.get_running_loop().create_future()

    def abort(self):
        if not self.closed.done():
            self.closed.set_result(None)


async def opened(sockets, arrival, may_go_on=None):
    async with sockets.turn(arrival):
        if may_go_on is not None:
            await may_go_on.wait()
        side = Side()
        sockets.opened(arrival.key, Seat(side), asyncio.ensure_future(side.closed))
        return side


async def test_a_later_connection_replaces_the_open_one():
    sockets = Sockets()
    one, two = sockets.arrived(KEY), None
    first = await opened(sockets, one)
    two = sockets.arrived(KEY)
    second = await opened(sockets, two)
    assert first.closed.done()
    assert not second.closed.done()


async def test_an_earlier_connection_that_is_served_later_is_refused():
    sockets = Sockets()
    one, two = sockets.arrived(KEY), sockets.arrived(KEY)
    live = await opened(sockets, two)
    with pytest.raises(PublicError) as refused:
        await opened(sockets, one)
    assert refused.value.code == "superseded"
    assert not live.closed.done()


async def test_connections_of_one_session_take_turns_and_others_do_not_wait():
    sockets = Sockets()
    slow, may_go_on = sockets.arrived(KEY), asyncio.Event()
    opening = asyncio.create_task(opened(sockets, slow, may_go_on))
    await asyncio.sleep(0.05)
    next_one, other = sockets.arrived(KEY), sockets.arrived(("client", "kernel", "another"))
    assert not (await asyncio.wait_for(opened(sockets, other), 10)).closed.done()
    waiting = asyncio.create_task(opened(sockets, next_one))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    may_go_on.set()
    last = await asyncio.wait_for(waiting, 10)
    assert (await opening).closed.done()
    assert not last.closed.done()


async def test_a_stranger_cannot_take_a_connections_place():
    sockets = Sockets()
    own = sockets.arrived(KEY)
    stranger = sockets.arrived(("stranger", "kernel", "session"))
    assert not (await opened(sockets, own)).closed.done()
    assert stranger.key != own.key
