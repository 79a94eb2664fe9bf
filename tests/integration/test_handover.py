"""From the waiting room to the kernel without losing, doubling or mixing a message, on real sockets."""

import asyncio
import json
import random
import uuid
from datetime import datetime, timezone

import pytest
from sqlalchemy import update
from tornado import web
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.websocket import WebSocketHandler, websocket_connect
from websocket import ABNF

from hub_ext.database import Database, Kernel
from tests.traffic_site import OWNER, PREFIX, TOKEN, gateway
from tests.traffic_upstream import USER
from tests.unit.gateway_support import until

CLIENTS = 12
SECONDS = 30
#: Sessions whose first websocket ends right after the handshake.
LOST = ("goodbye", "cut")


class Channels(WebSocketHandler):
    """A kernel's websocket: notes what it hears and answers it."""

    def initialize(self, heard):
        self.heard = heard

    def open(self, kernel_id):
        how = self.get_argument("session_id")
        if how in LOST and how not in self.heard:
            self.heard[how] = []
            if how == LOST[0]:
                self.close()
            else:
                self.ws_connection.stream.close()
            return
        self.write_message(json.dumps({"early": True}))

    def on_message(self, message):
        number = json.loads(message)["content"]["number"]
        self.heard.setdefault(self.get_argument("session_id"), []).append(number)
        self.write_message(json.dumps({"number": number, "length": len(message)}))


class User(web.RequestHandler):
    def get(self):
        self.write(USER)


@pytest.fixture
async def heard():
    """Stand-ins for Enterprise Gateway and the Hub; gives what each session's kernel has heard, and the port."""
    found = {}
    app = web.Application(
        [(r"/api/kernels/([^/]+)/channels", Channels, {"heard": found}), (r"/hub/api/user", User)],
        websocket_max_message_size=1 << 26,
    )
    sock, port = bind_unused_port()
    server = HTTPServer(app)
    server.add_socket(sock)
    yield found, port
    server.stop()
    await server.close_all_connections()


@pytest.fixture
async def site(heard, tmp_path):
    running = gateway(tmp_path, heard[1])
    opened = await asyncio.to_thread(running.__enter__)
    database = Database(f"sqlite:///{tmp_path}/gateway.sqlite")
    yield opened, database
    await database.close()
    await asyncio.to_thread(running.__exit__, None, None, None)


async def add_starting(database):
    kernel_id = str(uuid.uuid4())
    now = datetime.now(timezone.utc)
    async with database.transaction() as session:
        session.add(
            Kernel(id=kernel_id, owner=OWNER, cluster_user=OWNER, kernelspec="spark", state="starting", started_at=now)
        )
    return kernel_id


async def comes(database):
    async with database.transaction() as session:
        await session.execute(update(Kernel).values(state="running"))


def cell(number, length):
    content = {"code": "x" * length, "number": number}
    header = {"msg_id": f"m{number}", "msg_type": "execute_request"}
    return json.dumps({"header": header, "content": content, "channel": "shell"})


def in_frames(text, chance):
    """Write a message as one frame or as several, with pings in between."""
    cuts = sorted(chance.randrange(1, len(text)) for _ in range(chance.choice([0, 0, 0, 1, 3])))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    frames = []
    for at, piece in enumerate(pieces):
        opcode = ABNF.OPCODE_TEXT if at == 0 else ABNF.OPCODE_CONT
        frames.append(ABNF.create_frame(piece, opcode, int(at == len(pieces) - 1)).format())
        if chance.random() < 0.3:
            frames.append(ABNF.create_frame(b"p", ABNF.OPCODE_PING).format())
    return b"".join(frames)


