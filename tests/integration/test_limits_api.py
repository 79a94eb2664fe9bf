"""The API of limits on the real chain: the Hub's tokens decide, and what is set counts at the next start."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
import requests

from tests.gateways import another_gateway
from tests.processes import secrets_of, server_process
from tests.support import bearer, wait_for

ACCESS, LIMITS, KERNELS = "access:services!service=gateway", "custom:limits:admin", "custom:kernels:admin"


class Api:
    """The API with one token."""

    def __init__(self, base, token):
        self.base, self.headers = f"{base}/limits", bearer(token)

    def call(self, method, path, body=None, **more):
        return requests.request(method, f"{self.base}/{path}", json=body, headers=self.headers, timeout=30, **more)

    def good(self, method, path, body=None, status=200):
        answer = self.call(method, path, body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def refused(self, method, path, body=None):
        answer = self.call(method, path, body)
        return answer.status_code, answer.json()["code"]


@pytest.fixture(scope="module")
def admin(platform):
    """A token that may change limits and nothing else: whether its owner administers the Hub is not in it."""
    return Api(platform.gateway, platform.person("admin").token(ACCESS, LIMITS)[0])


@pytest.fixture(scope="module")
def alices(platform, alice):
    return Api(platform.gateway, alice.token()[0])


@pytest.fixture(autouse=True)
def _limits_as_before(admin):
    """Put back what a test has changed."""
    before = admin.call("GET", "export").content
    yield
    answer = requests.post(
        f"{admin.base}/import",
        params={"dry_run": "false", "confirmed": "true"},
        data=before,
        headers=admin.headers,
        timeout=30,
    )
    assert answer.status_code == 200, answer.text


def change(**values):
    return {"values": values, "confirmed": True}


def test_the_hubs_users_are_in_the_table_with_the_configurations_values(admin):
    def everyone():
        rows = {row["name"]: row for row in admin.good("GET", "users")["users"]}
        return rows if {"admin", "alice", "bob"} <= rows.keys() else None

    rows = wait_for(everyone, 30, what="the Hub's users in the table")
    assert rows["alice"]["groups"] == ["analytics"]
    kernels = rows["alice"]["limits"]["kernels"]
    assert (kernels["value"], kernels["source"], kernels["configured"]) == (4, "group analytics", True)
    assert rows["bob"]["limits"]["kernels"]["source"] == "default"


def test_scientists_see_their_own_limits_and_nobody_elses(alices):
    assert alices.good("GET", "my")["user"] == "alice"
    assert alices.good("GET", "users/alice")["groups"] == ["analytics"]
    for path in ("users/bob", "users", "groups", "default", "history", "export", "requests"):
        assert alices.refused("GET", path) == (403, "not-a-limits-admin"), path
    assert alices.refused("PATCH", "users/alice", change(kernels=99)) == (403, "not-a-limits-admin")


def test_administrators_of_kernels_are_none_of_limits(platform):
    token, _ = platform.person("admin").token(ACCESS, KERNELS)
    assert Api(platform.gateway, token).refused("GET", "users") == (403, "not-a-limits-admin")
    assert Api(platform.gateway, token).refused("PATCH", "default", change(kernels=9)) == (403, "not-a-limits-admin")


def test_nobody_makes_a_token_with_the_scope_who_does_not_have_it(platform, alice):
    answer = alice.hub("POST", "/users/alice/tokens", json={"scopes": [ACCESS, LIMITS], "note": "test"})
    assert answer.status_code == 400, answer.text


def test_a_notebook_servers_own_token_reads_its_owners_limits_and_changes_none(platform):
    owner = platform.person("admin")
    owner.start_server()
    try:
        process = wait_for(lambda: server_process(platform, "admin"), what="the notebook server")
        api = Api(platform.gateway, process.environ()["JUPYTERHUB_API_TOKEN"])
        assert api.good("GET", "my")["user"] == "admin"
        assert api.refused("PATCH", "users/admin", change(kernels=99)) == (403, "not-a-limits-admin")
    finally:
        owner.stop_server()


def test_what_is_set_counts_at_the_next_start_and_is_seen_by_every_gateway(platform, alice, admin, tmp_path):
    token, _ = alice.token()
    with another_gateway(platform, tmp_path) as other:
        second = Api(other.url, token)
        assert second.good("GET", "my")["limits"]["kernels"]["value"] == 4
        admin.good("PATCH", "users/alice", change(kernels=0))
        assert second.good("GET", "my")["limits"]["kernels"] == {
            "value": 0,
            "source": "user",
            "until": None,
            "configured": False,
        }
        for url in (platform.gateway, other.url):
            answer = requests.post(
                f"{url}/user/alice/api/kernels", headers=bearer(token), json={"name": "python_yarn"}, timeout=60
            )
            assert (answer.status_code, answer.json()["code"]) == (403, "too-many-kernels")
            assert answer.json()["numbers"]["source"] == "user"


def test_two_administrators_at_once_do_not_overwrite_each_other(platform, admin, tmp_path):
    seen = admin.good("GET", "users/bob")["revision"]
    with another_gateway(platform, tmp_path) as other:
        token = admin.headers["Authorization"].removeprefix("token ")
        apis = [admin, Api(other.url, token)]

        def patch(number):
            body = {**change(cores=10 + number), "revision": seen}
            return apis[number % 2].call("PATCH", "users/bob", body)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(patch, range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    refusal = next(answer.json() for answer in answers if answer.status_code == 409)
    assert (refusal["code"], refusal["numbers"]["revision"]) == ("limits-changed", seen + 1)


def test_a_batch_is_taken_back_as_one(admin):
    body = {"users": ["alice", "bob"], "values": {"idle_timeout": 1800}, "confirmed": True, "reason": "less idling"}
    done = admin.good("POST", "batch", body)
    assert done["changed"] == 2
    page = admin.good("GET", "history?field=idle_timeout&per_page=1")
    assert (page["batches"][0]["batch"], page["batches"][0]["who"]) == (done["batch"], "admin")
    admin.good("POST", f"history/{done['batch']}/undo", {})
    assert "idle_timeout" not in admin.good("GET", "users/alice")["own"]


def test_who_becomes_an_administrator_on_the_hubs_page_may_set_limits_until_they_are_none(platform):
    bob, root = platform.person("bob"), platform.person("admin")

    def may():
        return Api(platform.gateway, bob.token("inherit")[0]).call("GET", "users").status_code

    assert may() == 403
    root.hub("PATCH", "/users/bob", json={"admin": True}).raise_for_status()
    try:
        assert may() == 200
        page = bob.session.get(f"{platform.url}/services/portal/admin/limits", timeout=30)
        assert (page.status_code, "User limits" in page.text) == (200, True)
        assert "User limits" in bob.session.get(f"{platform.url}/hub/home", timeout=30).text
        # The token decides, not who owns it.
        assert Api(platform.gateway, bob.token(ACCESS)[0]).refused("GET", "users") == (403, "not-a-limits-admin")
    finally:
        root.hub("PATCH", "/users/bob", json={"admin": False}).raise_for_status()
    assert may() == 403


def test_a_file_is_tried_before_it_is_taken(admin):
    text = "users:\n  bob:\n    kernels: 2\n"
    told = requests.post(f"{admin.base}/import?merge=true", data=text, headers=admin.headers, timeout=30).json()
    assert told["batch"] is None
    assert any("bob" in line and "kernels" in line for line in told["changes"])
    assert "kernels" not in admin.good("GET", "users/bob")["own"]


def test_a_request_is_granted_until_a_date_and_ends_by_itself(admin, alices):
    wish = {"field": "executors", "wanted": 12, "reason": "the yearly report"}
    assert alices.refused("POST", "my/requests", wish) == (422, "limits-invalid")  # there is no limit to ask beyond
    admin.good("PATCH", "default", change(executors=4))
    asked = alices.good("POST", "my/requests", wish, status=201)
    waiting = admin.good("GET", "requests?state=open")
    assert asked["id"] in [one["id"] for one in waiting["requests"]]
    until = datetime.now(timezone.utc) + timedelta(seconds=4)
    grant = {"value": 10, "until": until.isoformat(), "answer": "ten must do"}
    granted = admin.good("POST", f"requests/{asked['id']}/grant", grant)
    assert (granted["state"], granted["granted"]) == ("granted", 10)
    assert alices.good("GET", "my")["limits"]["executors"]["value"] == 10
    assert alices.good("GET", "my/requests")["requests"][0]["answer"] == "ten must do"
    wait_for(lambda: alices.good("GET", "my")["limits"]["executors"]["value"] == 4, 15, what="the grant's end")
    wait_for(
        lambda: admin.good("GET", "history?field=executors&name=alice")["batches"][0]["who"] == "(end date)",
        30,
        what="the end in the history",
    )


def test_my_limits_tell_the_largest_kernel_of_the_real_cluster(alices):
    largest = wait_for(lambda: alices.good("GET", "my")["largest"], 30, what="the cluster's state")
    assert largest["memory_mb"] > 0
    assert largest["bound_by"]
    assert re.search(r"\d", largest["text"])


def test_the_gateways_log_has_no_token_and_no_limits_of_anybody(platform, admin):
    admin.good("GET", "users?search=secretword")
    log = "".join(path.read_text(errors="replace") for path in platform.folder.rglob("hub.log"))
    assert "/limits/users" in log
    assert "secretword" not in log
    assert not [secret for secret in secrets_of(platform) if secret in log]
