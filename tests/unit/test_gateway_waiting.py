import json
import socket
from datetime import datetime, timezone

import pytest
from websocket import ABNF

from hub_ext.cluster import StartState, StartStates
from hub_ext.database import Kernel
from hub_ext.errors import PublicError
from hub_gateway.waiting import kept as kept_module
from hub_gateway.waiting import room as room_module
from hub_gateway.waiting.frames import CLOSE, PING
from hub_gateway.waiting.line import Line
from hub_gateway.waiting.messages import Message, read, write
from hub_gateway.waiting.phases import Clock, told
from hub_gateway.waiting.room import Room
from hub_gateway.waiting.rooms import Rooms
from hub_gateway.waiting.tiny_kernel import answer, answer_of_none, failure_of
from hub_gateway.waiting.whereabouts import Whereabouts, elapsed, in_line, in_yarn, words

KERNEL_ID = "6a1f4b7e-0f9d-4a53-9d0e-1f2a3b4c5d6e"
SOCKET = socket.socket(socket.AF_UNIX)
OVER = PublicError("queue-stopped", "Queue x is stopped.", remedy="Ask when it opens.")


def request(kind, channel="shell", **content):
    return Message(kind, channel, {"msg_id": "m1", "msg_type": kind}, content)


BUSY_REPLY_IDLE = ["status", "REPLY", "status"]


@pytest.mark.parametrize(
    ("message", "said", "deed"),
    [
        (request("kernel_info_request"), BUSY_REPLY_IDLE, "done"),
        (request("kernel_info_request", "control"), BUSY_REPLY_IDLE, "done"),
        (request("comm_info_request"), BUSY_REPLY_IDLE, "done"),
        (request("history_request"), BUSY_REPLY_IDLE, "done"),
        (request("complete_request", cursor_pos=3), BUSY_REPLY_IDLE, "done"),
        (request("inspect_request"), BUSY_REPLY_IDLE, "done"),
        (request("is_complete_request"), BUSY_REPLY_IDLE, "done"),
        (request("debug_request", "control", command="debugInfo", seq=4), BUSY_REPLY_IDLE, "done"),
        (request("execute_request", code="1"), ["status"], "keep"),
        (request("comm_open"), [], "keep"),
        (request("comm_msg"), [], "keep"),
        (request("something_new_request"), [], "keep"),
        (request("input_reply", "stdin"), [], "done"),
        (request("interrupt_request", "control"), BUSY_REPLY_IDLE, "interrupt"),
        (request("shutdown_request", "control", restart=False), BUSY_REPLY_IDLE, "stop"),
        (request("shutdown_request", restart=True), BUSY_REPLY_IDLE, "restart"),
    ],
    ids=lambda one: one.kind if isinstance(one, Message) else "",
)
def test_what_a_kernel_that_is_not_there_yet_says(message, said, deed):
    found = answer(message, "python")
    reply = message.kind.removesuffix("_request") + "_reply"
    assert [one.kind for one in found.said] == [reply if one == "REPLY" else one for one in said]
    assert found.deed == deed
    for one in found.said:
        assert one.channel == (message.channel if one.kind == reply else "iopub")


@pytest.mark.parametrize("language", ["python", "R", "scala", "julia", ""])
def test_an_editor_learns_the_kernelspecs_language(language):
    (info,) = [
        one.content for one in answer(request("kernel_info_request"), language).said if "language_info" in one.content
    ]
    assert info["language_info"]["name"].lower() == (language.lower() or "python")


def test_a_kernel_that_will_not_come_answers_cells_and_keeps_nothing():
    failure = failure_of(OVER)
    found = answer_of_none(request("execute_request"), failure, "python")
    assert [one.kind for one in found.said] == ["status", "error", "execute_reply", "status"]
    assert found.said[1].content["evalue"] == "Queue x is stopped."
    assert found.said[1].content["traceback"][1:] == ["Queue x is stopped.", "Ask when it opens."]
    assert found.deed == "done"
    assert answer_of_none(request("comm_msg"), failure, "").deed == "done"
    assert len(answer_of_none(request("kernel_info_request"), failure, "").said) == 3


NO_MESSAGES = [
    *(b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"header": []}', b'{"header": {"msg_type": 3}}', b"\xff\xfe"),
    *(b'{"header": {"msg_type": "x"}, "content": [1]}', b'{"header": {"msg_type": "x"}, "channel": {"a": 1}}'),
    b"[" * 100_000,
]


