"""The API of limits over HTTP: its handlers, its rights and a real database."""

import asyncio
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import pytest
import yaml

from hub_ext.cluster import ClusterState, Node
from hub_ext.database import Database
from hub_ext.edge import unreachable
from hub_ext.errors import PublicError
from hub_ext.limits.refused_starts import RefusedStarts, refusal
from hub_ext.limits.store import Configured, Edit, LimitStore, Subject
from tests.limits_api_server import PEOPLE, Server, add_kernel, add_person


@pytest.fixture
async def database(sqlite_url):
    """SQLite alone: what both kinds have to answer alike is in `test_limits_api_databases`."""
    made = Database(sqlite_url)
    yield made
    await made.close()


@pytest.fixture
def store(database):
    return LimitStore(database)


@pytest.fixture
async def api(database, store):
    server = Server(database, store)
    await add_person(database, "alice", "analytics")
    await add_person(database, "bob")
    yield server
    await server.stop()


def change(confirmed=False, **values):
    return {"values": values, "confirmed": confirmed}


async def test_a_change_is_in_the_next_answer_with_its_source(api):
    changed = await api.good("PATCH", "users/alice", change(memory_mb=4096))
    assert changed["limits"]["memory_mb"] == {"value": 4096, "source": "user", "until": None, "configured": False}
    assert changed["revision"] == 1
    assert changed["batch"]
    table = await api.good("GET", "users")
    row = next(user for user in table["users"] if user["name"] == "alice")
    assert row["own"] == ["memory_mb"]
    assert row["limits"]["memory_mb"]["value"] == 4096
    detail = await api.good("GET", "users/alice")
    assert detail["inherited"]["memory_mb"] == {
        "value": "unlimited",
        "source": "default",
        "until": None,
        "configured": False,
    }
    assert detail["own_values"] == {"memory_mb": {"value": 4096, "until": None, "value_after": None}}


async def test_the_same_value_without_an_end_stays_for_good(api):
    await api.good("PATCH", "users/alice", change(kernels=2))
    later = (datetime.now(timezone.utc) + timedelta(days=3)).isoformat()
    await api.good("PATCH", "users/alice", {**change(kernels=9), "until": later})
    changed = await api.good("PATCH", "users/alice", change(kernels=9))
    assert changed["batch"]
    assert changed["own_values"]["kernels"] == {"value": 9, "until": None, "value_after": None}


async def test_a_change_by_another_process_is_in_the_next_answer(api, sqlite_url):
    await api.good("GET", "users")
    other = Database(sqlite_url)
    await LimitStore(other).apply([Edit(Subject("group", "analytics"), {"kernels": 7})], who="other")
    await LimitStore(other).configure(Configured(default={"cores": 3}))
    await add_person(other, "carol", "analytics")
    await other.close()
    users = {user["name"]: user for user in (await api.good("GET", "users"))["users"]}
    assert users["carol"]["limits"]["kernels"]["source"] == "group analytics"
    assert users["bob"]["limits"]["cores"] == {"value": 3, "source": "default", "until": None, "configured": True}


async def test_empty_zero_and_unlimited_are_three_things(api):
    await api.good("PATCH", "default", change(kernels=5, confirmed=True))
    await api.good("PATCH", "users/alice", change(kernels=0, confirmed=True))
    assert (await api.good("GET", "users/alice"))["limits"]["kernels"]["value"] == 0
    await api.good("PATCH", "users/alice", change(kernels="unlimited", confirmed=True))
    assert (await api.good("GET", "users/alice"))["limits"]["kernels"]["value"] == "unlimited"
    await api.good("PATCH", "users/alice", change(kernels=None, confirmed=True))
    row = await api.good("GET", "users/alice")
    assert (row["limits"]["kernels"]["value"], row["own"]) == (5, [])


async def test_a_change_that_changes_nothing_has_no_batch(api):
    await api.good("PATCH", "users/alice", change(cores=4))
    again = await api.good("PATCH", "users/alice", change(cores=4))
    assert (again["batch"], again["revision"]) == (None, 1)


