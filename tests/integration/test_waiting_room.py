"""A kernel that is still starting, as its clients meet it, on the real parts."""

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager

import psutil
import pytest
import requests
import websocket

from tests.integration.kernel_client import KernelClient
from tests.integration.test_gateway_faults import stopped_queue
from tests.integration.test_refusals import NO_LIMITS, set_limits
from tests.processes import server_process
from tests.support import end_kernels, wait_for


@contextmanager
def full_cluster(platform):
    """Let somebody hold all the room there is, until the returned function is called."""
    set_limits(platform, NO_LIMITS, "bob")
    spec = platform.add_kernelspec("holder", "Holder", driver_memory_mb=5440, executors=1, executor_memory_mb=5440)
    holder = platform.person("bob").client()
    try:
        holder.start("holder")
        holder.run("print(sc.applicationId)", timeout=120)
        wait_for(lambda: platform.rm("/metrics")["clusterMetrics"]["availableMB"] < 1024, 60, what="a full cluster")
        yield holder.delete
    finally:
        holder.delete()
        spec.remove()
        set_limits(platform, dict.fromkeys(NO_LIMITS), "bob")


def hasty(platform, person):
    """Return a client that does not ask to wait for its start, as JupyterLab does not."""
    token, _ = person.token()
    return KernelClient(f"{platform.gateway}/user/{person.name}", {"Authorization": f"token {token}"})


def another(client):
    """Return a second client of the same kernel: another tab."""
    second = KernelClient(client.base_url, client.headers)
    second.kernel_id = client.kernel_id
    return second


def shown(client, cell, until, seconds=60):
    """Read what a cell shows until it contains a word; return that line."""
    deadline = time.monotonic() + seconds
    while True:
        message = client._receive(deadline)
        if message["parent_header"].get("msg_id") == cell and "data" in message["content"]:
            line = message["content"]["data"]["text/plain"]
            if until in line:
                return line


def printed_by(client, *cells):
    """Return what cells print that run one right after the other: the last words of one may come after the next's."""
    deadline, printed = time.monotonic() + 120, dict.fromkeys(cells, "")
    missing = {(cell, last) for cell in cells for last in ("idle", "reply")}
    while missing:
        message = client._receive(deadline)
        cell, content = message["parent_header"].get("msg_id"), message["content"]
        if cell not in printed:
            continue  # another tab's
        if message["msg_type"] == "stream" and content["name"] == "stdout":
            printed[cell] += content["text"]
        elif content.get("execution_state") == "idle":
            missing.discard((cell, "idle"))
        elif message["msg_type"] == "execute_reply":
            assert content["status"] == "ok", content
            missing.discard((cell, "reply"))
    return [printed[cell] for cell in cells]


def model_of(client):
    return client.request("GET", f"kernels/{client.kernel_id}").json()


def test_cells_wait_for_room_with_a_word_and_run_in_order_when_it_is_there(platform, alice):
    end_kernels(alice)
    client = hasty(platform, alice)
    with full_cluster(platform) as give_room:
        began = time.monotonic()
        client.start("python_yarn")
        client.wait_idle()
        assert time.monotonic() - began < 20  # the kernel itself would never come
        first, second = client.send("order = ['first']; print('one')"), client.send("order.append('second')")
        line = shown(client, first, "accepted in queue notebooks")
        assert "% used), nobody ahead of you" in line
        assert line.startswith("Starting in YARN: ")

        model = model_of(client)
        assert model["execution_state"] == "starting"
        assert model["remote_kernel"]["start"]["phase"] == "accepted"
        assert [one["id"] for one in alice.kernels()] == [client.kernel_id]
        page = alice.session.get(f"{platform.url}/services/portal/my-kernels", timeout=60).text
        assert "accepted in queue notebooks" in page

        # Somebody else's websocket is as closed as any.
        stranger = hasty(platform, platform.person("bob"))
        stranger.kernel_id = client.kernel_id
        with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
            stranger.connect()

        tab, gone = another(client), another(client)
        # Tabs have no order among them, and a cell that fails takes those along that wait behind it, whoever's.
        third = tab.send("print('tab')")
        gone.send("left = 'behind'")
        gone.close()
        # The connection breaks, and the same client comes back to its cells.
        client._socket.sock.close()
        client._socket = None
        client.connect()
        shown(client, first, "accepted in queue")
        give_room()
        assert printed_by(client, first, second) == ["one\n", ""]
        told = tab.collect(third, 60)
    assert (told.text, told.error) == ("tab\n", None)
    assert client.run("print(*order)").split() == ["first", "second"]
    assert wait_for(lambda: client.run("print(globals().get('left'))").strip() == "behind", 30)
    assert model_of(client)["remote_kernel"]["start"] is None
    client.delete()
    tab.close()


def test_a_notebook_server_that_is_killed_while_its_kernel_starts_finds_it_starting(platform, alice):
    end_kernels(alice)
    alice.stop_server()
    with full_cluster(platform) as give_room:
        before = alice.start_from_server("python_yarn")
        shown(before, before.send("before = 'ran'"), "accepted in queue")
        process = server_process(platform, "alice")
        process.kill()
        wait_for(lambda: not psutil.pid_exists(process.pid), 60, what="the end of the notebook server")
        alice.start_server()
        # Another server has another token, and Jupyter knows a kernel that it has listed.
        after = another(before)
        (model,) = after.request("GET", "kernels").json()
        assert (model["id"], model["execution_state"]) == (before.kernel_id, "starting")
        cell = after.send("print('after')")
        assert "nobody ahead of you" in shown(after, cell, "accepted in queue")
        give_room()
        assert printed_by(after, cell) == ["after\n"]
    # For the gateway these are two clients, as two tabs are, and have no order between them.
    assert wait_for(lambda: after.run("print(globals().get('before'))").strip() == "ran", 30, what="the first cell")
    after.delete()
    alice.stop_server()