async def chatter(opened, kernel_id, session_id, chance, over, answered):
    """Send cells of all sizes in pieces of all sizes until told to end; return how many."""
    reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)
    path = f"{PREFIX}user/{OWNER}/api/kernels/{kernel_id}/channels?session_id={session_id}"
    head = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: token {TOKEN}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        "Sec-WebSocket-Protocol: v1.kernel.websocket.jupyter.org\r\n\r\n"
    )
    writer.write(head.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"extensions" not in answer.lower()
    assert b"protocol:" not in answer.lower()
    number, pending = 0, b""
    listening = asyncio.ensure_future(listen(reader, answered))
    while not over.is_set() or pending:
        if len(pending) < 20_000 and not over.is_set():
            pending += in_frames(cell(number, chance.choice([0, 5, 100, 3000, 70_000])), chance)
            number += 1
        size = chance.randrange(1, 40_000)
        writer.write(pending[:size])
        pending = pending[size:]
        await writer.drain()
        await asyncio.sleep(chance.random() / 20)
    await until(lambda: sum("number" in one for one in answered) == number, SECONDS)
    writer.close()
    listening.cancel()
    return number


async def listen(reader, answered):
    """Read a server's frames."""
    while True:
        first, length = await reader.readexactly(2)
        if length >= 126:
            length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
        payload = await reader.readexactly(length)
        if first & 15 == 1:
            answered.append(json.loads(payload))


def kinds_of(answered):
    return [one.get("msg_type", "kernel's") for one in answered]


async def test_every_message_reaches_the_kernel_once_and_in_order_whenever_it_comes(heard, site):
    opened, database = site
    kernels = [await add_starting(database) for _ in range(CLIENTS)]
    over, answers = asyncio.Event(), [[] for _ in kernels]
    talks = [
        asyncio.ensure_future(chatter(opened, kernel_id, f"s{at}", random.Random(at), over, answers[at]))  # noqa: S311 (a seed)
        for at, kernel_id in enumerate(kernels)
    ]
    await until(lambda: all("display_data" in kinds_of(one) for one in answers), SECONDS)
    assert heard[0] == {}
    await comes(database)
    await until(lambda: len(heard[0]) == CLIENTS, SECONDS)
    await asyncio.sleep(0.5)
    over.set()
    for at, talk in enumerate(talks):
        count, answered = await asyncio.wait_for(talk, SECONDS), answers[at]
        assert heard[0][f"s{at}"] == list(range(count))
        theirs = [one["number"] for one in answered if "number" in one]
        assert theirs == list(range(count))
        kinds = kinds_of(answered)
        ours = kinds[: kinds.index("kernel's")]
        assert "clear_output" in ours
        assert set(kinds[len(ours) :]) == {"kernel's"}
    print(f"{sum(map(len, heard[0].values()))} messages")


async def connected(opened, kernel_id, session_id):
    url = f"ws://127.0.0.1:{opened.port}{PREFIX}user/{OWNER}/api/kernels/{kernel_id}/channels"
    return await websocket_connect(
        HTTPRequest(f"{url}?session_id={session_id}", headers={"Authorization": f"token {TOKEN}"})
    )


async def told(socket, wanted):
    message = ""
    while wanted not in message:
        message = await asyncio.wait_for(socket.read_message(), SECONDS)
        assert message is not None, "the connection was closed"


async def test_what_a_client_has_left_reaches_the_kernel_too_unless_it_comes_back(heard, site):
    opened, database = site
    kernel_id = await add_starting(database)

    gone, back = await connected(opened, kernel_id, "gone"), await connected(opened, kernel_id, "back")
    await gone.write_message(cell(1, 10))
    await back.write_message(cell(2, 10))
    await told(gone, "Starting in YARN")
    await told(back, "Starting in YARN")
    gone.close()
    back.close()
    back = await connected(opened, kernel_id, "back")
    await told(back, "update_display_data")
    await comes(database)
    await told(back, '"number": 2')
    await until(lambda: sorted(heard[0].values()) == [[1], [2]], SECONDS)
    assert heard[0]["back"] == [2]
    back.close()


@pytest.mark.parametrize("how", LOST)
async def test_a_kernel_that_is_lost_in_the_moment_of_the_hand_over_is_called_again(heard, site, how):
    opened, database = site
    kernel_id = await add_starting(database)
    socket = await connected(opened, kernel_id, how)
    await socket.write_message(cell(1, 10))
    await told(socket, "Starting in YARN")
    await comes(database)
    await told(socket, '"number": 1')
    assert heard[0] == {how: [1]}
    socket.close()