@pytest.mark.parametrize("name", ["Alice@corp.com", "jürgen", "a b", "a/b", "50% + 1?", "..b"])
async def test_names_are_taken_as_they_are(api, database, name):
    await add_person(database, name, "größe/x")
    path = quote(name, safe="")
    changed = await api.good("PATCH", f"users/{path}", change(cores=4))
    assert changed["name"] == name
    assert (await api.good("GET", f"users/{path}"))["limits"]["cores"]["value"] == 4
    assert (await api.good("GET", f"users?search={quote(name.upper())}"))["total"] == 1
    group = await api.good("PATCH", f"groups/{quote('größe/x', safe='')}", change(cores=2))
    assert (group["name"], group["members"]) == ("größe/x", 1)


async def test_use_and_overuse_are_shown(api, database):
    await add_kernel(database, "1", "alice", 1000, 2)
    await add_kernel(database, "2", "alice", 500, 1, "starting")
    await add_kernel(database, "3", "alice", 500, 1, "ended")
    await add_kernel(database, "4", "unknown", 1, 1)
    await api.good("PATCH", "users/alice", change(memory_mb=1499, confirmed=True))
    table = await api.good("GET", "users?filter=over")
    assert [user["name"] for user in table["users"]] == ["alice"]
    assert table["counts"] == {"all": 3, "over": 1, "own": 1}
    alice = await api.good("GET", "users/alice")
    assert alice["used"] == {"kernels": 2, "memory_mb": 1500, "cores": 3}
    assert alice["over"] == ["memory_mb"]
    assert [kernel["display_name"] for kernel in alice["kernels"]] == ["Spark (Python)"] * 2


async def test_a_change_with_consequences_needs_a_second_thought(api, database):
    await add_kernel(database, "1", "alice", 1000, 2)
    status, answer = await api.call("PATCH", "users/alice", change(memory_mb=999))
    assert (status, answer["code"]) == (409, "limits-need-confirmation")
    assert "1 user would be over a limit at once (alice)" in answer["details"][0]
    assert (await api.good("GET", "users/alice"))["own"] == []
    changed = await api.good("PATCH", "users/alice", change(memory_mb=999, confirmed=True))
    assert changed["warnings"] == answer["details"]


async def test_what_was_odd_before_is_not_asked_again(api):
    odd = change(driver_memory_mb=9000, memory_mb=1000)
    assert (await api.refused("PATCH", "users/alice", odd)) == (409, "limits-need-confirmation")
    await api.good("PATCH", "users/alice", {**odd, "confirmed": True})
    await api.good("PATCH", "users/alice", change(cores=7))


async def test_a_limit_above_the_cluster_is_a_consequence_only_while_the_cluster_is_known(api):
    api.cluster = ClusterState(
        as_of=datetime.now(timezone.utc), stale=False, memory_total_mb=8192, vcores_total=8, nodes_total=1
    )
    assert (await api.refused("PATCH", "users/alice", change(memory_mb=9000)))[0] == 409
    api.cluster = unreachable()
    await api.good("PATCH", "users/alice", change(memory_mb=9000))


async def test_somebody_who_has_not_come_yet_can_be_prepared_for(api):
    assert await api.refused("GET", "users/dora") == (404, "no-such-subject")
    status, answer = await api.call("PATCH", "users/dora", change(kernels=1))
    assert (status, answer["details"]) == (409, ["The Hub has not told of a user named 'dora' yet."])
    await api.good("PATCH", "users/dora", change(kernels=1, confirmed=True))
    assert (await api.good("GET", "users/dora"))["own"] == ["kernels"]
    assert await api.refused("PATCH", "groups/nobodys", change(kernels=1)) == (409, "limits-need-confirmation")
    await api.good("PATCH", "groups/nobodys", change(kernels=1, confirmed=True))
    groups = (await api.good("GET", "groups"))["groups"]
    assert [(group["name"], group["members"]) for group in groups] == [("analytics", 1), ("nobodys", 0)]


