import asyncio
import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tornado import web
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from jeg_plugin import logs, watching
from jeg_plugin.resource_manager import ResourceManager, UnreachableError

TOKEN = "the-token-of-the-gateway"
KERNEL_ID = "074a5e12-ffe3-423e-8d13-a6c2289ef55a"


class YarnThatFails(ResourceManager):
    def __init__(self):
        super().__init__([], "hub", "hub")

    def ping(self):
        raise UnreachableError("http://rm.internal:8088: ConnectionError")


@pytest.fixture
async def gateway(tmp_path, monkeypatch):
    """The handlers as Enterprise Gateway has them; `served` says whether drivers could report."""
    monkeypatch.setattr(watching, "KEEP_SECONDS", 0.0)
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "spark-yarn_2.13-4.0.0.jar").touch()
    state = {"served": True, "looks": 0}

    def served():
        state["looks"] += 1
        return state["served"]

    checks = watching.checks(served, YarnThatFails(), {"SPARK_HOME": str(tmp_path)})
    health = watching.Health(checks, logging.getLogger("test"))
    application = web.Application(watching.watching_handlers("/eg/", health, lambda: 3), eg_auth_token=TOKEN)
    logs.use(application)
    socket, port = bind_unused_port()
    server = HTTPServer(application)
    server.add_socket(socket)

    async def get(path, **headers):
        return await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/eg{path}", headers=headers, raise_error=False)

    yield get, state
    server.stop()
    await server.close_all_connections()


async def test_health_needs_no_token_and_tells_no_address(gateway):
    get, state = gateway
    answer = await get("/health")
    found = json.loads(answer.body)
    assert (answer.code, found["ok"]) == (200, True)
    assert {one["name"]: (one["hard"], one["ok"], one["message"]) for one in found["checks"]} == {
        "reports": (True, True, "are taken"),
        "resource-manager": (False, False, "UnreachableError"),
        "spark": (False, True, "is there"),
    }
    assert b"internal" not in answer.body
    state["served"] = False
    assert (await get("/health")).code == 503
    assert (await get("/health/live")).code == 200


async def test_many_who_ask_at_once_are_one_look(gateway, monkeypatch):
    get, state = gateway
    monkeypatch.setattr(watching, "KEEP_SECONDS", 60.0)
    await asyncio.gather(*(get("/health") for _ in range(20)))
    assert state["looks"] == 1


async def test_metrics_need_the_gateways_token_or_that_of_the_collector(gateway, monkeypatch, tmp_path):
    get, _ = gateway
    for headers in ({}, {"Authorization": "token wrong"}, {"Authorization": TOKEN}, {"Authorization": "token "}):
        answer = await get("/metrics", **headers)
        assert answer.code == 401
        assert b"jeg_plugin" not in answer.body
    assert (await get(f"/metrics?token={TOKEN}")).code == 401
    text = (await get("/metrics", Authorization=f"token {TOKEN}")).body.decode()
    samples = {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }
    assert samples[("jeg_plugin_kernels",)] == 3
    assert samples[("jeg_plugin_health_check_ok", "resource-manager")] == 0
    assert samples[("jeg_plugin_health_check_ok", "spark")] == 1
    (tmp_path / "collector").write_text("of-the-collector\n")
    monkeypatch.setenv("HUB_EXT_METRICS_TOKEN_FILE", str(tmp_path / "collector"))
    assert (await get("/metrics", Authorization="Bearer of-the-collector")).code == 200


@pytest.mark.parametrize(
    ("path", "request_id", "line"),
    [
        ("/api/kernels", "r1", "POST /api/kernels 201 20 ms request=r1"),
        (f"/api/kernels/{KERNEL_ID}", "-", f"POST /api/kernels/{KERNEL_ID} 201 20 ms kernel={KERNEL_ID} request=-"),
    ],
)
def test_a_request_is_one_line_with_its_kernel(path, request_id, line):
    assert logs.request_line("POST", path, 201, 0.0204, request_id) == line


async def test_a_request_id_that_could_forge_a_line_is_not_logged(gateway, caplog):
    get, _ = gateway
    with caplog.at_level(logging.DEBUG, "jeg_plugin"):
        await get("/health/live?token=secret", **{"X-Request-ID": "a kernel=b"})
        await get("/health/live", **{"X-Request-ID": "good_1"})
    lines = [record.getMessage() for record in caplog.records if record.name == "jeg_plugin"]
    assert [line.rpartition(" ")[2] for line in lines] == ["request=-", "request=good_1"]
    assert not any("secret" in line for line in lines)


def record_of(message, *arguments, exc_info=None):
    return logging.LogRecord("jeg", logging.INFO, __file__, 1, message, arguments, exc_info)


def test_a_message_of_several_lines_is_one_record_and_shows_what_a_terminal_would_obey():
    line = logs.TextFormatter().format(record_of("Output of kernel=%s:\n%s", "k", "[I forged\x1b[2J\nmore"))
    first, *more = line.split("\n")
    assert first.startswith("[I ")
    assert first.endswith(" jeg] Output of kernel=k:")
    assert more == ["    [I forged\\x1b[2J", "    more"]


def test_json_takes_no_field_from_an_address_or_from_what_a_program_printed():
    said = "GET /api\xa0user=forged 404 request=r", "Submission of kernel=k failed:\nuser=forged\tnode=forged"
    for message in said:
        found = json.loads(logs.JsonFormatter().format(record_of(message)))
        assert not {"user", "node"} & set(found)


def test_json_has_the_fields_of_the_message():
    found = json.loads(
        logs.JsonFormatter().format(record_of("Kernel submitted: application=a_1 kernel=k user=u request=r"))
    )
    assert {name: found[name] for name in ("application", "kernel", "user", "request", "level")} == {
        "application": "a_1",
        "kernel": "k",
        "user": "u",
        "request": "r",
        "level": "info",
    }
