import asyncio
import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from hub_ext.errors import PublicError
from hub_ext.web import metrics
from hub_ext.web.health import Check, Failing, Health
from hub_ext.web.service import Service


def check_of(name, *, hard=True, error=None, seconds=0.0, timeout=3.0, looks=None):
    async def probe():
        if looks is not None:
            looks.append(name)
        await asyncio.sleep(seconds)
        if error is not None:
            raise error
        return "answers"

    return Check(name, probe, hard=hard, timeout=timeout)


@pytest.mark.parametrize(
    ("checks", "ok"),
    [
        ([], True),
        ([check_of("a"), check_of("b", hard=False)], True),
        ([check_of("a"), check_of("b", hard=False, error=OSError("x"))], True),
        ([check_of("a", error=OSError("x")), check_of("b", hard=False)], False),
        ([check_of("a", seconds=9, timeout=0.01)], False),
    ],
)
async def test_hard_checks_decide(checks, ok):
    assert (await Health(checks).look())["ok"] is ok


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PublicError("edge-unreachable", "It is at http://10.0.0.5."), "edge-unreachable"),
        (OSError("postgresql://user:secret@10.0.0.5/hub"), "OSError"),
        (RuntimeError("at 10.0.0.5"), "RuntimeError"),
        (Failing("its tasks have ended"), "its tasks have ended"),
    ],
)
async def test_a_failure_tells_no_address_and_no_secret_and_logs_none_either(error, message, caplog):
    (found,) = (await Health([check_of("a", error=error)]).look())["checks"]
    assert (found["ok"], found["message"]) == (False, message)
    assert set(found) == {"name", "ok", "hard", "seconds", "message"}
    assert "secret" not in caplog.text


async def test_checks_run_side_by_side_each_within_its_time():
    all_there, here = asyncio.Event(), []

    async def waits_for_all():
        here.append(1)
        if len(here) == 20:
            all_there.set()
        await all_there.wait()
        return "answers"

    checks = [Check(str(n), waits_for_all, timeout=30) for n in range(20)]
    found = await Health([*checks, check_of("x", seconds=60, timeout=0.1)]).look()
    assert [one["ok"] for one in found["checks"]] == [True] * 20 + [False]
    assert found["checks"][-1]["message"] == "no answer in 0.1 s"


async def test_probes_cost_one_look_a_moment():
    looks = []
    health = Health([check_of("a", looks=looks, seconds=0.01)], keep=60)
    await asyncio.gather(*(health.look() for _ in range(50)))
    await health.look()
    assert looks == ["a"]
    fresh = Health([check_of("a", looks=looks)], keep=0)
    await fresh.look()
    await fresh.look()
    assert looks == ["a"] * 3


def test_two_checks_of_one_name_are_a_mistake():
    with pytest.raises(ValueError, match="same name"):
        Health([check_of("a"), check_of("a")])


class Small(Service):
    name = "small"
    failing: list = []  # noqa: RUF012 (one service a test)

    def handlers(self):
        async def scopes(token):
            return {"of-prometheus": {"read:metrics"}, "of-alice": {"self"}}.get(token, set())

        return self.watching([check_of("a", error=OSError() if self.failing else None)], scopes)


@pytest.fixture
async def served(monkeypatch):
    """Return a function that serves a `Small` and gives a function that asks it."""
    servers = []
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/services/small/")
    monkeypatch.setattr("hub_ext.web.health.KEEP", 0.0)

    def start(**traits):
        service = Small(**traits)
        socket, port = bind_unused_port()
        server = HTTPServer(service.make_app())
        server.add_socket(socket)
        servers.append(server)

        async def get(path, method="GET", **headers):
            url = f"http://127.0.0.1:{port}/services/small/{path}"
            return await AsyncHTTPClient().fetch(url, method=method, headers=headers, raise_error=False)

        return get

    yield start
    for server in servers:
        server.stop()
        await server.close_all_connections()


async def test_readiness_and_liveness_are_two_questions(served, monkeypatch):
    get = served()
    answer = await get("health")
    assert (answer.code, json.loads(answer.body)["ok"]) == (200, True)
    assert (await get("health", "HEAD")).code == 200
    monkeypatch.setattr(Small, "failing", ["a"])
    get = served()
    assert (await get("health")).code == 503
    assert (await get("health", "HEAD")).code == 503
    assert (await get("health/live")).code == 200


@pytest.mark.parametrize(
    ("token", "code", "said"),
    [
        ("", 401, "login-expired"),
        ("unknown", 401, "login-expired"),
        ("of-alice", 403, "not-yours"),
        ("of-prometheus", 200, ""),
        ("of-the-collector", 200, ""),
        ("of-the-collecto", 401, "login-expired"),
    ],
)
async def test_who_may_read_metrics(served, monkeypatch, token, code, said):
    monkeypatch.setenv("HUB_EXT_METRICS_TOKEN", "of-the-collector")
    get = served()
    answer = await get("metrics", **({"Authorization": f"token {token}"} if token else {}))
    assert answer.code == code
    assert ("hub_ext_" in answer.body.decode()) is (code == 200)
    if said:
        assert json.loads(answer.body)["code"] == said
        assert "of-the-collector" not in answer.body.decode()
    assert (await get("metrics?token=of-the-collector")).code == 401


async def test_without_a_collectors_token_an_empty_one_opens_nothing(served, monkeypatch):
    monkeypatch.delenv("HUB_EXT_METRICS_TOKEN", raising=False)
    get = served()
    assert (await get("metrics")).code == 401
    assert (await get("metrics", Authorization="token ")).code == 401


async def test_a_site_can_leave_it_to_its_network(served):
    assert (await served(authenticate_metrics=False)("metrics")).code == 200


async def test_the_numbers_of_a_service(served, monkeypatch):
    monkeypatch.setattr(Small, "failing", ["a"])
    get = served(authenticate_metrics=False)
    await get("nowhere/" + "x" * 50)
    text = (await get("metrics")).body.decode()
    samples = {
        (one.name, *sorted(one.labels.values())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if family.name.startswith("hub_ext")
    }
    assert samples[("hub_ext_health_check_ok", "a")] == 0
    assert samples[("hub_ext_request_seconds_count", "404", "GET", "NotFoundHandler")] >= 1
    assert ("hub_ext_service_info", "0.1.0", "small") in samples or re.search(r'service="small"', text)
    assert "nowhere" not in text


async def test_a_method_that_nobody_knows_makes_no_series_of_its_own(served):
    get = served(authenticate_metrics=False)
    for method in ("BREW", "FROB"):
        answer = await AsyncHTTPClient().fetch(
            (await get("health")).effective_url, method=method, allow_nonstandard_methods=True, raise_error=False
        )
        assert answer.code == 405
    text = (await get("metrics")).body.decode()
    assert 'method="other"' in text
    assert "BREW" not in text


async def test_the_delay_of_the_loop_is_measured():
    before = metrics.LOOP_DELAY._sum.get()
    watching = asyncio.create_task(metrics.watch_loop(0.01))
    await asyncio.sleep(0)
    import time

    time.sleep(0.1)  # noqa: ASYNC251 (what is measured)
    await asyncio.sleep(0.02)
    watching.cancel()
    assert metrics.LOOP_DELAY._sum.get() - before >= 0.08