async def test_a_lost_update_is_refused_with_what_changed_meanwhile(api):
    seen = (await api.good("GET", "users/alice"))["revision"]
    await api.good("PATCH", "users/alice", {**change(cores=1), "revision": seen}, caller="lena")
    status, answer = await api.call("PATCH", "users/alice", {**change(cores=2), "revision": seen})
    assert (status, answer["code"]) == (409, "limits-changed")
    assert answer["numbers"]["revision"] == seen + 1
    assert "lena" in answer["text"] + " ".join(answer["details"])
    assert (await api.good("GET", "users/alice"))["limits"]["cores"]["value"] == 1


async def test_two_editors_at_once_do_not_both_win(api):
    bodies = [{**change(cores=number), "revision": 0} for number in (1, 2)]
    answers = await asyncio.gather(*(api.call("PATCH", "users/alice", body) for body in bodies))
    assert sorted(status for status, _ in answers) == [200, 409]


async def test_a_batch_is_all_or_none(api):
    body = {"users": ["alice", "bob"], "values": {"cores": 3}, "revisions": {"bob": 5}}
    assert await api.refused("POST", "batch", body) == (409, "limits-changed")
    assert (await api.good("GET", "users?filter=own"))["total"] == 0
    done = await api.good("POST", "batch", {**body, "revisions": {"bob": 0}})
    assert done["changed"] == 2
    assert (await api.good("POST", "batch", {"users": ["alice"], "values": {"cores": 3}}))["batch"] is None
    page = await api.good("GET", "history")
    assert [line["name"] for line in page["batches"][0]["lines"]] == ["alice", "bob"]


async def test_a_change_can_be_taken_back_once_and_the_history_tells_who(api):
    batch = (await api.good("PATCH", "users/alice", {**change(cores=3), "reason": "project x"}))["batch"]
    undone = await api.good("POST", f"history/{batch}/undo", {"reason": "over"}, caller="bot")
    assert (await api.good("GET", "users/alice"))["own"] == []
    page = await api.good("GET", "history?scope=user&name=alice")
    assert [(one["who"], one["reason"], one["undoes"], one["undone"]) for one in page["batches"]] == [
        ("service bot", "over", batch, False),
        ("root", "project x", "", True),
    ]
    assert page["batches"][0]["batch"] == undone["batch"]
    line = page["batches"][1]["lines"][0]
    assert (line["field"], line["before"], line["after"]) == ("cores", None, 3)
    assert await api.refused("POST", f"history/{batch}/undo", {}) == (409, "limits-changed")
    assert await api.refused("POST", "history/0000/undo", {}) == (404, "no-such-change")


async def test_a_value_for_a_time_tells_when_it_ends_and_what_comes_then(api):
    until = datetime.now(timezone.utc) + timedelta(days=30)
    await api.good("PATCH", "users/alice", change(cores=2))
    await api.good("PATCH", "users/alice", {**change(cores=9), "until": until.isoformat()})
    row = await api.good("GET", "users/alice")
    assert (row["limits"]["cores"]["value"], row["own_values"]["cores"]["value_after"]) == (9, 2)
    assert datetime.fromisoformat(row["limits"]["cores"]["until"].replace("Z", "+00:00")) == until


async def test_a_preview_changes_nothing(api, database):
    await add_kernel(database, "1", "alice", 1000, 2)
    await api.good("PATCH", "users/bob", change(memory_mb=2000))
    found = await api.good("POST", "preview", {"scope": "default", "values": {"memory_mb": 500}})
    assert (found["affected"], found["unchanged"]) == (1, 1)
    assert (found["names"], found["personal"], found["over"]) == (["alice"], ["bob"], ["alice"])
    assert found["warnings"]
    assert (await api.good("GET", "default"))["own_values"] == {}


