"""Two people side by side: by no request does one reach the other's kernel."""

import http.client
import json
from urllib.parse import urlparse

import pytest
import requests

from tests.processes import server_process, service_process
from tests.support import wait_for

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@pytest.fixture(scope="module")
def alices(platform):
    """A kernel of alice's with something in its memory."""
    kernel = platform.person("alice").start("python_yarn")
    kernel.execute("secret = 'of alice'")
    yield kernel
    kernel.delete()


@pytest.fixture(scope="module")
def tokens(platform):
    bob = platform.person("bob")
    admin = platform.person("admin")
    bob.start_server()
    return {
        "bob": bob.token()[0],
        "admin without the scope": admin.token()[0],
        "garbage": "f" * 32,
        "none": "",
        "enterprise gateway's": (platform.folder / "run" / "enterprise-gateway-token").read_text().strip(),
        "edge's": (platform.folder / "run" / "edge-token").read_text().strip(),
        # The services' own Hub tokens, as each has it in its environment.
        "gateway's": service_process(platform, "hub_gateway").environ()["JUPYTERHUB_API_TOKEN"],
        "portal's": service_process(platform, "hub_portal").environ()["JUPYTERHUB_API_TOKEN"],
    }


def raw(platform, method, path, headers, body=None):
    """Send a path exactly as it is written; clients like requests would tidy it up."""
    address = urlparse(platform.gateway)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    connection.request(method, "/services/gateway" + path, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


PATHS = [
    "/user/alice/api/kernels/{id}",
    "/user/bob/api/kernels/{id}",
    "/user/ALICE/api/kernels/{id}",
    "/user/%61lice/api/kernels/{id}",
    "/user/alice%00/api/kernels/{id}",
    "/user/bob/../alice/api/kernels/{id}",
    "/user/bob/%2e%2e/alice/api/kernels/{id}",
    "/user/bob%2f..%2falice/api/kernels/{id}",
    "/user/bob//api/kernels/{id}",
    "/user//api/kernels/{id}",
    "/user/bob/api/kernels/..%2f..%2f..%2falice%2fapi%2fkernels%2f{id}",
    "/user/bob/api/kernels/{id}%2f",
    "/user/bob/api/kernels/{upper}",
    "/user/bob/api/kernels/{id};x=/user/alice",
    "/api/kernels/{id}",
    "/user/bob/api/sessions/{id}",
    "/admin/api/kernels/{id}",
]


WHO = [
    "bob",
    "admin without the scope",
    "garbage",
    "none",
    "enterprise gateway's",
    "edge's",
    "gateway's",
    "portal's",
]


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_a_foreign_kernel(platform, alices, tokens, who, path):
    path = path.format(id=alices.kernel_id, upper=alices.kernel_id.upper())
    headers = {"Authorization": f"token {tokens[who]}"} if tokens[who] else {}
    if who == "admin without the scope":
        path = path.replace("/bob", "/admin")
    attempts = [("GET", ""), ("DELETE", ""), ("POST", "/interrupt"), ("POST", "/restart"), ("PATCH", "")]
    for method, what in attempts:
        status, text = raw(platform, method, path + what, headers, b"{}" if method == "POST" else None)
        assert status in {400, 401, 403, 404, 405}, (method, what, status, text)
        assert "of alice" not in text
        assert json.loads(text)["code"]
    status, _ = raw(platform, "GET", path + "/channels?session_id=x", {**headers, **HANDSHAKE})
    assert status in {400, 401, 403, 404, 405}


@pytest.mark.parametrize("service", ["gateway's", "portal's"])
def test_a_services_own_token_is_real_but_no_person(platform, tokens, service):
    """The Hub knows it, so it is refused for what it is; it starts and lists nothing."""
    headers = {"Authorization": f"token {tokens[service]}"}
    who = requests.get(f"{platform.url}/hub/api/user", headers=headers, timeout=30).json()
    assert (who["kind"], who["name"]) == ("service", service.removesuffix("'s"))
    for owner in ("alice", "bob", service.removesuffix("'s")):
        for method, body in (("GET", None), ("POST", json.dumps({"name": "python_yarn"}))):
            status, text = raw(platform, method, f"/user/{owner}/api/kernels", headers, body)
            assert (status, json.loads(text)["code"]) == (403, "not-yours")
    assert raw(platform, "GET", "/admin/api/kernels", headers)[0] == 403


@pytest.mark.parametrize("query", ["?token={alice}", "?user=alice", "?KERNEL_USERNAME=alice"])
def test_nothing_in_the_query_changes_who_asks(platform, alices, tokens, query):
    query = query.format(alice=platform.person("alice").token()[0])
    status, _ = raw(platform, "GET", f"/user/alice/api/kernels{query}", {"Authorization": f"token {tokens['bob']}"})
    assert status == 403
    status, _ = raw(platform, "GET", f"/user/alice/api/kernels{query}", {})
    assert status == 401


@pytest.mark.parametrize("header", ["X-Acting-User", "X-Forwarded-User", "Remote-User", "Cookie", "Referer"])
def test_no_other_header_is_an_identity(platform, alices, tokens, header):
    headers = {"Authorization": f"token {tokens['bob']}", header: "alice"}
    assert raw(platform, "GET", f"/user/alice/api/kernels/{alices.kernel_id}", headers)[0] == 403


def test_lists_hold_only_ones_own(platform, alices, tokens):
    bobs = requests.get(
        f"{platform.gateway}/user/bob/api/kernels", headers={"Authorization": f"token {tokens['bob']}"}, timeout=30
    )
    assert alices.kernel_id not in bobs.text
    assert bobs.json() == []
    own = platform.person("alice").kernels()
    assert alices.kernel_id in [kernel["id"] for kernel in own]


def test_a_start_with_forged_variables_stays_bobs(platform, alices, tokens):
    forged = {
        "KERNEL_USERNAME": "alice",
        "KERNEL_ID": alices.kernel_id,
        "KERNEL_EXTRA_SPARK_OPTS": "--queue default",
        "KERNEL_LAUNCH_TIMEOUT": "1",
        "SPARK_OPTS": "--conf spark.yarn.queue=default",
        "HADOOP_USER_NAME": "alice",
    }
    kernel = platform.person("bob").start("python_yarn", env=forged)
    try:
        assert kernel.kernel_id != alices.kernel_id
        (application,) = wait_for(lambda: platform.running_applications(kernel.kernel_id), what="bob's application")
        assert application["user"] == "bob"
        assert application["queue"].endswith("notebooks")
        outputs, error = kernel.execute(
            "import getpass, os; print(os.environ.get('HADOOP_USER_NAME'), 'secret' in dir())"
        )
        assert error is None
        assert "alice" not in str(outputs)
        assert "False" in str(outputs)
    finally:
        kernel.delete()


def test_starting_in_somebody_elses_name_is_refused(platform, tokens):
    status, text = raw(
        platform,
        "POST",
        "/user/alice/api/kernels",
        {"Authorization": f"token {tokens['bob']}"},
        json.dumps({"name": "python_yarn"}),
    )
    assert status == 403
    assert json.loads(text)["code"] == "not-yours"


def test_bobs_notebook_server_is_bob_and_nobody_else(platform, alices):
    """Bob's server token, as any program in his notebook server can read it."""
    bob = platform.person("bob")
    url = bob.start_server()
    server = wait_for(lambda: server_process(platform, "bob"), what="bob's server process")
    token = server.environ()["JUPYTERHUB_API_TOKEN"]
    headers = {"Authorization": f"token {token}"}
    assert raw(platform, "GET", "/user/bob/api/kernels", headers)[0] == 200
    assert raw(platform, "GET", f"/user/alice/api/kernels/{alices.kernel_id}", headers)[0] == 403
    assert raw(platform, "GET", f"/user/bob/api/kernels/{alices.kernel_id}", headers)[0] == 404
    assert url


def test_after_all_that_alices_kernel_is_as_it_was(platform, alices):
    outputs, error = alices.execute("print(secret)")
    assert error is None
    assert "of alice" in str(outputs)


def test_an_administrators_token_with_the_scope_reaches_all(platform, alices):
    admin = platform.person("admin")
    plain, _ = admin.token()
    right, _ = admin.token(
        "access:services!service=gateway", "custom:kernels:admin", "read:users:groups!user", "read:users:name!user"
    )
    assert raw(platform, "GET", "/admin/api/kernels", {"Authorization": f"token {plain}"})[0] == 403
    status, text = raw(platform, "GET", "/admin/api/kernels", {"Authorization": f"token {right}"})
    assert status == 200
    assert {kernel["id"]: kernel["remote_kernel"]["owner"] for kernel in json.loads(text)}[alices.kernel_id] == "alice"
    status, _ = raw(platform, "GET", f"/user/alice/api/kernels/{alices.kernel_id}", {"Authorization": f"token {right}"})
    assert status == 200


def test_alice_cannot_get_the_administrators_scope(platform):
    answer = platform.person("alice").hub(
        "POST", "/users/alice/tokens", json={"scopes": ["custom:kernels:admin"], "note": "x"}
    )
    assert answer.status_code in {400, 403}