@pytest.mark.parametrize("payload", NO_MESSAGES, ids=lambda one: one[:30])
@pytest.mark.parametrize("binary", [False, True])
def test_what_is_no_message_is_none(payload, binary):
    assert read(payload, binary=binary) is None


def test_a_message_with_buffers_is_read_from_its_front():
    text = json.dumps({"header": {"msg_type": "comm_msg"}, "channel": "shell", "content": {"data": 1}}).encode()
    offsets = (12, 12 + len(text))
    payload = b"".join(one.to_bytes(4, "big") for one in (2, *offsets)) + text + b"\0\1"
    assert read(payload, binary=True) == Message("comm_msg", "shell", {"msg_type": "comm_msg"}, {"data": 1})
    assert read(payload[:6], binary=True) is None


def test_of_a_header_no_more_is_kept_than_clients_go_by():
    header = {"msg_id": "m1", "msg_type": "execute_request", "session": "s", "date": ["x"] * 1000, "more": "y" * 1000}
    text = json.dumps({"header": {**header, "username": "z" * 1000}})
    assert read(text.encode(), binary=False).header == {"msg_id": "m1", "msg_type": "execute_request", "session": "s"}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (StartState(kernel_id="k", state="SUBMITTED"), "submitted"),
        (
            StartState(kernel_id="k", state="ACCEPTED", queue="root.notebooks", ahead=2, used_percent=97),
            "accepted in queue notebooks (97 % used), 2 ahead of you",
        ),
        (
            StartState(
                kernel_id="k", state="ACCEPTED", queue="q", ahead=0, diagnostics="Queue's AM resource limit exceeded."
            ),
            "accepted in queue q, nobody ahead of you; the queue runs as many drivers as it may at once",
        ),
        (StartState(kernel_id="k", state="ACCEPTED", containers=1, host="n17"), "driver starting on node n17"),
        (StartState(kernel_id="k", state="RUNNING"), "driver starting"),
    ],
)
def test_where_a_start_is_in_words(state, expected):
    assert words(in_yarn(state)) == expected


def test_the_line_is_said_too():
    assert words(in_line(3)) == "waiting to be submitted, 3 ahead of you"
    assert words(Whereabouts()) == "about to be submitted"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-1, "0 s"), (11.9, "11 s"), (65, "1 min 05 s"), (3725, "1 h 02 min")]
)
def test_times_that_go_on(seconds, expected):
    assert elapsed(seconds) == expected