async def test_a_file_goes_out_and_in_again(api):
    await api.good("PATCH", "users/alice", change(cores=3))
    await api.good("PATCH", "default", change(memory_mb=64000))
    text = await api.good("GET", "export")
    assert yaml.safe_load(text)
    same = await api.good("POST", "import?dry_run=false", text)
    assert (same["changes"], same["batch"], same["warnings"]) == ([], None, [])
    other = text.replace("64000", "32000")
    told = await api.good("POST", "import", other)
    assert (len(told["changes"]), told["batch"]) == (1, None)
    assert (await api.good("GET", "default"))["own_values"]["memory_mb"]["value"] == 64000
    assert (await api.good("POST", "import?dry_run=false", other))["batch"]
    assert (await api.good("GET", "default"))["own_values"]["memory_mb"]["value"] == 32000
    assert (await api.refused("POST", "import", "default: {kernels: -1}"))[1] == "limits-invalid"
    assert (await api.refused("POST", "import", b"\xff"))[1] == "bad-request"


@pytest.mark.parametrize("text", ["", "default: {kernels: 1}", "# only a word"])
async def test_an_empty_file_or_a_part_of_one_takes_nothing_away(api, text):
    await api.good("PATCH", "users/alice", change(cores=3))
    answer = await api.refused("POST", "import?dry_run=false&confirmed=true", text)
    assert answer == (422, "limits-invalid")
    assert (await api.good("GET", "users/alice"))["own"] == ["cores"]


async def test_a_file_with_consequences_needs_a_second_thought(api, database):
    await add_kernel(database, "1", "alice", 1000, 8)
    await api.good("PATCH", "users/bob", change(kernels=3, cores=3))
    text = "default: {cores: 4}\ngroups: {}\nusers: {nobody: {kernels: 2}}"
    expected = [
        "2 values are taken away, as the file does not name them: 'merge' keeps such.",
        "The Hub has not told of a user named 'nobody' yet.",
        "1 user would be over a limit at once (alice): running kernels stay, new ones are refused.",
    ]
    assert (await api.good("POST", "import", text))["warnings"] == expected
    status, answer = await api.call("POST", "import?dry_run=false", text)
    assert (status, answer["code"], answer["details"]) == (409, "limits-need-confirmation", expected)
    assert (await api.good("GET", "users/bob"))["own"] == ["cores", "kernels"]
    done = await api.good("POST", "import?dry_run=false&confirmed=true", text)
    assert (len(done["changes"]), done["warnings"]) == (4, expected)
    assert (await api.good("GET", "users/bob"))["own"] == []
    merged = "users: {bob: {kernels: 2}}"
    assert (await api.good("POST", "import?dry_run=false&merge=true", merged))["batch"]


async def test_administrators_of_the_hub_set_limits_with_a_token_that_has_their_scopes(api):
    assert (await api.good("PATCH", "users/alice", change(cores=4), caller="hub-admin"))["own"] == ["cores"]
    refused = await api.refused("PATCH", "users/alice", change(cores=5), caller="admins-narrow-token")
    assert refused == (403, "not-a-limits-admin")


@pytest.mark.parametrize("name", ["(configuration)", "(end date)", "service bot"])
async def test_a_user_with_a_strange_name_is_taken_for_nobody_else(api, monkeypatch, name):
    monkeypatch.setitem(PEOPLE, "strange", {**PEOPLE["root"], "name": name})
    changed = await api.good("PATCH", "users/alice", change(cores=4), caller="strange")
    (batch,) = (await api.good("GET", "history"))["batches"]
    assert batch["who"] == f"user {name}"
    await api.good("POST", f"history/{changed['batch']}/undo", {})


