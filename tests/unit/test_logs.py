import asyncio
import json
import logging
import sys

import pytest
from tornado import web
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from hub_ext import logs
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError
from hub_ext.web.handlers import BaseHandler, JSONHandler, NotFoundHandler, log_request
from jeg_plugin import story

log = logging.getLogger("hub_gateway")


def record(message, *arguments, exc_info=None, **extra):
    made = logging.LogRecord("hub_gateway", logging.INFO, __file__, 1, message, arguments, exc_info)
    vars(made).update(extra)
    return made


@pytest.fixture(autouse=True)
def outside_of_any_request():
    token = logs._about.set({})
    yield
    logs._about.reset(token)


def test_a_line_ends_with_what_it_is_about():
    logs.begin("r1")
    logs.about(user="alice", kernel="k1")
    line = logs.TextFormatter().format(record("Kernel admitted"))
    assert line.startswith("[I 20")
    assert line.endswith(" hub_gateway] Kernel admitted kernel=k1 user=alice request=r1")


def test_what_a_message_says_itself_is_not_said_twice():
    logs.begin("r1")
    logs.about(user="alice", kernel="k1")
    line = logs.TextFormatter().format(record("kernel=%s of user=%s ends", "k2", "bob"))
    assert line.endswith("] kernel=k2 of user=bob ends request=r1")


def test_a_new_request_is_not_about_what_the_last_one_was():
    logs.begin("r1")
    logs.about(user="alice")
    logs.begin("r2")
    assert logs.TextFormatter().format(record("x")).endswith("] x request=r2")


def test_outside_of_any_request_there_is_nothing_to_add():
    assert logs.TextFormatter().format(record("Up")).endswith("] Up")
    assert logs.request_headers() == {}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("alice@EXAMPLE.org", "alice@EXAMPLE.org"),
        ("a b", '"a b"'),
        ("a\nkernel=forged", '"a\\\\nkernel=forged"'),
        ('a" request=forged', '"a\\" request=forged"'),
        ("\x1b[2J", '"\\\\x1b[2J"'),
        ("x" * 300, '"' + "x" * 200 + '"'),
    ],
)
def test_a_value_can_not_become_another_field_or_line(value, written):
    logs.begin("r1")
    logs.about(user=value)
    line = logs.TextFormatter().format(record("x"))
    assert line.endswith(f"] x user={written} request=r1")
    assert "\n" not in line


def test_a_message_of_several_lines_is_one_line():
    line = logs.TextFormatter().format(record("failed: %s", "one\r\n[I 2026-01-01 00:00:00.000 hub_gateway] forged"))
    assert "\n" not in line
    assert "\\r\\n[I 2026" in line


def test_no_line_of_a_traceback_can_be_taken_for_a_record():
    try:
        raise ValueError("bad\n[E forged] line")
    except ValueError:
        text = logs.TextFormatter().format(record("failed", exc_info=sys.exc_info()))
    first, *more = text.split("\n")
    assert first.endswith("] failed")
    assert more[-1] == "    [E forged] line"
    assert all(line.startswith("    ") for line in more)


def test_json_has_the_same_fields():
    logs.begin("r1")
    logs.about(user='a "b"\n')
    found = json.loads(logs.JsonFormatter().format(record("Refused kernelspec=%s kernel=%s: %s", "py", "k1", "why")))
    assert {name: found[name] for name in ("kernelspec", "kernel", "user", "request", "level", "logger")} == {
        "kernelspec": "py",
        "kernel": "k1",
        "user": 'a "b"\n',
        "request": "r1",
        "level": "info",
        "logger": "hub_gateway",
    }
    assert found["time"].endswith("+00:00")
    try:
        raise ValueError("bad")
    except ValueError:
        made = logs.JsonFormatter().format(record("failed", exc_info=sys.exc_info()))
    assert "ValueError: bad" in json.loads(made)["exception"]
    assert "\n" not in made


@pytest.mark.parametrize(
    ("message", "user"),
    [
        ("GET /api\xa0user=forged\x85kernel=forged 404 1 ms", None),
        ("Start of kernel=%s user=alice failed: ImportError: user=forged kernel=forged", "alice"),
    ],
)
def test_json_takes_no_field_from_what_a_client_or_a_program_says(message, user):
    arguments = ("k1",) if "%s" in message else ()
    found = json.loads(logs.JsonFormatter().format(record(message, *arguments)))
    assert (found.get("user"), found.get("kernel")) == (user, user and "k1")


