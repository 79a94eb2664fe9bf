"""What the API of limits asks the database itself, on each kind of database."""

import time
from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.database import Database
from hub_ext.limits.people import People
from hub_ext.limits.store import Configured, Edit, LimitStore, Subject
from hub_gateway.limits_api.state import State
from tests.limits_api_server import Server, add_kernel, add_person


@pytest.fixture
def store(database):
    return LimitStore(database)


@pytest.fixture
def state(database, store):
    return State(database, store)


async def limits_of(state, name):
    table = await state.table()
    return {field: limit.value for field, limit in table.limits(table.member(name)).items()}


async def test_everything_that_changes_elsewhere_is_seen_at_once(state, database, database_url):
    await add_person(database, "alice", "a")
    await state.table()
    other = Database(database_url)
    store, people = LimitStore(other), People(other)
    batch = await store.apply([Edit(Subject("group", "a"), {"cores": 1})], who="x")
    assert (await limits_of(state, "alice"))["cores"] == 1
    await store.undo(batch, who="x")
    assert (await limits_of(state, "alice"))["cores"] == "unlimited"
    await store.configure(Configured(default={"cores": 2}))
    assert (await limits_of(state, "alice"))["cores"] == 2
    await store.apply([Edit(Subject("group", "b"), {"cores": 3})], who="x")
    await people.sync({"alice": ["b"], "bob": []})
    assert (await limits_of(state, "alice"))["cores"] == 3
    await people.kernel_started("bob")
    assert (await state.table()).member("bob").last_kernel_at is not None
    await other.close()


@pytest.mark.parametrize("jump", [61, -3600])
async def test_what_has_not_changed_is_not_read_again_before_it_is_old(state, database, monkeypatch, jump):
    """Also when the clock was set back: nothing counts for an hour."""
    await add_person(database, "alice")
    first = await state.table()
    second = await state.table()
    assert second.resolver is first.resolver
    assert second.members is first.members
    later = time.time() + jump
    monkeypatch.setattr("hub_gateway.limits_api.state.time.time", lambda: later)
    assert (await state.table()).resolver is not first.resolver


async def test_of_a_change_only_what_it_is_about_is_read_and_comes_to_the_same(state, database, store, monkeypatch):
    await store.configure(Configured(default={"cores": 2}))
    await store.apply([Edit(Subject("user", f"u{number}"), {"cores": number}) for number in range(9)], who="x")
    await state.table()
    everything, read = store.everything, []

    async def noted():
        read.append(1)
        return await everything()

    monkeypatch.setattr(store, "everything", noted)
    soon = datetime.now(timezone.utc) + timedelta(days=1)
    edits = [
        Edit(Subject("user", "u1"), {"cores": 9, "kernels": 1}),
        Edit(Subject("user", "u2"), {"cores": None}),
        Edit(Subject("user", "new"), {"memory_mb": 5}, until=soon),
        Edit(Subject("group", "g"), {"queues": ("a",)}),
        Edit(Subject("default"), {"kernels": 4}),
        Edit(Subject("group", "g"), {"queues": None}),
    ]
    for edit in edits:
        batch = await store.apply([edit], who="x")
        assert (await state.table()).resolver.all == await everything()
    await store.undo(batch, who="x")
    assert (await state.table()).resolver.all == await everything()
    assert read == []
    await store.apply([Edit(Subject("user", f"u{number}"), {"cores": 7}) for number in range(300)], who="x")
    assert (await state.table()).resolver.all == await everything()
    await store.configure(Configured(default={"cores": 3}))
    assert (await state.table()).resolver.all == await everything()
    assert len(read) == 2


async def test_a_persons_own_limits_are_read_without_everybody_elses(database, store, monkeypatch):
    api = Server(database, store)
    await add_person(database, "alice", "analytics")
    await store.apply([Edit(Subject("group", "analytics"), {"cores": 4})], who="x")
    await store.apply([Edit(Subject("user", "alice"), {"kernels": 2})], who="x")
    await add_kernel(database, "1", "alice", 1000, 8)
    monkeypatch.setattr(store, "everything", None)
    mine = await api.good("GET", "my", caller="alice")
    assert (mine["limits"]["cores"]["source"], mine["over"]) == ("group analytics", ["cores"])
    assert mine["used"] == {"kernels": 1, "memory_mb": 1000, "cores": 8}
    asked = await api.good("POST", "my/requests", {"field": "kernels", "wanted": 9}, caller="alice", status=201)
    assert asked["current"] == {"value": 2, "source": "user"}
    assert (await api.good("GET", "users/alice", caller="alice"))["own"] == ["kernels"]
    new = await api.good("GET", "my", caller="new")
    assert new["limits"]["cores"]["value"] == 4
    await api.stop()


async def test_a_value_whose_time_is_over_is_not_shown_although_nobody_wrote(database, monkeypatch):
    now = datetime.now(timezone.utc)
    store = LimitStore(database, now=lambda: now)
    state = State(database, store)
    edit = Edit(Subject("user", "alice"), {"cores": 9}, until=now + timedelta(seconds=5))
    await store.apply([edit], who="x")
    assert (await limits_of(state, "alice"))["cores"] == 9
    now += timedelta(seconds=6)
    monkeypatch.setattr("hub_gateway.limits_api.state.time.time", lambda: now.timestamp())
    table = await state.table()
    assert not table.resolver.has_own("alice")


async def test_use_is_that_of_kernels_that_have_not_ended(state, database):
    await add_kernel(database, "1", "alice", 1000, 2)
    await add_kernel(database, "2", "alice", 24, 1, "restarting")
    await add_kernel(database, "3", "bob", 24, 1, "ended")
    table = await state.table()
    assert [member.name for member in table.members] == ["alice"]
    assert table.use["alice"].model_dump() == {"kernels": 2, "memory_mb": 1024, "cores": 3}


async def test_the_api_works_through(database, store):
    await add_person(database, "jürgen", "größe")
    api = Server(database, store)
    body = {"values": {"cores": 4, "queues": ["root.a"]}, "reason": "für größere Läufe"}
    changed = await api.good("PATCH", "users/j%C3%BCrgen", body)
    assert (await api.good("GET", "users?sort=cores&filter=own"))["users"][0]["limits"]["queues"]["value"] == ["root.a"]
    await api.good("POST", f"history/{changed['batch']}/undo", {})
    await api.good("PATCH", "default", {"values": {"cores": 2}})
    asked = await api.good("POST", "my/requests", {"field": "cores", "wanted": 9}, caller="alice", status=201)
    await api.good("POST", f"requests/{asked['id']}/grant", {"confirmed": True})
    page = await api.good("GET", "history?per_page=2")
    assert (page["total"], len(page["batches"])) == (4, 2)
    text = await api.good("GET", "export")
    same = await api.good("POST", "import?dry_run=false", text)
    assert (same["changes"], same["batch"]) == ([], None)
    await api.stop()