async def test_a_list_has_the_first_lines_of_each_change_and_one_change_all_of_them(api, store):
    names = [f"u{number:03d}" for number in range(30)]
    batch = await store.apply([Edit(Subject("user", name), {"cores": 1, "kernels": 2}) for name in names], who="root")
    await store.apply([Edit(Subject("user", "u001"), {"cores": 3})], who="root")
    small, large = (await api.good("GET", "history"))["batches"]
    assert (len(small["lines"]), small["left_off"]) == (1, 0)
    assert (len(large["lines"]), large["left_off"]) == (20, 40)
    assert [line["name"] for line in large["lines"][:3]] == ["u000", "u000", "u001"]
    (alone,) = (await api.good("GET", f"history?batch={batch}"))["batches"]
    assert (alone["batch"], len(alone["lines"]), alone["left_off"]) == (batch, 60, 0)
    of_one = (await api.good("GET", "history?name=u001&scope=user"))["batches"]
    assert [len(one["lines"]) for one in of_one] == [1, 2]


async def test_a_request_is_asked_granted_and_answered(api, database):
    until = datetime.now(timezone.utc) + timedelta(days=30)
    await api.good("PATCH", "default", change(memory_mb=1000, confirmed=True))
    wish = {"field": "memory_mb", "wanted": 9000, "reason": "more data"}
    asked = await api.good("POST", "my/requests", wish, caller="alice", status=201)
    assert asked["current"] == {"value": 1000, "source": "default"}
    assert (await api.good("GET", "my/requests", caller="alice"))["open"] == 1
    assert (await api.good("GET", "my/requests", caller="lena"))["total"] == 0
    assert (await api.good("GET", "requests?state=open"))["requests"][0]["user"] == "alice"
    body = {"value": 5000, "until": until.isoformat(), "answer": "until the end of the project"}
    granted = await api.good("POST", f"requests/{asked['id']}/grant", body)
    assert (granted["state"], granted["granted"], granted["decided_by"]) == ("granted", 5000, "root")
    mine = await api.good("GET", "my", caller="alice")
    assert (mine["limits"]["memory_mb"]["value"], mine["limits"]["memory_mb"]["source"]) == (5000, "user")
    assert mine["limits"]["memory_mb"]["until"] is not None
    assert await api.refused("POST", f"requests/{asked['id']}/decline", {}) == (409, "request-decided")
    assert (await api.good("GET", "requests?state=open"))["open"] == 0


async def test_a_file_changes_only_what_was_shown(api):
    text = "default: {memory_mb: 4000}"
    seen = await api.good("POST", "import?merge=true", text)
    assert seen["changes"] == ["default: memory_mb inherit → 4000 MB"]
    await api.good("PATCH", "default", change(memory_mb=9000))
    apply = f"import?merge=true&dry_run=false&reason=spring&plan={seen['plan']}"
    assert await api.refused("POST", apply, text) == (409, "limits-changed")
    assert (await api.good("GET", "default"))["own_values"]["memory_mb"]["value"] == 9000
    # The same words once more, after somebody else's change and its undoing: they start from something else.
    await api.good("POST", f"history/{(await api.good('GET', 'history'))['batches'][0]['batch']}/undo", {})
    assert (await api.good("POST", "import?merge=true", text))["changes"] == seen["changes"]
    assert await api.refused("POST", apply, text) == (409, "limits-changed")
    again = await api.good("POST", "import?merge=true", text)
    assert (await api.good("POST", apply.replace(seen["plan"], again["plan"]), text))["batch"]
    newest = (await api.good("GET", "history"))["batches"][0]
    assert newest["reason"] == "imported from a file: spring"
    assert (await api.good("GET", f"history?batch={newest['batch']}"))["batches"] == [newest]
    assert (await api.good("GET", "history?batch=nothing-like-it"))["batches"] == []


async def test_one_request_can_be_looked_at_whatever_became_of_it(api):
    await api.good("PATCH", "default", change(kernels=1))
    asked = await api.good("POST", "my/requests", {"field": "kernels", "wanted": 3}, caller="alice", status=201)
    assert await api.good("GET", f"requests/{asked['id']}") == asked
    assert await api.refused("GET", f"requests/{asked['id']}", caller="alice") == (403, "not-a-limits-admin")
    await api.good("POST", f"requests/{asked['id']}/decline", {})
    assert (await api.good("GET", f"requests/{asked['id']}"))["state"] == "declined"
    assert await api.refused("GET", "requests/999") == (404, "no-such-request")