class Transport:
    """What a guest writes, as messages."""

    def __init__(self):
        self.data, self.closing, self.reading = b"", False, True
        self.protocol = None

    def write(self, data):
        if self.closing:
            raise RuntimeError("the handler is closed")  # as uvloop's transports do
        self.data += data

    def set_write_buffer_limits(self, high):
        pass

    def set_protocol(self, protocol):
        self.protocol = protocol

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    abort = close

    def get_extra_info(self, name):
        return SOCKET

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def frames(self):
        """Take what was written."""
        found, at = [], 0
        while at < len(self.data):
            opcode, length, start = self.data[at] & 15, self.data[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(self.data[start : start + 2], "big"), start + 2
            found.append((opcode, self.data[start : start + length]))
            at = start + length
        self.data = b""
        return found

    def messages(self):
        return [json.loads(payload) for opcode, payload in self.frames() if opcode == 1]


def kinds(messages):
    return [
        f"{one['msg_type']}:{one['content']['execution_state']}" if one["msg_type"] == "status" else one["msg_type"]
        for one in messages
    ]


def cell(number=1, **content):
    text = json.dumps(
        {
            "header": {"msg_id": f"m{number}", "msg_type": "execute_request"},
            "content": {"code": "1", **content},
            "channel": "shell",
        }
    )
    return framed(text)


def framed(text):
    """Write a client's frame, with a mask that is the same every time."""
    one = ABNF.create_frame(text, ABNF.OPCODE_TEXT)
    one.get_mask_key = lambda length: b"mask"
    return one.format()


def asked(kind):
    text = json.dumps({"header": {"msg_id": "q", "msg_type": kind}, "content": {}, "channel": "shell"})
    return framed(text)


class Place:
    """A room with a guest in it."""

    def __init__(self):
        self.wishes, self.time = [], 0.0
        started = datetime.now(timezone.utc)
        self.kernel = Kernel(id=KERNEL_ID, owner="alice", kernelspec="spark", started_at=started)
        self.room = Room(self.kernel, "python", self.wishes.append, lambda: self.time)

    def arrives(self, session="s"):
        key = ("client", KERNEL_ID, session)
        guest, transport = self.room.welcome(key, b""), Transport()
        self.room.enter(key, guest)
        guest.connection_made(transport)
        return key, guest, transport


@pytest.fixture
async def place():
    return Place()


async def test_the_wait_is_said_in_the_first_cell_of_a_person_replaced_in_place_and_taken_away(place):
    _, guest, transport = place.arrives()
    assert kinds(transport.messages()) == ["status:starting"]
    guest.data_received(cell(1, silent=True) + cell(2) + cell(3))
    assert kinds(transport.messages()) == ["status:busy"] * 3
    place.room.tell()
    place.time = 11
    place.room.seen(Whereabouts("accepted", 2, "notebooks", 97))
    place.room.tell()
    first, second = transport.messages()
    assert (first["msg_type"], second["msg_type"]) == ("display_data", "update_display_data")
    assert first["content"]["transient"] == second["content"]["transient"]
    assert {first["parent_header"]["msg_id"], second["parent_header"]["msg_id"]} == {"m2"}
    expected = "Starting in YARN: accepted in queue notebooks (97 % used), 2 ahead of you, 11 s"
    assert second["content"]["data"] == {"text/html": f"<em>{expected}</em>", "text/plain": expected}
    place.room.ready()
    side, raw = guest.hand_over()
    assert kinds(transport.messages()) == ["clear_output"]
    assert raw == cell(1, silent=True) + cell(2) + cell(3)
    assert transport.protocol is side


async def test_every_byte_that_the_kernel_has_to_hear_reaches_it_in_order(place):
    _, guest, _ = place.arrives()
    cells = [cell(number) for number in range(5)]
    half = cell(9)[:17]
    guest.data_received(cells[0] + cells[1] + asked("kernel_info_request") + cells[2][:3])
    guest.data_received(cells[2][3:] + ABNF.create_frame(b"x", ABNF.OPCODE_PING).format() + cells[3] + cells[4] + half)
    assert guest.hand_over()[1] == b"".join(cells) + half


async def test_nothing_is_said_to_a_client_that_was_given_to_its_kernel(place):
    _, guest, transport = place.arrives()
    guest.data_received(cell(1))
    place.room.ready()
    guest.hand_over()
    transport.frames()
    place.room.forget()
    place.room.tell()
    place.room.keep_open()
    guest.close()
    assert (transport.data, transport.closing) == (b"", False)


async def test_a_guest_whose_client_has_gone_is_closed_like_any_other(place):
    _, guest, transport = place.arrives()
    transport.abort()
    guest.fail(failure_of(OVER))
    guest.close()
    assert guest.gone


async def test_a_guest_without_cells_is_idle_when_the_kernel_is_there(place):
    _, guest, transport = place.arrives()
    guest.data_received(asked("kernel_info_request"))
    place.room.ready()
    guest.hand_over()
    expected = ["status:starting", "status:busy", "kernel_info_reply", "status:idle", "status:starting", "status:idle"]
    assert kinds(transport.messages()) == expected


async def test_a_start_that_fails_answers_every_cell_and_those_that_come(place):
    _, guest, transport = place.arrives()
    guest.data_received(cell(1) + cell(2))
    place.room.tell()
    transport.messages()
    place.room.fail(OVER)
    said = transport.messages()
    per_cell = ["error", "execute_reply", "status:idle"]
    assert kinds(said) == ["clear_output", *per_cell, *per_cell]
    assert [one["parent_header"]["msg_id"] for one in said] == ["m1", "m1", "m1", "m1", "m2", "m2", "m2"]
    guest.data_received(cell(3))
    assert kinds(transport.messages()) == ["status:busy", *per_cell]
    _, late, transport = place.arrives("another")
    late.data_received(cell(4))
    assert kinds(transport.messages())[-4:] == ["status:busy", *per_cell]
    assert not guest.kept.raw
    assert not late.kept.raw


async def test_guests_of_a_start_that_failed_wait_again_when_it_begins_anew(place):
    _, guest, transport = place.arrives()
    place.room.fail(OVER)
    guest.data_received(cell(1))
    failed, anew = place.room.over, place.room.anew
    transport.messages()
    place.room.begin_anew(place.kernel, "python", place.wishes.append)
    assert (failed.is_set(), anew.is_set(), place.room.waits, place.room.anew.is_set()) == (True, True, True, False)
    guest.data_received(cell(2))
    assert kinds(transport.messages()) == ["status:starting", "status:busy"]
    assert guest.hand_over()[1] == cell(2)


async def test_each_tab_has_its_own_cells(place):
    _, one, _ = place.arrives("one")
    _, two, _ = place.arrives("two")
    one.data_received(cell(1))
    two.data_received(cell(2))
    assert (one.hand_over()[1], two.hand_over()[1]) == (cell(1), cell(2))


async def test_a_client_that_comes_back_finds_its_cells_and_the_same_words(place):
    key, guest, transport = place.arrives()
    raw = cell(1)
    guest.data_received(raw)
    place.room.tell()
    display_id = transport.messages()[-1]["content"]["transient"]["display_id"]
    guest.connection_lost(None)
    place.room.leave(key, guest)
    assert list(place.room.left) == [key]
    _, again, transport = place.arrives()
    assert not place.room.left
    place.room.tell()
    update = transport.messages()[-1]
    assert (update["msg_type"], update["content"]["transient"]["display_id"]) == ("update_display_data", display_id)
    assert again.hand_over()[1] == raw


async def test_one_that_comes_back_before_its_old_connection_is_gone_does_too(place):
    _, guest, _ = place.arrives()
    raw = cell(1)
    guest.data_received(raw)
    key, again, _ = place.arrives()
    place.room.leave(key, guest)
    assert place.room.guests == {key: again}
    assert again.hand_over()[1] == raw


async def test_a_restart_forgets_the_cells(place):
    _, guest, transport = place.arrives()
    key, gone, _ = place.arrives("gone")
    guest.data_received(cell(1))
    gone.data_received(cell(2))
    place.room.leave(key, gone)
    place.room.tell()
    transport.messages()
    place.room.forget()
    assert kinds(transport.messages()) == ["clear_output", "execute_reply", "status:idle", "status:starting"]
    place.room.tell()
    assert transport.messages() == []
    assert guest.hand_over()[1] == b""
    assert not place.room.left


async def test_what_a_client_wishes_is_told(place):
    _, guest, _ = place.arrives()
    guest.data_received(asked("interrupt_request"))
    guest.data_received(asked("shutdown_request"))
    assert place.wishes == ["interrupt", "stop"]


async def test_the_same_wish_a_thousand_times_is_one_a_second(place):
    _, guest, _ = place.arrives()
    guest.data_received(asked("interrupt_request") * 1000)
    assert place.wishes == ["interrupt"]
    place.time = 1.5
    guest.data_received(asked("interrupt_request") * 2)
    assert place.wishes == ["interrupt"] * 2
    place.room.fail(OVER)
    anew = []
    place.room.begin_anew(place.kernel, "python", anew.append)
    guest.data_received(asked("interrupt_request") * 2)
    assert (place.wishes, anew) == (["interrupt"] * 2, ["interrupt"])


async def test_no_more_is_kept_than_fits_and_the_rest_is_told_so(place, monkeypatch):
    monkeypatch.setattr(kept_module, "MAXIMUM_MESSAGES", 2)
    _, guest, transport = place.arrives()
    guest.data_received(cell(1) + cell(2) + cell(3))
    said = transport.messages()
    refused = [one for one in said if one["parent_header"].get("msg_id") == "m3"]
    assert kinds(refused) == ["status:busy", "error", "execute_reply", "status:idle"]
    assert "wait at most" in refused[1]["content"]["evalue"]
    assert len(guest.kept.raw) == 2


async def test_no_more_clients_wait_for_a_kernel_than_memory_is_meant_for(place, monkeypatch):
    monkeypatch.setattr(room_module, "MAXIMUM_CLIENTS", 2)
    key, guest, _ = place.arrives("one")
    place.arrives("two")
    with pytest.raises(PublicError) as refused:
        place.arrives("three")
    assert refused.value.status == 429
    guest.data_received(cell(1))
    place.room.leave(key, guest)
    with pytest.raises(PublicError):
        place.arrives("three")
    place.arrives("one")


async def test_what_is_no_websocket_traffic_ends_the_connection(place):
    _, guest, transport = place.arrives()
    guest.data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert transport.frames()[-1] == (CLOSE, (1002).to_bytes(2, "big"))
    assert transport.closing
    _, guest, transport = place.arrives("other")
    guest.data_received(ABNF.create_frame(b"\x03\xe8", ABNF.OPCODE_CLOSE).format())
    assert transport.closing


async def test_a_client_that_does_not_read_is_told_nothing_and_not_read_either(place):
    _, guest, transport = place.arrives()
    guest.data_received(cell(1))
    guest.pause_writing()
    transport.frames()
    place.room.tell()
    place.room.keep_open()
    assert (transport.data, transport.reading) == (b"", False)
    place.room.forget()  # which answers its cell
    transport.frames()
    for _ in range(3):
        place.room.forget()
    assert transport.data == b""
    guest.resume_writing()
    place.room.keep_open()
    assert transport.frames() == [(PING, b"")]


class Edge:
    def __init__(self):
        self.answers, self.asked = (), []

    async def starts(self, kernel_ids, *, fresh=()):
        self.asked.append((sorted(kernel_ids), list(fresh)))
        if isinstance(self.answers, Exception):
            raise self.answers
        return StartStates(stale=False, starts=self.answers)


def of(number):
    kernel_id = f"{number:08x}{KERNEL_ID[8:]}"
    return Kernel(id=kernel_id, owner="alice", kernelspec="spark", started_at=datetime.now(timezone.utc))


async def test_yarn_is_asked_once_for_all_who_wait_and_lets_the_next_one_begin():
    edge, line = Edge(), Line(1)
    rooms = Rooms(edge)
    await rooms.look()
    assert edge.asked == []
    one, two = (rooms.open(of(number), "python", lambda deed: None) for number in (1, 2))
    one.ticket, two.ticket = line.enter("alice"), line.enter("alice")
    one.submitting()
    assert (one.where.phase, two.where) == ("submitted", in_line(0))
    edge.answers = (StartState(kernel_id=one.kernel.id, state="ACCEPTED", queue="q", ahead=4),)
    await rooms.look()
    assert edge.asked == [([one.kernel.id], [one.kernel.id])]
    assert (one.where.ahead, two.ticket.called.is_set()) == (4, True)
    edge.answers = PublicError("edge-unreachable", "x")
    await rooms.look()
    assert one.where.ahead == 4


async def test_a_start_that_failed_is_remembered_for_its_owner_alone_and_not_for_ever(monkeypatch):
    rooms = Rooms(Edge())
    room = rooms.open(of(1), "python", lambda deed: None)
    room.fail(OVER)
    rooms.close(room)
    assert rooms.of(room.kernel.id, "alice") is room
    assert rooms.of(room.kernel.id, "bob") is None
    assert rooms.waiting(room.kernel.id) is None
    monkeypatch.setattr("hub_gateway.waiting.rooms.time.monotonic", lambda: 1e12)
    await rooms.look()
    assert rooms.of(room.kernel.id, "alice") is None


async def test_users_take_turns_and_everybodys_place_is_the_number_of_those_who_come_first():
    line = Line(2)
    names = ["ann", "ann", "ann", "ann", "ben", "cem", "ben"]
    tickets = [line.enter(name) for name in names]
    order, places = [], []
    waiting = {ticket: ticket.ahead for ticket in tickets if not ticket.called.is_set()}
    while any(not ticket.called.is_set() for ticket in tickets):
        before = {ticket for ticket in tickets if ticket.called.is_set()}
        next(iter(before - set(order))).release()
        order.append(next(iter(before - set(order))))
        for ticket in tickets:
            if ticket.called.is_set() and ticket not in before:
                places.append(waiting[ticket])
    assert places == sorted(places) == list(range(5))


async def test_whoever_leaves_the_line_makes_room():
    line = Line(1)
    first, second, third = (line.enter("ann") for _ in range(3))
    second.release()
    assert third.ahead == 0
    first.release()
    first.release()
    assert third.called.is_set()
    assert line.length == 0


def test_phases_are_counted_from_the_request_and_nonsense_is_left_out():
    model = {"start_phases": {"submitted": 101.5, "driver": 99.0, "connected": "x", "spark_ready": True, "other": 102}}
    assert told(model, 100.0) == {"submitted": 1.5, "driver": 0.0}
    assert told({"start_phases": None}, 100.0) == {}
    assert told({"start_phases": {"submitted": float("nan"), "accepted": 1e12}}, 100.0) == {}


def test_each_phase_is_counted_once():
    clock = Clock(100.0, 0.0)
    clock.seen("driver", 4.0)
    clock.seen("accepted", 9.0)
    clock.count({"start_phases": {"spark_ready": 106.0}})
    assert not clock.complete
    clock.count({"start_phases": {"spark_ready": 106.0, "first_answer": 200.0}})
    assert clock.complete
    assert clock._seen == {"submitted": 4.0, "accepted": 4.0, "driver": 4.0}


def test_the_header_of_the_request_is_the_parent():
    header = {"msg_id": "m", "strange": [1]}
    message = json.loads(write("s", "status", {}, header))
    assert message["parent_header"] == header
    assert message["header"]["msg_id"] == message["msg_id"]
