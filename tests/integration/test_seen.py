"""What an administrator sees of a kernel: its story in the logs of everything that has to do with it; the numbers."""

import re

import pytest
import requests

from tests.processes import secrets_of
from tests.support import wait_for

START, STOP = "the_start-of_a_story", "the_end-of_a_story"
#: What each log has to tell, in this order.
TOLD = {
    "hub.log": (
        "Kernel admitted:",
        "Kernel submitted:",
        "Kernel connected:",
        "Kernel socket opened",
        "Stopping kernel=",
    ),
    "enterprise_gateway.log": (
        "Kernel submitted: application=",
        "Kernel accepted",
        "Kernel connected:",
        "Kernel ended:",
    ),
    "edge.log": ("Application in YARN is ", "Application in YARN has ended:"),
    "stdout": ("Driver runs:", "Driver connected"),
}


def logs_of(platform):
    """Return every log's text: those of the processes, and those of the containers."""
    folders = [platform.folder / "logs", *(platform.folder / "hadoop").glob("*/logs")]
    return {
        path: path.read_text(errors="replace") for folder in folders for path in folder.rglob("*") if path.is_file()
    }


def lines_with(platform, word):
    """Do what ``grep -r WORD`` does: lines by the file's name."""
    found = {}
    for path, text in logs_of(platform).items():
        lines = [line for line in text.splitlines() if word in line]
        if lines:
            found.setdefault(path.name, []).extend(lines)
    return found


@pytest.fixture(scope="module")
def story(platform, alice):
    """A kernel that has lived; what the logs have of its id."""
    client = alice.client()
    client.headers["X-Request-ID"] = START
    client.start("spark_python")
    assert client.run("print(6 * 7, spark.range(10).count())", timeout=120).split() == ["42", "10"]
    client.headers["X-Request-ID"] = STOP
    client.delete()

    def told():
        found = lines_with(platform, client.kernel_id)
        last = {name: words[-1] for name, words in TOLD.items()}
        return found if all(any(word in line for line in found.get(name, ())) for name, word in last.items()) else None

    return client.kernel_id, wait_for(told, 60, what="the whole story in the logs")


@pytest.mark.parametrize("name", TOLD)
def test_one_search_for_a_kernel_tells_its_story(story, name):
    kernel_id, lines = story
    told = iter(lines[name])
    for word in TOLD[name]:
        assert any(word in line for line in told), f"{word!r} is not told in its turn: {lines[name]}"
    ours = [line for line in lines[name] if any(word in line for word in TOLD[name])]
    assert all(f"kernel={kernel_id}" in line and "user=alice" in line for line in ours)


def test_one_search_for_a_request_tells_what_it_did(platform, story):
    kernel_id, _ = story
    started, stopped = lines_with(platform, f"request={START}"), lines_with(platform, f"request={STOP}")
    assert {"hub.log", "enterprise_gateway.log", "stdout"} <= set(started)
    assert any("Kernel admitted:" in line for line in started["hub.log"])
    assert any("Launcher:" in line or "Kernel submitted:" in line for line in started["enterprise_gateway.log"])
    assert all(f"kernel={kernel_id}" in line for line in started["stdout"])
    assert any(f"DELETE /api/kernels/{kernel_id} 204" in line for line in stopped["enterprise_gateway.log"])
    assert any("Stopping kernel=" in line for line in stopped["hub.log"])


def test_what_a_client_sends_forges_no_line_and_no_secret_is_told(platform, alice):
    client = alice.client()
    client.headers["X-Request-ID"] = "forged kernel=other user=mallory"
    answer = client.request("GET", "kernels")
    made = answer.headers["X-Request-ID"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", made)
    wait_for(lambda: lines_with(platform, f"request={made}"), 30, what="the request in the log")
    secrets = secrets_of(platform)
    for path, text in logs_of(platform).items():
        assert "mallory" not in text, path.name
        assert not [secret for secret in secrets if secret in text], path.name


def test_every_service_tells_its_health_and_its_numbers(platform):
    ports = platform.ports
    token = (platform.folder / "run" / "enterprise-gateway-token").read_text().strip()
    portal, edge = f"{platform.url}/services/portal", f"http://127.0.0.1:{ports.edge}"
    enterprise_gateway = f"http://127.0.0.1:{ports.enterprise_gateway}"
    for url in (platform.gateway, portal, edge, enterprise_gateway):
        health = requests.get(f"{url}/health", timeout=30)
        assert (health.status_code, health.json()["ok"]) == (200, True), health.text
        assert [one["name"] for one in health.json()["checks"] if not one["ok"]] == []
        assert requests.get(f"{url}/health/live", timeout=30).json() == {"ok": True}
        assert "127.0.0.1" not in health.text
    # Of these two the test platform leaves it open.
    for url, name in ((platform.gateway, "hub_gateway_kernel_starts_total"), (portal, "hub_ext_request_seconds_count")):
        assert name in requests.get(f"{url}/metrics", timeout=30).text
    for url in (edge, enterprise_gateway):
        assert requests.get(f"{url}/metrics", timeout=30).status_code == 401
    numbers = requests.get(f"{enterprise_gateway}/metrics", headers={"Authorization": f"token {token}"}, timeout=30)
    assert 'jeg_plugin_starts_total{outcome="connected"}' in numbers.text