async def test_a_grant_is_thought_about_like_every_change(api):
    await api.good("PATCH", "users/alice", change(kernels=2))
    wish = {"field": "kernels", "wanted": 3}
    asked = await api.good("POST", "my/requests", wish, caller="alice", status=201)
    assert asked["revision"] == 1
    await api.good("PATCH", "users/alice", change(kernels=20, idle_timeout=600))
    grant = f"requests/{asked['id']}/grant"
    assert await api.refused("POST", grant, {"revision": 1}) == (409, "limits-changed")
    status, answer = await api.call("POST", grant, {"revision": 2})
    assert (status, answer["code"]) == (409, "limits-need-confirmation")
    assert answer["details"] == ["3 is less than what alice has now (20)."]
    status, answer = await api.call("POST", grant, {"revision": 2, "value": 0})
    assert len(answer["details"]) == 2  # and nothing can be started
    assert await api.refused("POST", grant, {"value": "many"}) == (422, "limits-invalid")
    assert (await api.good("GET", "users/alice"))["limits"]["kernels"]["value"] == 20
    granted = await api.good("POST", grant, {"revision": 2, "confirmed": True})
    assert (granted["granted"], granted["state"]) == (3, "granted")
    assert await api.refused("POST", grant, {}) == (409, "request-decided")


@pytest.mark.parametrize(
    ("has", "wanted", "status"),
    [
        ({"kernels": 4}, {"field": "kernels", "wanted": 4}, 422),
        ({"kernels": 4}, {"field": "kernels", "wanted": 3}, 422),
        ({"kernels": 4}, {"field": "kernels", "wanted": 5}, 201),
        ({"kernels": 4}, {"field": "kernels", "wanted": "unlimited"}, 201),
        ({"kernels": "unlimited"}, {"field": "kernels", "wanted": 5}, 422),
        ({"queues": ["a", "b"]}, {"field": "queues", "wanted": ["a"]}, 422),
        ({"queues": ["a", "b"]}, {"field": "queues", "wanted": ["c"]}, 201),
    ],
)
async def test_nobody_asks_for_less_than_they_have(api, has, wanted, status):
    await api.good("PATCH", "users/alice", change(confirmed=True, **has))
    code, answer = await api.call("POST", "my/requests", wanted, caller="alice")
    assert code == status, answer
    if status == 422:
        assert answer["numbers"] == {"field": wanted["field"]}
        assert "you have" in answer["text"]


async def test_a_request_can_be_withdrawn_by_its_author_only(api):
    await api.good("PATCH", "users/alice", change(confirmed=True, queues=["root.slow"]))
    wish = {"field": "queues", "wanted": ["root.fast"]}
    asked = await api.good("POST", "my/requests", wish, caller="alice", status=201)
    assert await api.refused("DELETE", f"my/requests/{asked['id']}", caller="lena") == (404, "no-such-request")
    assert await api.call("DELETE", f"my/requests/{asked['id']}", caller="alice") == (204, "")
    assert await api.refused("POST", f"requests/{asked['id']}/grant", {}) == (409, "request-decided")


async def test_everyone_sees_their_own_limits_and_nobody_elses(api):
    mine = await api.good("GET", "my", caller="alice")
    assert (mine["user"], mine["used"]["kernels"], mine["most_restrictive"]) == ("alice", 0, False)
    assert (await api.good("GET", "users/alice", caller="alice"))["name"] == "alice"
    assert (await api.good("GET", "users/new", caller="new"))["groups"] == ["analytics"]
    assert await api.refused("GET", "users/bob", caller="alice") == (403, "not-a-limits-admin")


