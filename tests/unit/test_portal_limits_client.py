"""The portal's calls of the API of limits, answered by the API itself."""

from datetime import datetime, timezone

import pytest

from hub_ext.database import Database
from hub_ext.database.models import LimitChange, LimitRequest
from hub_ext.errors import PublicError
from hub_ext.limits.store import LimitStore
from hub_portal.gateway import GatewayClient
from hub_portal.handlers.limits_base import confirmed, warnings_of
from hub_portal.limits_client import LimitsClient
from hub_portal.views.limits_form import warnings_digest
from tests.limits_api_server import Server, add_person

LENA = "lena"
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
async def database(sqlite_url):
    made = Database(sqlite_url)
    yield made
    await made.close()


@pytest.fixture
async def server(database):
    made = Server(database, LimitStore(database))
    await add_person(database, "alice", "analytics")
    yield made
    await made.stop()


@pytest.fixture
def client(server):
    return LimitsClient(GatewayClient(server.base.removesuffix("/limits"), timeout=5, ca_certs=""))


async def test_one_request_is_found_however_many_are_newer(server, client, database):
    await server.good("PATCH", "default", {"values": {"kernels": 1}})
    first = await client.ask("alice", "kernels", 3, "x")
    newer = {"user_name": "new", "field": "kernels", "wanted": 3, "created_at": NOON, "state": "open"}
    async with database.transaction() as session:
        session.add_all(LimitRequest(**newer) for _ in range(205))
    assert (await client.request(LENA, first.id)).user == "alice"
    with pytest.raises(PublicError) as none:
        await client.request(LENA, 9999)
    assert (none.value.code, none.value.status) == ("no-such-request", 404)


async def test_one_change_is_found_however_many_are_newer(server, client, database):
    first = (await server.good("PATCH", "default", {"values": {"kernels": 1}}))["batch"]
    newer = {"at": NOON, "who": "lena", "scope": "default", "name": "", "field": "cores", "after": 1}
    async with database.transaction() as session:
        session.add_all(LimitChange(batch=f"{number:032d}", **newer) for number in range(205))
    assert (await client.batch(LENA, first)).lines[0].field == "kernels"
    with pytest.raises(PublicError) as none:
        await client.batch(LENA, "nothing-like-it")
    assert (none.value.code, none.value.status) == ("no-such-change", 404)


async def test_what_was_typed_after_a_warning_is_not_saved_unseen(server, client):
    async def save(memory_mb, seen):
        body = {"values": {"driver_memory_mb": memory_mb, "memory_mb": 1024}}
        return await confirmed(lambda sure: client.change(LENA, "user", "alice", {**body, "confirmed": sure}), seen)

    with pytest.raises(PublicError) as first:
        await save(2048, "")
    seen = warnings_digest(warnings_of(first.value))
    with pytest.raises(PublicError) as second:
        await save(900_000, seen)
    assert second.value.code == "limits-need-confirmation"
    assert warnings_of(second.value) != warnings_of(first.value)
    assert (await client.person(LENA, "alice")).own == ()
    await save(2048, seen)
    assert (await client.person(LENA, "alice")).own_values["driver_memory_mb"].value == 2048


async def test_a_file_is_applied_as_it_was_shown_with_its_reason(server, client):
    text = b"default: {kernels: 7}"
    plan = await client.plan(LENA, text, merge=True)
    await server.good("PATCH", "default", {"values": {"kernels": 5}})
    with pytest.raises(PublicError) as changed:
        await client.load(LENA, text, merge=True, plan=plan.plan, confirmed=False)
    assert changed.value.code == "limits-changed"
    again = await client.plan(LENA, text, merge=True)
    assert again.changes == ("default: kernels 5 → 7",)
    await client.load(LENA, text, merge=True, plan=again.plan, confirmed=False, reason="spring & summer")
    assert "spring & summer" in (await client.history(LENA, {})).batches[0].reason


async def test_a_grant_that_lowers_asks_first(server, client):
    await server.good("PATCH", "default", {"values": {"kernels": 1}})
    asked = await client.ask("alice", "kernels", 3, "x")
    assert asked.revision == 0
    await server.good("PATCH", "users/alice", {"values": {"kernels": 9}})
    with pytest.raises(PublicError) as changed:
        await client.decide(LENA, asked.id, "grant", {"revision": asked.revision})
    assert changed.value.code == "limits-changed"
    current = await client.request(LENA, asked.id)
    with pytest.raises(PublicError) as lower:
        await client.decide(LENA, asked.id, "grant", {"revision": current.revision})
    assert warnings_of(lower.value) == ("3 is less than what alice has now (9).",)
    await client.decide(LENA, asked.id, "grant", {"revision": current.revision, "confirmed": True})
    assert (await client.request(LENA, asked.id)).state == "granted"