def test_an_interrupt_cancels_the_start_and_a_restart_begins_it_anew(platform, alice):
    end_kernels(alice)
    client = hasty(platform, alice)
    client.start("python_yarn")
    cell = client.send("print('never')")
    client.interrupt()
    output = client.collect(cell, 60)
    assert output.error == "KernelStartError: Its start was ended: interrupted while it was starting."
    assert "Restart the kernel" in output.traceback
    # It stays listed while its client is there, or JupyterLab would forget the cell before it is told.
    (model,) = alice.kernels()
    assert (model["execution_state"], model["remote_kernel"]["start"]["phase"]) == ("dead", "failed")
    wait_for(lambda: not platform.running_applications(), 30, what="the application's end")
    assert platform.registered()[client.kernel_id] == ("ended", "interrupted while it was starting")
    # Who comes late is told, too.
    late = another(client)
    assert "interrupted" in late.execute("1")[1]
    late.close()
    client.restart()
    assert client.run("print(6 * 7)", timeout=120).strip() == "42"
    client.delete()


def test_a_restart_while_it_starts_drops_what_waits_and_a_stop_ends_it(platform, alice):
    client = hasty(platform, alice)
    client.start("python_yarn")
    client.send("dropped = True")
    client.restart()
    assert client.run("print('dropped' in globals())", timeout=120).strip() == "False"
    client.delete()
    client = hasty(platform, alice)
    client.start("python_yarn")
    cell = client.send("1")
    socket, client._socket = client._socket, None
    client.delete()
    client._socket = socket
    assert "stopped by its owner" in client.collect(cell, 60).error
    assert alice.kernels() == []
    client.close()
    wait_for(lambda: not platform.running_applications(), 30, what="the application's end")


def test_a_start_that_fails_later_says_in_the_cell_why_and_what_would_work(platform, alice):
    spec = platform.add_kernelspec("stopped_later", "Stopped later", queue="default", executors=0)
    client = hasty(platform, alice)
    try:
        with stopped_queue(platform, "root.default"):
            client.start("stopped_later")
            output = client.collect(client.send("1"), 60)
            assert "default is stopped and takes no applications." in output.error
            assert "Hadoop administrator" in output.traceback
            assert model_of(client)["execution_state"] == "dead"
            again = client.request("POST", f"kernels/{client.kernel_id}/restart")
            assert again.status_code in (200, 409)
        client.close()
        wait_for(lambda: client.request("POST", f"kernels/{client.kernel_id}/restart").ok, 60, every=2)
        assert client.run("print(6 * 7)", timeout=120).strip() == "42"
        client.delete()
    finally:
        spec.remove()


NBCLIENT = """
import functools, json, os, sys
import nbformat, websocket
from nbclient import NotebookClient
from jupyter_server.gateway import managers

# Its client of gateways sends no token with the websocket.
header = ["Authorization: token " + os.environ["JUPYTER_GATEWAY_AUTH_TOKEN"]]
managers.websocket.create_connection = functools.partial(websocket.create_connection, header=header)
cells = [nbformat.v4.new_code_cell(code) for code in ("x = 6", "print(x * 7)", "x")]
client = NotebookClient(
    nbformat.v4.new_notebook(cells=cells),
    timeout=200,
    kernel_manager_class="jupyter_server.gateway.managers.GatewayKernelManager",
)
client.execute(kernel_name="python_yarn")
print(json.dumps([cell.outputs for cell in client.nb.cells]))
"""


def test_nbclient_runs_a_notebook_and_keeps_no_word_about_the_wait(platform, alice, tmp_path):
    token, _ = alice.token()
    url = f"{platform.gateway}/user/alice"
    environment = {
        **os.environ,
        "JUPYTER_GATEWAY_URL": url,
        "JUPYTER_GATEWAY_WS_URL": url.replace("http", "ws", 1),
        "JUPYTER_GATEWAY_AUTH_TOKEN": token,
    }
    done = subprocess.run(
        [sys.executable, "-c", NBCLIENT], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second, third = json.loads(done.stdout.splitlines()[-1])
    assert first == []
    assert [one["text"] for one in second] == ["42\n"]
    assert [one["data"]["text/plain"] for one in third] == ["6"]
    end_kernels(alice)


def test_a_start_can_be_waited_for_by_whoever_prefers_that(platform, alice):
    token, _ = alice.token()
    url = f"{platform.gateway}/user/alice/api/kernels"
    headers = {"Authorization": f"token {token}", "Prefer": "wait=200"}
    answer = requests.post(url, headers=headers, json={"name": "python_yarn"}, timeout=220)
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "wait=200"
    kernel = answer.json()
    assert kernel["remote_kernel"]["start"] is None
    assert requests.delete(f"{url}/{kernel['id']}", headers=headers, timeout=60).status_code == 204


@pytest.mark.parametrize("path", ["", "/channels"])
def test_a_kernel_that_never_was_is_not_waited_for(platform, alice, path):
    token, _ = alice.token()
    url = f"{platform.gateway}/user/alice/api/kernels/{uuid.uuid4()}{path}"
    if path:
        with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
            websocket.create_connection(url.replace("http", "ws", 1), header=[f"Authorization: token {token}"])
    else:
        assert requests.get(url, headers={"Authorization": f"token {token}"}, timeout=30).status_code == 404