async def test_everyone_sees_what_was_refused_to_them_and_nobody_else_does(api, database):
    error = PublicError("too-many-kernels", "You have as many kernels as you may.", remedy="Stop one.")
    await RefusedStarts(database).note([refusal("alice", "spark", "Spark", error, datetime.now(timezone.utc))])
    (refused,) = (await api.good("GET", "my", caller="alice"))["refused"]
    assert (refused["display_name"], refused["code"], refused["count"]) == ("Spark", "too-many-kernels", 1)
    assert refused["lines"] == ["You have as many kernels as you may.", "Stop one."]
    assert (await api.good("GET", "my", caller="new"))["refused"] == []


async def test_the_largest_kernel_is_told_while_the_cluster_is_known(api, database):
    api.cluster = ClusterState(
        as_of=datetime.now(timezone.utc),
        stale=False,
        memory_total_mb=8192,
        vcores_total=8,
        maximum_allocation_mb=4096,
        maximum_allocation_vcores=4,
        nodes=(Node(id="n1", host="n1", state="RUNNING", memory_total_mb=8192, vcores_total=8),),
    )
    await add_kernel(database, "1", "alice", 1024, 1)
    await api.good("PATCH", "users/alice", change(memory_mb=3072))
    largest = (await api.good("GET", "my", caller="alice"))["largest"]
    assert largest["memory_mb"] == 2048
    assert [bound["field"] for bound in largest["bound_by"] if bound["field"]] == ["memory_mb"]
    api.cluster = unreachable()
    mine = await api.good("GET", "my", caller="alice")
    assert (mine["largest"], mine["used"]["kernels"]) == (None, 1)
    assert "edge service" in mine["cluster_error"]


READS = ["users", "users/bob", "groups", "groups/analytics", "default", "history", "export", "requests"]
WRITES = [
    ("PATCH", "users/alice", change(cores=1)),
    ("PATCH", "groups/analytics", change(cores=1)),
    ("PATCH", "default", change(cores=1)),
    ("POST", "preview", {"scope": "default", "values": {"cores": 1}}),
    ("POST", "batch", {"users": ["alice"], "values": {"cores": 1}}),
    ("POST", "history/0000/undo", {}),
    ("POST", "import", ""),
    ("POST", "requests/1/grant", {}),
    ("POST", "requests/1/decline", {}),
]


@pytest.mark.parametrize("token", ["alice", "alices-server", "kernels"])
async def test_only_holders_of_the_scope_see_and_change_what_is_others(api, token):
    for path in READS:
        assert await api.refused("GET", path, caller=token) == (403, "not-a-limits-admin"), path
    for method, path, body in WRITES:
        assert await api.refused(method, path, body, caller=token) == (403, "not-a-limits-admin"), path
    assert (await api.good("GET", "history"))["total"] == 0


async def test_tokens_that_are_none_or_for_something_else_are_refused(api):
    for path in [*READS, "my", "my/requests", "openapi.json"]:
        assert await api.refused("GET", path, caller="") == (401, "login-expired"), path
        assert await api.refused("GET", path, caller="elsewhere") == (403, "not-yours"), path
    assert await api.refused("PATCH", "users/alice", change(cores=1), caller="made-up") == (401, "login-expired")


