"""The real Jupyter Server, with our extension and without it, in front of a gateway that refuses."""

import json
import logging
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest
import requests

from hub_ext.errors import PublicError, as_json
from hub_ext.singleuser import Refusal, mend_refusals, refusal_behind
from tests.conftest import free_port
from tests.support import wait_for

REFUSED = PublicError(
    "not-yours",
    "You asked for 2 GB, 97 % of what you may use is in use.",
    details=["A second line with äöü and <b>."],
    remedy="Stop a kernel, then try again.",
)
#: What a gateway other than ours answers.
FOREIGN = {"message": "Kernel could not be started", "reason": "Internal Error"}
#: They only take time here.
UNNEEDED = {"jupyterlab": False, "jupyter_lsp": False, "notebook_shim": False, "jupyter_server_terminals": False}


class Gateway(BaseHTTPRequestHandler):
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self):
        self.answer(200, [] if self.path.endswith("kernels") else {"default": "ours", "kernelspecs": {}})

    def do_POST(self):
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["name"]
        self.answer(*((403, as_json(REFUSED)) if name == "ours" else (500, FOREIGN)))

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def notebook_servers(tmp_path_factory):
    """Two of them: with the extension and without it."""
    gateway = HTTPServer(("127.0.0.1", 0), Gateway)
    Thread(target=gateway.serve_forever, args=(0.01,), daemon=True).start()
    ports = {extension: free_port() for extension in (True, False)}
    running = []
    for extension, port in ports.items():
        folder = tmp_path_factory.mktemp("server")
        command = [
            *(sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", f"--port={port}"),
            *("--ip=127.0.0.1", "--IdentityProvider.token=letmein", "--ServerApp.log_level=ERROR"),
            f"--ServerApp.root_dir={folder}",
            f"--GatewayClient.url=http://127.0.0.1:{gateway.server_port}",
            f"--ServerApp.jpserver_extensions={UNNEEDED | {'hub_ext.singleuser': extension}}",
        ]
        environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
        running.append(subprocess.Popen(command, cwd=folder, env=environment))
    for port in ports.values():
        wait_for(lambda port=port: answers(port), 30, every=0.1, what="the notebook server")
    yield ports
    for process in running:
        process.terminate()
    for process in running:
        process.wait(20)
    gateway.shutdown()
    gateway.server_close()


def answers(port):
    try:
        return requests.get(f"http://127.0.0.1:{port}/api", timeout=5).ok
    except requests.ConnectionError:
        return False


def start(port, way, kernelspec="ours"):
    """Ask for a kernel as JupyterLab does for a notebook, or as programs do."""
    session = {"path": "x.ipynb", "type": "notebook", "name": "", "kernel": {"name": kernelspec}}
    return requests.post(
        f"http://127.0.0.1:{port}/api/{way}",
        headers={"Authorization": "token letmein"},
        json=session if way == "sessions" else {"name": kernelspec},
        timeout=20,
    )


CLEAN = (
    "You asked for 2 GB, 97 % of what you may use is in use.\n"
    "A second line with äöü and <b>.\n"
    "Stop a kernel, then try again."
)


@pytest.mark.parametrize("way", ["sessions", "kernels"])
def test_a_refusal_arrives_as_it_was_written(notebook_servers, way):
    answer = start(notebook_servers[True], way)
    assert answer.status_code == 403
    assert answer.json() == {"message": CLEAN, "reason": "not-yours", "traceback": ""}


def test_without_the_extension_every_line_is_there_between_the_servers_words(notebook_servers):
    answer = start(notebook_servers[False], "sessions")
    lines = answer.json()["message"].splitlines()
    assert lines[0].startswith("HTTP 403: Forbidden (Error from Gateway: [")
    # Jupyter Server doubles a per cent sign on this way.
    assert lines[2:5] == [line.replace("%", "%%") for line in CLEAN.splitlines()]


def test_without_the_extension_the_text_is_lost_where_jupyter_server_loses_it(notebook_servers):
    """If this fails, Jupyter Server has mended it."""
    answer = start(notebook_servers[False], "kernels")
    assert (answer.status_code, "%s" in answer.json()["message"]) == (403, True)


@pytest.mark.parametrize("way", ["sessions", "kernels"])
def test_what_another_gateway_answers_is_left_to_jupyter_server(notebook_servers, way):
    with_it, without = (start(notebook_servers[extension], way, "foreign") for extension in (True, False))
    assert (with_it.status_code, with_it.json()["message"]) == (without.status_code, without.json()["message"])


def test_an_error_that_has_nothing_to_do_with_the_gateway_is_left_alone(notebook_servers):
    url = f"http://127.0.0.1:{notebook_servers[True]}/api/sessions"
    answer = requests.post(url, headers={"Authorization": "token letmein"}, json={"type": "notebook"}, timeout=20)
    assert (answer.status_code, answer.json()) == (400, {"message": "Missing field in JSON data: path", "reason": None})


def error_with(body, status=403):
    inner = Exception("inner")
    inner.response = SimpleNamespace(code=status, body=body)
    outer = Exception("outer")
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, None),
        (Exception("no response"), None),
        (error_with(None), None),
        (error_with(b""), None),
        (error_with(b"\xff"), None),
        (error_with(b"[1]"), None),
        (error_with(b'{"message": "without a code"}'), None),
        (error_with(b'{"code": "x", "message": "\\n\\nText\\n"}', 409), Refusal(409, "x", "Text")),
    ],
)
def test_only_an_answer_of_our_gateway_is_a_refusal(error, expected):
    assert refusal_behind(error) == expected


def test_a_jupyter_server_of_another_shape_is_left_as_it_is(monkeypatch, caplog):
    monkeypatch.delattr("jupyter_server.base.handlers.APIHandler")
    mend_refusals(SimpleNamespace(log=logging.getLogger("server")))
    assert "keep Jupyter Server's words" in caplog.text
