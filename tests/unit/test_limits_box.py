"""The box on the Hub's pages: what it says, read from a real database, in the templates of both supported Hubs."""

import asyncio
import json
import logging
import re
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader

from hub_ext.configure import TEMPLATES
from hub_ext.database import Database, Kernel, upgrade
from hub_ext.limits.box import LiveKernel, _row, box_of
from hub_ext.limits.fields import FIELDS, UNLIMITED
from hub_ext.limits.resolve import ResolvedLimit
from hub_ext.limits.text import parse_time
from hub_ext.limits_box import limits_box
from hub_portal.rendering import HUB_TEMPLATES, hub_context, page_user
from tests.unit.test_portal_rendering import OLDER

NASTY = "<script>alert('x')</script>"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)


def limits(source="default", **values):
    return {
        name: ResolvedLimit(values.get(name, UNLIMITED), source if name in values else "default") for name in FIELDS
    }


def said(box):
    return [(row.used, row.limit, row.percent, row.over) for row in box.rows]


@pytest.mark.parametrize(
    ("values", "kernels", "expected"),
    [
        ({}, [], [("0", "no limit", None, False), ("0", "no limit", None, False), ("0", "no limit", None, False)]),
        (
            {"kernels": 4, "memory_mb": 8192, "cores": 6},
            [LiveKernel("a", 2048, 2), LiveKernel("b", 640, 1)],
            [("2", "4", 50, False), ("2.6 GB", "8 GB", 32, False), ("3", "6", 50, False)],
        ),
        (
            {"kernels": 1, "memory_mb": 2048, "cores": 0},
            [LiveKernel("a", 2048, 2), LiveKernel("b", 1, 1)],
            [("2", "1", 100, True), ("2.0 GB", "2 GB", 100, True), ("3", "0", 100, True)],
        ),
        (
            {"kernels": 0},
            [],
            [("0", "0", 100, False), ("0", "no limit", None, False), ("0", "no limit", None, False)],
        ),
    ],
)
def test_the_box_says_what_is_used_of_what_is_allowed(values, kernels, expected):
    box = box_of(limits(**values), kernels)
    assert said(box) == expected
    assert box.over == tuple(row.label.lower() for row in box.rows if row.over)


@pytest.mark.parametrize(
    ("values", "full"),
    [
        ({"kernels": 1, "memory_mb": 4096}, ("kernels",)),
        ({"kernels": 1, "memory_mb": 2048, "cores": 3}, ("kernels", "memory")),
        ({"kernels": 2, "memory_mb": 2049}, ()),
        ({}, ()),
    ],
)
def test_a_limit_that_is_used_up_is_named(values, full):
    assert box_of(limits(**values), [LiveKernel("a", 2048, 2)]).full == full


def test_the_next_stop_is_the_earliest_and_the_others_are_counted():
    kernels = [
        LiveKernel("later", 1, 1, NOON.replace(hour=14), "too old"),
        LiveKernel("none", 1, 1),
        LiveKernel("first", 1, 1, NOON, "idle for 2 h"),
    ]
    stop = box_of(limits(), kernels).stop
    assert (stop.kernelspec, stop.clock, stop.reason, stop.more) == ("first", "12:00 UTC", "idle for 2 h", 1)
    assert box_of(limits(), []).stop is None


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (ResolvedLimit(3, "user"), "set for you by an administrator"),
        (ResolvedLimit(3, "user", NOON), "set for you by an administrator until 23 Nov 2026, 12:00 UTC"),
        (ResolvedLimit(3, "user", parse_time("2026-12-31")), "set for you by an administrator until 31 Dec 2026"),
        (ResolvedLimit(3, "group analytics"), "from group analytics"),
        (ResolvedLimit(3, "group a, b"), "from groups a, b"),
        (ResolvedLimit(3, "default"), "for everyone"),
        (ResolvedLimit(UNLIMITED, "default"), ""),
    ],
)
def test_where_a_limit_comes_from_is_said_to_the_person(limit, words):
    assert _row("kernels", 0, limit).source == words


CONFIGURED = json.dumps(
    {
        "default": {"kernels": 1, "memory_mb": 4096, "queues": ["notebooks", NASTY]},
        "groups": {NASTY: {"cores": 8}},
        "users": {},
        "most_restrictive_group": False,
    }
)


def hub_user(name="alice", *groups):
    return SimpleNamespace(name=name, groups=[SimpleNamespace(name=group) for group in groups])


@pytest.fixture
async def database_url(tmp_path):
    url = f"sqlite:///{tmp_path / 'kernels.sqlite'}"
    upgrade(url)
    return url


