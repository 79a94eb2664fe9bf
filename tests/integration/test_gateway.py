"""The gateway on the real chain: Hub, Enterprise Gateway, YARN."""

import json
import os
import signal
import time

import pytest
import requests
import websocket

from tests.processes import matching, secrets_of, server_process
from tests.support import bearer, wait_for


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


def test_no_secret_is_in_a_log_or_a_process_argument(platform, alice):
    """Looked for while a notebook server has a kernel, so that what it writes about its start is there too."""
    kernel = alice.start_from_server("python_yarn")
    try:
        kernel.wait_idle()
        server = server_process(platform, "alice")
        secrets = secrets_of(platform)
        assert server.environ()["JUPYTERHUB_API_TOKEN"] in secrets
        assert kernel.headers["Authorization"].removeprefix("token ") in secrets
        logs = [path for path in platform.folder.rglob("*") if path.is_file() and is_log(path)]
        texts = {path: path.read_text(errors="replace") for path in logs}
        assert any(kernel.kernel_id in text for path, text in texts.items() if path.name == "hub.log")
        for path, text in texts.items():
            assert not [secret for secret in secrets if secret in text], path
        for arguments in matching_arguments(platform):
            assert not [secret for secret in secrets if secret in arguments], arguments.split(" ", 1)[0]
    finally:
        kernel.delete()
        alice.stop_server()


def is_log(path):
    return path.suffix in {".log", ".out", ".err"} or "logs" in path.parts


def matching_arguments(platform):
    """Return every process's arguments."""
    found = []
    matching(platform, lambda one: found.append(" ".join(one.cmdline())))
    return found


def test_health_answers_without_login(platform):
    health = requests.get(f"{platform.gateway}/health", timeout=30)
    assert health.status_code == 200
    names = [check["name"] for check in json.loads(health.text)["checks"]]
    assert names == ["database", "caretaker", "hub", "enterprise-gateway", "edge"]
    assert requests.get(f"{platform.gateway}/health/live", timeout=30).json() == {"ok": True}
    metrics = requests.get(f"{platform.gateway}/metrics", timeout=30).text
    assert "hub_gateway_kernel_starts_total" in metrics
