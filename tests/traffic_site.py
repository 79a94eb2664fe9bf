"""A gateway process before stand-ins for the Hub and Enterprise Gateway, with kernels of a user in a real database."""

import asyncio
import os
import socket
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import psutil

from hub_ext.database import Database, Kernel, upgrade
from tests.gateways import metric
from tests.traffic_client import connect

ROOT = Path(__file__).resolve().parent.parent
OWNER, TOKEN = "alice", "token-of-alice"  # what the stand-in for the Hub says of any token
PREFIX = "/services/gateway/"
START_SECONDS = 60


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@contextmanager
def upstream():
    """Start the stand-ins and give their port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.traffic_upstream"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        yield int(process.stdout.readline())
    finally:
        end(process)


def end(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def wait_until_open(port, process, log=None):
    """Wait until something answers on a port."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log and log.read_text()[-3000:]
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


class Gateway:
    """The process, and how its kernels' websockets are reached."""

    def __init__(self, process, port, kernel_id):
        self.process, self.port, self.kernel_id = psutil.Process(process.pid), port, kernel_id
        self.url = f"http://127.0.0.1:{port}{PREFIX}"

    def path(self, session_id):
        return f"{PREFIX}user/{OWNER}/api/kernels/{self.kernel_id}/channels?session_id={session_id}"

    def connect(self, session_id):
        """Open a websocket that does what the session id says, see `traffic_upstream`."""
        return connect(self.port, self.path(session_id), TOKEN)

    def metric(self, name, **labels):
        """Return the value of a metric."""
        return metric(self.url.rstrip("/"), name, **labels)


@contextmanager
def gateway(folder, upstream_port, *options, open_files=None):
    """Start a gateway; `folder` keeps its database and log; `open_files` is the limit that it finds."""
    url, kernel_id, port = f"sqlite:///{folder}/gateway.sqlite", str(uuid.uuid4()), free_port()
    upgrade(url)
    asyncio.run(_add_kernel(url, kernel_id))
    there = f"http://127.0.0.1:{upstream_port}"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'services'}",
        "JUPYTERHUB_SERVICE_NAME": "gateway",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
        "JUPYTERHUB_API_URL": f"{there}/hub/api",
        "JUPYTERHUB_API_TOKEN": "x" * 32,
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:services!service=gateway"]',
        "HUB_EXT_ENTERPRISE_GATEWAY_TOKEN": "y" * 32,
        "HUB_EXT_EDGE_TOKEN": "z" * 32,
        "HUB_EXT_DATABASE_URL": url,
    }
    command = [
        *(sys.executable, "-m", "hub_gateway", f"--HubGateway.enterprise_gateway_url={there}"),
        # No edge answers here: the caretaker would only write that down.
        *("--HubGateway.edge_url=http://127.0.0.1:9", "--HubGateway.caretaker_interval=3600"),
        *("--HubGateway.authenticate_metrics=False", *options),
    ]
    log = Path(folder) / "gateway.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*_limited(open_files), *command], cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        wait_until_open(port, process, log)
        yield Gateway(process, port, kernel_id)
    finally:
        end(process)


def _limited(open_files):
    """Return what to put before a command so that it may open that many files; it may ask for more."""
    if open_files is None:
        return []
    script = (
        "import os, resource as r, sys; number = int(sys.argv[1]);"
        "r.setrlimit(r.RLIMIT_NOFILE, (number, r.getrlimit(r.RLIMIT_NOFILE)[1])); os.execv(sys.argv[2], sys.argv[2:])"
    )
    return [sys.executable, "-c", script, str(open_files)]


async def _add_kernel(url, kernel_id):
    database = Database(url)
    async with database.transaction() as session:
        session.add(
            Kernel(
                id=kernel_id,
                owner=OWNER,
                cluster_user=OWNER,
                kernelspec="spark_python",
                server=None,
                state="running",
                started_at=datetime.now(timezone.utc),
            )
        )
    await database.close()