async def test_a_service_with_the_scope_changes_limits_and_has_none_itself(api):
    await api.good("PATCH", "users/alice", change(cores=1), caller="bot")
    assert (await api.good("GET", "history"))["batches"][0]["who"] == "service bot"
    assert await api.refused("GET", "my", caller="bot") == (403, "not-yours")
    assert (await api.refused("POST", "my/requests", {"field": "cores", "wanted": 1}, caller="bot"))[0] == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "users/alice", {"values": {"memory_mb": -1}}, "memory_mb"),
        ("PATCH", "users/alice", {"values": {"memory_mb": "much"}}, "memory_mb"),
        ("PATCH", "users/alice", {"values": {"memory_mb": 1.5}}, "memory_mb"),
        ("PATCH", "users/alice", {"values": {"memory_mb": True}}, "memory_mb"),
        ("PATCH", "users/alice", {"values": {"memory_mb": 10**13}}, "memory_mb"),
        ("PATCH", "users/alice", {"values": {"queues": 3}}, "queues"),
        ("PATCH", "users/alice", {"values": {"queues": ["x"] * 101}}, "queues"),
        ("PATCH", "users/alice", {"values": {"nosuch": 3}}, "nosuch"),
        ("PATCH", "users/alice", {"values": {}}, "values"),
        ("PATCH", "users/alice", {}, "values"),
        ("PATCH", "users/alice", {"values": {"cores": 1}, "extra": 1}, "extra"),
        ("PATCH", "users/alice", {"values": {"cores": 1}, "confirmed": "yes"}, "confirmed"),
        ("PATCH", "users/alice", {"values": {"cores": 1}, "until": "2030-01-01T00:00:00"}, "until"),
        ("PATCH", "users/alice", {"values": {"cores": 1}, "until": "2001-01-01T00:00:00Z"}, "until"),
        ("PATCH", "users/alice", {"values": {"cores": 1}, "until": "9999-12-31T23:59:59-12:00"}, "until"),
        ("PATCH", "users/alice", {"values": {"cores": 1}, "reason": "x" * 501}, "reason"),
        ("PATCH", "users/alice", {"values": {"cores": 1}, "reason": "\x00"}, "reason"),
        ("PATCH", f"users/{'x' * 256}", {"values": {"cores": 1}}, "name"),
        ("PATCH", "users/a%0Ab", {"values": {"cores": 1}}, "name"),
        ("GET", "users?page=0", None, "page"),
        ("GET", "users?per_page=201", None, "per_page"),
        ("GET", "users?sort=age", None, "sort"),
        ("GET", "users?sorted=age", None, "sorted"),
        ("GET", "users?search=%FF", None, "search"),
        ("GET", "history?page=99999999999999999999", None, "page"),
        ("GET", "history?field=nosuch", None, "nosuch"),
        ("POST", "preview", {"scope": "group", "values": {"cores": 1}}, None),
        ("POST", "batch", {"users": ["a"] * 2, "values": {"cores": 1}}, None),
        ("POST", "batch", {"users": [], "values": {"cores": 1}}, "users"),
        ("POST", "batch", {"users": [f"u{n}" for n in range(501)], "values": {"cores": 1}}, "users"),
        ("POST", "my/requests", {"field": "cores", "wanted": None}, "cores"),
        ("POST", "my/requests", {"field": "cores", "wanted": ["x"]}, "cores"),
        ("POST", "requests/99999999999/grant", {}, "number"),
        ("POST", "requests/x/grant", {}, "number"),
    ],
)
async def test_what_is_not_understood_is_named(api, method, path, body, field):
    status, answer = await api.call(method, path, body)
    assert (status, answer["code"]) == (422, "limits-invalid")
    assert answer["numbers"].get("field") == field
    assert answer["text"].endswith(".")
    assert (await api.good("GET", "history"))["total"] == 0


@pytest.mark.parametrize("body", ["{", "[]", '"x"', b"\xff\xfe", "[" * 100_000, '{"reason": "\\ud800"}', "NaN"])
async def test_a_body_that_is_no_json_object_is_refused(api, body):
    assert await api.refused("PATCH", "users/alice", body) == (400, "bad-request")


async def test_a_body_that_is_too_large_is_refused(api):
    assert await api.refused("POST", "import", "#" * (17 * 1024 * 1024)) == (413, "request-too-large")
    assert await api.refused("PATCH", "users/alice", "#" * (2 * 1024 * 1024)) == (413, "request-too-large")


async def test_a_method_that_is_not_there_is_told(api):
    assert await api.refused("DELETE", "users/alice") == (405, "method-not-allowed")
    assert await api.refused("PUT", "default", {}) == (405, "method-not-allowed")
