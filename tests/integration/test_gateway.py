"""The gateway on the real chain: Hub, Enterprise Gateway, YARN."""

import json
import os
import signal
import socket
import time
from urllib.parse import urlparse

import psutil
import pytest
import requests
import websocket

from tests.support import wait_for


def bearer(token):
    return {"Authorization": f"token {token}"}


@pytest.fixture(scope="module")
def alice(platform):
    return platform.person("alice")


@pytest.fixture(scope="module")
def kernel(alice):
    started = alice.start("spark_python")
    yield started
    started.delete()


def test_the_catalogue_has_the_ready_made_kernels_and_hides_the_edge_nodes_paths(platform, alice):
    token, _ = alice.token()
    answer = requests.get(f"{platform.gateway}/user/alice/api/kernelspecs", headers=bearer(token), timeout=30)
    specs = answer.json()["kernelspecs"]
    assert {"spark_python", "python_yarn"} <= set(specs)
    assert specs["spark_python"]["spec"]["display_name"] == "Spark (Python)"
    assert specs["spark_python"]["spec"]["argv"] == []
    assert str(platform.folder) not in answer.text
    one = requests.get(f"{platform.gateway}/user/alice/api/kernelspecs/spark_python", headers=bearer(token), timeout=30)
    assert one.json()["name"] == "spark_python"
    logo = next(value for key, value in specs["spark_python"]["resources"].items() if key.startswith("logo"))
    picture = requests.get(f"{platform.gateway}/user/alice{logo}", headers=bearer(token), timeout=30)
    assert picture.status_code == 200
    assert picture.headers["Content-Type"].startswith("image/")
    for hidden in ("kernel.json", "..%2fkernel.json", "%2e%2e"):
        answer = requests.get(
            f"{platform.gateway}/user/alice/kernelspecs/spark_python/{hidden}", headers=bearer(token), timeout=30
        )
        assert answer.status_code == 404


def test_a_kernel_is_an_application_of_its_owner_with_its_id_as_tag(platform, kernel):
    (application,) = platform.running_applications(kernel.kernel_id)
    assert application["user"] == "alice"
    assert application["applicationTags"] == kernel.kernel_id
    outputs, error = kernel.execute("print(spark.range(1000).count(), sc.applicationId)", timeout=120)
    assert error is None
    assert "1000" in str(outputs)
    assert application["id"] in str(outputs)


def test_no_token_is_in_the_kernels_environment(platform, kernel):
    outputs, error = kernel.execute("import os; print(dict(os.environ))")
    assert error is None
    for secret in secrets_of(platform):
        assert secret not in str(outputs)
    assert "JUPYTERHUB" not in str(outputs)
    names, _ = kernel.execute("print([name for name in os.environ if 'TOKEN' in name.upper()])")
    # YARN's own: the path of a file that belongs to this application.
    assert names.text.strip() == "['HADOOP_TOKEN_FILE_LOCATION']"


