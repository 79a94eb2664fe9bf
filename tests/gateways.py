"""More gateways beside the platform's own, limits for tests, and a stand-in for Enterprise Gateway."""

import asyncio
import json
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from hub_ext.database import Database
from hub_ext.limits.store import Edit, LimitStore, Subject
from tests.processes import service_process
from tests.support import TIMEOUT, wait_for


class Gateway:
    """A gateway process that a test has started."""

    def __init__(self, process, port, folder):
        self.process = process
        self.url = f"http://127.0.0.1:{port}/services/gateway"
        self.log = folder

    def is_ready(self):
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return requests.get(f"{self.url}/health", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def metric(self, name, **labels):
        """Return the value of a metric, 0 when it has none yet."""
        return metric(self.url, name, **labels)


def metric(gateway_url, name, **labels):
    wanted = "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else ""
    text = requests.get(f"{gateway_url}/metrics", timeout=TIMEOUT).text
    found = re.search(rf"^{re.escape(name + wanted)} (\S+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


@contextmanager
def another_gateway(platform, tmp_path, *options, database_url=""):
    """Start a gateway as the Hub does: the command, environment and token of the platform's own, on another port."""
    own = service_process(platform, "hub_gateway")
    environment = own.environ()
    replaced = {option.split("=")[0] for option in options}
    words = [word for word in own.cmdline() if word.split("=")[0] not in replaced]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment["JUPYTERHUB_SERVICE_URL"] = f"http://127.0.0.1:{port}"
    if database_url:
        environment["HUB_EXT_DATABASE_URL"] = database_url
    log = tmp_path / f"gateway-{port}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *words[words.index("-m") :], *options],
            env=environment,
            cwd=own.cwd(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    gateway = Gateway(process, port, log)
    try:
        wait_for(gateway.is_ready, 60, every=0.2, what="another gateway")
        yield gateway
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def database_of(platform):
    return f"sqlite:///{platform.folder / 'data' / 'remote-kernels.sqlite'}"


def set_limits(database_url, name, **values):
    """Give a user values of their own; None takes one away."""

    async def apply():
        database = Database(database_url)
        try:
            await LimitStore(database).apply([Edit(Subject("user", name), values)], who="test")
        finally:
            await database.close()

    asyncio.run(apply())


@contextmanager
def limits(platform, name, **values):
    """Give a user values of their own while the block runs."""
    set_limits(database_of(platform), name, **values)
    try:
        yield
    finally:
        set_limits(database_of(platform), name, **dict.fromkeys(values))


def rows(platform, where="1", *values):
    """Return rows of the kernels table, by id."""
    with closing(sqlite3.connect(platform.folder / "data" / "remote-kernels.sqlite", timeout=TIMEOUT)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(f"select * from kernels where {where}", values).fetchall()  # noqa: S608 (own text)
    return {row["id"]: dict(row) for row in found}


def write(platform, statement, *values):
    """Change the database behind the gateway's back."""
    path = platform.folder / "data" / "remote-kernels.sqlite"
    with closing(sqlite3.connect(path, timeout=TIMEOUT)) as connection, connection:
        connection.execute(statement, values)


def alive(platform, owner):
    return rows(platform, "owner = ? and state != 'ended'", owner)


class StandIn:
    """Answers as Enterprise Gateway does where the gateway asks it, and starts nothing.

    `takes` is how long a start takes, in seconds. `kernels` holds what it says it has.
    """

    KERNELSPEC = "stand_in"

    def __init__(self, takes=0.2, process_proxy="a.LocalProcessProxy"):
        self.takes = takes
        self.kernels = {}
        self.started, self.deleted = [], []
        block = {"type": "python", "size": {"driver_memory_mb": 640}, "queue": "notebooks", "visibility": "everyone"}
        metadata = {"process_proxy": {"class_name": process_proxy}, "remote_kernel": block}
        spec = {"display_name": "Stand-in", "language": "python", "argv": [], "env": {}, "metadata": metadata}
        self.catalogue = {
            "default": self.KERNELSPEC,
            "kernelspecs": {self.KERNELSPEC: {"name": self.KERNELSPEC, "spec": spec, "resources": {}}},
        }

    def model(self, kernel_id):
        return {
            "id": kernel_id,
            "name": self.KERNELSPEC,
            "execution_state": "idle",
            "last_activity": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()),
            "connections": 0,
        }

    def start(self, body):
        kernel_id = body["env"]["KERNEL_ID"]
        time.sleep(self.takes)
        self.kernels[kernel_id] = self.model(kernel_id)
        self.started.append(body)
        return self.kernels[kernel_id]

    def delete(self, kernel_id):
        self.deleted.append(kernel_id)
        return self.kernels.pop(kernel_id, None)

    @contextmanager
    def listening(self):
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status, value):
                body = json.dumps(value).encode() if status != 204 else b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                known = {
                    "/api": {"version": "stand-in"},
                    "/api/kernelspecs": stand_in.catalogue,
                    "/api/kernels": list(stand_in.kernels.values()),
                }
                self.answer(200, known[self.path])

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(201, stand_in.start(body))

            def do_DELETE(self):
                there = stand_in.delete(self.path.rsplit("/", 1)[1])
                self.answer(204 if there else 404, {"message": "no such kernel"})

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 256

        server = Server(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        # A gateway that is killed hangs up.
        server.handle_error = lambda *_: None
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def start_directly(platform, user, kernelspec="python_yarn"):
    """Start a kernel at Enterprise Gateway itself, past the gateway; return its id."""
    kernel_id = str(uuid.uuid4())
    answer = at_enterprise_gateway(
        platform,
        "POST",
        "",
        json={"name": kernelspec, "env": {"KERNEL_ID": kernel_id, "KERNEL_USERNAME": user}},
    )
    assert answer.status_code == 201, answer.text
    return kernel_id


def at_enterprise_gateway(platform, method, path, **more):
    token = (platform.folder / "run" / "enterprise-gateway-token").read_text().strip()
    return requests.request(
        method,
        f"http://127.0.0.1:{platform.ports.enterprise_gateway}/api/kernels{path}",
        headers={"Authorization": f"token {token}"},
        timeout=120,
        **more,
    )