@pytest.mark.parametrize("given", ["a", "A-b_9", "x" * 64])
def test_a_request_id_that_somebody_sends_is_kept(given):
    assert logs.checked_request_id(given) == given
    assert story.request_id_of(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\n", "a=b", "a,b", "ü", "a\x00"])
def test_one_that_could_forge_a_line_is_replaced(given):
    made = logs.checked_request_id(given)
    assert made != given
    assert story.request_id_of(made) == made
    assert story.request_id_of(given) == "-"


@pytest.fixture
async def site(caplog):
    """A service that answers, fails and refuses, and one behind it that it calls."""
    seen = []

    class Behind(JSONHandler):
        def get(self):
            seen.append(self.request_id)
            self.write_json({"kernels": []})

    class Asks(JSONHandler):
        async def get(self):
            logs.about(user="alice")
            await asyncio.create_task(self.later())
            await EdgeClient(f"http://127.0.0.1:{port}/behind", "secret")._call("GET", "/api/cluster")
            self.write_json({"id": logs.request_id()})

        async def later(self):
            log.info("In a task")

    class Fails(BaseHandler):
        def get(self):
            raise ValueError("inside")

    class Refuses(BaseHandler):
        def get(self):
            raise PublicError("not-yours", "It is not yours.")

    application = web.Application(
        [("/asks", Asks), ("/fails", Fails), ("/refuses", Refuses), ("/behind/api/cluster", Behind)],
        default_handler_class=NotFoundHandler,
        log_function=log_request,
    )
    socket, port = bind_unused_port()
    server = HTTPServer(application)
    server.add_socket(socket)
    lines = []

    class Kept(logging.Handler):
        def emit(self, record):
            lines.append(logs.TextFormatter().format(record).partition("] ")[2])

    kept = Kept()
    for name in ("hub_ext.web", "hub_gateway"):
        logging.getLogger(name).addHandler(kept)
        logging.getLogger(name).setLevel(logging.INFO)

    async def get(path, **headers):
        return await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}{path}", headers=headers, raise_error=False)

    yield get, lines, seen
    for name in ("hub_ext.web", "hub_gateway"):
        logging.getLogger(name).removeHandler(kept)
        logging.getLogger(name).setLevel(logging.NOTSET)
    server.stop()
    await server.close_all_connections()


async def test_a_requests_id_goes_through_its_tasks_and_to_the_next_service(site):
    get, lines, seen = site
    answer = await get("/asks", **{"X-Request-ID": "given_1"})
    assert answer.headers["X-Request-ID"] == "given_1"
    assert json.loads(answer.body) == {"id": "given_1"}
    assert seen == ["given_1"]
    assert "In a task user=alice request=given_1" in lines
    assert any(line.startswith("GET /asks 200 ") and line.endswith("user=alice request=given_1") for line in lines)


async def test_a_hostile_id_never_reaches_a_log(site):
    get, lines, seen = site
    answer = await get("/asks?token=secret", **{"X-Request-ID": "a request=b"})
    made = answer.headers["X-Request-ID"]
    assert made != "a request=b"
    assert seen == [made]
    assert all(line.endswith(f"request={made}") for line in lines)
    assert not any("secret" in line for line in lines)


async def test_an_error_keeps_the_id_of_its_request(site):
    get, lines, _ = site
    answer = await get("/fails")
    made = answer.headers["X-Request-ID"]
    assert json.loads(answer.body)["details"] == [f"Reference: {made}"]
    assert [line.split("\n")[0].rpartition("=")[2] for line in lines] == [made, made]
    answer = await get("/refuses", **{"X-Request-ID": "mine"})
    assert (answer.code, answer.headers["X-Request-ID"]) == (403, "mine")


async def test_two_requests_on_one_connection_are_two(site):
    get, lines, _ = site
    reader, writer = await asyncio.open_connection("127.0.0.1", int((await get("/x")).effective_url.split(":")[2][:-2]))
    del lines[:]
    for path in ("asks", "refuses"):
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: x\r\nX-Request-ID: of-{path}\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()
    assert next(line for line in lines if "GET /refuses" in line).endswith(" request=of-refuses")
    assert not any("user=alice" in line for line in lines if "of-refuses" in line)