def test_a_large_output_passes_at_flat_memory(platform, kernel):
    gateway = service_process(platform, "hub_gateway")
    kernel.execute("from IPython.display import display_pretty")
    before = gateway.memory_info().rss
    peak = before
    _, error = kernel.execute("for i in range(60):\n    print('x' * 1_000_000)\n", timeout=120)
    peak = max(peak, gateway.memory_info().rss)
    assert error is None
    assert peak - before < 40 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nosuch", "no-such-kernelspec"),
        ("../spark_python", "no-such-kernelspec"),
        ("..", "no-such-kernelspec"),
        ("/etc/passwd", "no-such-kernelspec"),
        ("spark_python\n", "no-such-kernelspec"),
        ("x" * 5000, "no-such-kernelspec"),
        ({"a": 1}, "bad-request"),
        (7, "bad-request"),
    ],
)
def test_a_kernel_name_that_is_none_is_refused_with_a_sentence(platform, alice, name, code):
    token, _ = alice.token()
    answer = requests.post(
        f"{platform.gateway}/user/alice/api/kernels", headers=bearer(token), json={"name": name}, timeout=30
    )
    assert answer.json()["code"] == code
    assert answer.json()["message"].startswith("\n\n")
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(platform, alice, body):
    token, _ = alice.token()
    answer = requests.post(f"{platform.gateway}/user/alice/api/kernels", headers=bearer(token), data=body, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


def test_a_body_of_100_mb_is_refused_and_not_kept(platform, alice):
    token, _ = alice.token()
    gateway = service_process(platform, "hub_gateway")
    before = gateway.memory_info().rss
    answer = requests.post(
        f"{platform.gateway}/user/alice/api/kernels",
        headers=bearer(token),
        data=b"x" * (100 * 1024 * 1024),
        timeout=60,
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")
    assert gateway.memory_info().rss - before < 40 * 1024 * 1024


@pytest.mark.parametrize("path", ["/api/sessions", "/api/sessions/x", "/api/sessions/x/y"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_sessions_are_closed(platform, alice, path, method):
    token, _ = alice.token()
    answer = requests.request(
        method, f"{platform.gateway}/user/alice{path}", headers=bearer(token), json={}, timeout=30
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "sessions-closed")


@pytest.mark.parametrize("missing", ["Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"])
def test_half_a_handshake_gets_an_answer(platform, alice, kernel, missing):
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **bearer(alice.token()[0]),
    }
    del headers[missing]
    answer = requests.get(
        f"{platform.gateway}/user/alice/api/kernels/{kernel.kernel_id}/channels", headers=headers, timeout=30
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "not-a-websocket")


def test_a_request_that_stalls_in_its_head_is_closed(platform):
    address = urlparse(platform.gateway)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(b"GET /services/gateway/user/alice/api/kernels HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()
        assert connection.recv(100) == b""
        assert time.monotonic() - began < 20 + 10  # header_timeout of the tests' platform, and a busy machine


def test_a_revoked_token_ends_its_socket_and_its_requests(platform, alice, kernel):
    token, token_id = alice.token()
    url = (
        platform.gateway.replace("http", "ws", 1) + f"/user/alice/api/kernels/{kernel.kernel_id}/channels?session_id=r"
    )
    connection = websocket.create_connection(url, header=bearer(token), timeout=20)
    assert alice.hub("DELETE", f"/users/alice/tokens/{token_id}").status_code == 204

    def closed():
        try:
            return connection.recv() == ""
        except (websocket.WebSocketException, OSError):
            return True

    began = time.monotonic()
    wait_for(closed, 20, every=0, what="the socket's end")
    assert time.monotonic() - began < 15
    answer = requests.get(f"{platform.gateway}/user/alice/api/kernels", headers=bearer(token), timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (401, "login-expired")
    assert "token was revoked" in answer.json()["text"]


def test_a_client_that_goes_away_during_the_start_leaves_nothing(platform, alice):
    token, _ = alice.token()
    before = {app["id"] for app in platform.applications()}
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(
            f"{platform.gateway}/user/alice/api/kernels",
            headers=bearer(token),
            json={"name": "python_yarn"},
            timeout=(5, 1.0),
        )
    time.sleep(20)
    wait_for(
        lambda: not [app for app in platform.running_applications() if app["id"] not in before],
        60,
        what="the end of the application nobody waits for",
    )
    known = alice.kernels()
    assert all(one["id"] in {app["applicationTags"] for app in platform.applications()} for one in known)


def test_a_dead_notebook_server_frees_its_kernels(platform):
    bob = platform.person("bob")
    url = bob.start_server()
    server = bob.session.get(f"{platform.url}{url}api/status", timeout=30)
    assert server.status_code in {200, 403}
    process = wait_for(lambda: server_process(platform, "bob"), what="bob's notebook server")
    token = process.environ()["JUPYTERHUB_API_TOKEN"]
    kernel = bob.start("python_yarn", token=token)
    (application,) = platform.running_applications(kernel.kernel_id)
    assert application["user"] == "bob"
    os.kill(process.pid, signal.SIGKILL)
    wait_for(
        lambda: not platform.running_applications(kernel.kernel_id), 120, what="the end of the dead server's kernel"
    )


def test_enterprise_gateway_down_is_said_and_comes_back(platform, alice):
    token, _ = alice.token()
    process = service_process(platform, "jeg_plugin")
    process.kill()
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 20, every=0.05)
    answer = requests.post(
        f"{platform.gateway}/user/alice/api/kernels", headers=bearer(token), json={"name": "python_yarn"}, timeout=60
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "enterprise-gateway-unreachable")
    assert "does not answer" in answer.json()["text"]
    wait_for(
        lambda: requests.get(f"{platform.gateway}/user/alice/api/kernelspecs", headers=bearer(token), timeout=30).ok,
        60,
        what="Enterprise Gateway's return",
    )


def test_a_kernel_survives_enterprise_gateways_death(platform, alice):
    kernel = alice.start("python_yarn")
    kernel.execute("kept = 42")
    kernel.close()
    service_process(platform, "jeg_plugin").kill()
    wait_for(lambda: kernel.kernel_id in [one["id"] for one in listed(alice)], 60, what="the kernel's return")
    outputs, error = kernel.execute("print(kept)", timeout=60)
    assert error is None
    assert "42" in str(outputs)
    kernel.delete()
    wait_for(lambda: not platform.running_applications(kernel.kernel_id), 30, what="the application's end")


def listed(person):
    try:
        return person.kernels()
    except requests.RequestException:
        return []


def test_yarn_down_is_said_and_nothing_is_left_running(platform, alice):
    token, _ = alice.token()
    manager = service_process(platform, "resourcemanager.ResourceManager")
    try:
        manager.kill()
        answer = requests.post(
            f"{platform.gateway}/user/alice/api/kernels",
            headers=bearer(token),
            json={"name": "python_yarn"},
            timeout=180,
        )
    finally:
        wait_for(lambda: rm_nodes(platform) == 2, 120, what="the ResourceManager's return")
    assert (answer.status_code, answer.json()["code"]) == (503, "resource-manager-unreachable")
    assert "ResourceManager does not answer" in answer.json()["text"]
    assert "Traceback" not in answer.text
    assert not platform.running_applications()
    kernel = alice.start("python_yarn")
    assert platform.running_applications(kernel.kernel_id)
    kernel.delete()


def rm_nodes(platform):
    try:
        return platform.rm("/metrics")["clusterMetrics"]["activeNodes"]
    except requests.RequestException:
        return 0


def test_no_secret_is_in_a_log_or_a_process_argument(platform):
    secrets = secrets_of(platform)
    assert len(secrets) >= 2
    for path in platform.folder.rglob("*"):
        if path.is_file() and (path.suffix in {".log", ".out", ".err"} or "logs" in path.parts):
            text = path.read_text(errors="replace")
            assert not [secret for secret in secrets if secret in text], path
    for process in psutil.Process(platform.process.pid).children(recursive=True):
        try:
            arguments = " ".join(process.cmdline())
        except psutil.Error:
            continue
        assert not [secret for secret in secrets if secret in arguments], process


def secrets_of(platform):
    """Every secret there is: those of the platform, and those of the notebook servers that run."""
    found = {path.read_text().strip() for path in (platform.folder / "run").glob("*token*")}
    for process in psutil.Process(platform.process.pid).children(recursive=True):
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        found.update(
            value for name, value in environment.items() if name in {"JUPYTERHUB_API_TOKEN", "CONFIGPROXY_AUTH_TOKEN"}
        )
    return {secret for secret in found if len(secret) > 15}


def service_process(platform, words):
    for process in psutil.Process(platform.process.pid).children(recursive=True):
        try:
            if any(words in part for part in process.cmdline()) and "setpriv" not in process.name():
                return process
        except psutil.Error:
            continue
    raise AssertionError(f"no process of {words}")


def server_process(platform, name):
    for process in psutil.Process(platform.process.pid).children(recursive=True):
        try:
            if process.environ().get("JUPYTERHUB_USER") == name and "jupyterhub-singleuser" in " ".join(
                process.cmdline()
            ):
                return process
        except psutil.Error:
            continue
    return None


def test_health_and_metrics_answer_without_login(platform):
    health = requests.get(f"{platform.gateway}/health", timeout=30)
    assert health.status_code == 200
    assert {check["name"] for check in json.loads(health.text)["checks"]} == {"database", "enterprise-gateway", "edge"}
    metrics = requests.get(f"{platform.gateway}/metrics", timeout=30).text
    assert "hub_gateway_kernel_starts_total" in metrics