async def add_kernels(url, *kernels):
    database = Database(url)
    async with database.transaction() as session:
        for number, more in enumerate(kernels):
            row = {"owner": "alice", "kernelspec": NASTY, "state": "running", "memory_mb": 2048, "cores": 2, **more}
            session.add(Kernel(id=str(number), cluster_user="x", started_at=NOON, end_reason="", queue="", **row))
    await database.close()


async def test_the_database_says_what_is_used_by_whom(database_url):
    await add_kernels(database_url, {}, {"state": "starting", "cores": 1}, {"state": "ended"}, {"owner": "bob"})
    box = await limits_box(database_url, CONFIGURED)(None)(hub_user("alice", NASTY))
    assert said(box) == [("2", "1", 100, True), ("4 GB", "4 GB", 100, False), ("3", "8", 37, False)]
    assert await limits_box(database_url, CONFIGURED)(None)(None) is None


@pytest.mark.parametrize("broken", ["missing", "unmigrated", "locked-up"])
async def test_a_page_does_without_the_box_when_the_database_is_away(tmp_path, caplog, broken, monkeypatch):
    path = tmp_path / "kernels.sqlite"
    reason = "hub-ext db upgrade"
    if broken != "missing":
        path.touch()
    if broken == "locked-up":
        monkeypatch.setattr(Database, "check_schema", lambda self: asyncio.sleep(60))
        monkeypatch.setattr("hub_ext.limits_box.SECONDS", 0.05)
        reason = "did not answer within 0.05 seconds"
    with caplog.at_level(logging.WARNING):
        assert await limits_box(f"sqlite:///{path}", CONFIGURED)(None)(hub_user()) is None
    assert "A page of alice is shown without limits" in caplog.text
    assert reason in caplog.text
    assert path.exists() == (broken != "missing")


@pytest.fixture(
    params=[
        pytest.param(HUB_TEMPLATES, id="installed"),
        pytest.param(OLDER, id="5.5", marks=pytest.mark.skipif(not OLDER.exists(), reason="made by `make test`")),
    ]
)
def environment(request):
    """Templates as the Hub itself loads them."""
    stock = FileSystemLoader(str(request.param))
    own = FileSystemLoader([str(TEMPLATES), str(request.param)])
    return Environment(
        loader=ChoiceLoader([PrefixLoader({"templates": stock}), own]), autoescape=True, enable_async=True
    )


async def page(environment, name, box, **more):
    user = {**page_user("alice"), "server_url": lambda name: "", "all_spawners": lambda **_: []}
    context = {
        **hub_context("/", "/hub/", user, frozenset()),
        "remote_kernels_portal_url": "/services/portal/",
        "remote_kernels_limits": box,
        "default_server": SimpleNamespace(active=False),
        "xsrf_token": "x",
        "xsrf": "x",
        "url": "/hub/spawn",
        "for_user": SimpleNamespace(name="alice"),
        "spawner_options_form": "<label>Size</label>",
        **more,
    }
    return await environment.get_template(name).render_async(**context)


@pytest.mark.parametrize("name", ["home.html", "spawn.html"])
async def test_both_pages_show_the_box_and_run_nothing_in_it(environment, database_url, name):
    await add_kernels(database_url, {"stop_at": NOON, "stop_reason": NASTY}, {})
    ask = limits_box(database_url, CONFIGURED)(None)

    async def box(user):
        assert (user["name"] if isinstance(user, dict) else user.name) == "alice"
        return await ask(hub_user("alice", NASTY))

    shown = await page(environment, name, box)
    assert NASTY not in shown
    words = " ".join(re.sub(r"<[^>]*>", " ", shown.split('id="remote-kernels-limits"')[1]).split())
    assert "Kernels 2 of 1 over for everyone" in words
    assert "Memory 4 GB of 4 GB for everyone" in words
    assert "Cores 4 of 8 from group &lt;script&gt;" in words
    assert "You are over your limit of kernels" in words
    assert "will be stopped at 12:00 UTC" in words
    assert f'datetime="{NOON.isoformat()}" data-remote-kernels-time' in shown
    assert 'data-remote-kernels-largest="/services/portal/my-limits/largest"' in shown
    assert 'href="/services/portal/my-limits"' in shown


@pytest.mark.parametrize("name", ["home.html", "spawn.html"])
@pytest.mark.parametrize("box", [None, lambda user: None])
async def test_without_the_box_the_pages_are_the_hubs_own(environment, name, box):
    shown = await page(environment, name, box)
    assert "remote-kernels-limits" not in shown
    assert "My Server" in shown or "Server Options" in shown


async def test_whose_page_somebody_else_looks_at_is_not_told_what_that_one_could_start(environment, database_url):
    async def box(user):
        return await limits_box(database_url, CONFIGURED)(None)(hub_user("bob"))

    shown = await page(environment, "spawn.html", box, for_user=SimpleNamespace(name="bob"))
    assert "remote-kernels-limits" in shown
    assert "my-limits/largest" not in shown
