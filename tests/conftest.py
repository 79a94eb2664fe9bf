"""The running platform that integration and browser tests share."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.databases import *  # noqa: F403 (fixtures are found by their names here)
from tests.support import Platform

ROOT = Path(__file__).resolve().parent.parent

#: Short intervals, so that tests need not wait for what takes minutes on a real site.
SERVICE_CONFIG = """
c = get_config()
c.HubGateway.reauthorize_interval = 2
c.HubGateway.token_cache_seconds = 2
c.HubGateway.caretaker_interval = 4
c.HubGateway.missing_grace = 6
c.HubGateway.cull_notice = 8
c.HubGateway.people_interval = 5
c.HubGateway.cluster_state_max_age = 20
c.HubGateway.dead_server_grace = 6
c.HubGateway.launch_timeout = 120
# Longer than the proxy keeps a connection for reuse (5 s), or it reuses one that is just being closed.
c.Service.header_timeout = 20
# Whoever reads numbers here has no part in what is tested; who may read them has tests of its own.
c.Service.authenticate_metrics = False
"""

# Whoever starts tests in the background of a shell without job control leaves SIGINT ignored, and every process that is
# started from here would inherit it: kernels could not be interrupted, the demo not be stopped.
signal.signal(signal.SIGINT, signal.default_int_handler)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    """The whole platform, started as `make demo` starts it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("platform", numbered=True)
    folder.chmod(0o755)
    config = folder / "services.py"
    config.write_text(SERVICE_CONFIG)
    port = free_port()
    log = (folder / "demo.log").open("w")
    environment = {
        **os.environ,
        "PORT": str(port),
        "HUB_EXT_PLATFORM": str(folder / "p"),
        "HUB_EXT_SERVICE_CONFIG": str(config),
        "HUB_EXT_DEMO_PASSWORD": "demo-of-the-tests",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "hub_ext.embedded.demo"],
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    running = Platform(
        url=f"http://127.0.0.1:{port}", password="demo-of-the-tests", folder=folder / "p", process=process
    )
    try:
        _wait_until_ready(running, folder / "demo.log")
        yield running
    finally:
        _stop(process)


@pytest.fixture(scope="session")
def alice(platform):
    """Alice, logged in."""
    return platform.person("alice")


def _wait_until_ready(running, log, seconds=180):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            pytest.fail(f"The platform ended while it started:\n{log.read_text()[-4000:]}")
        if running.url in log.read_text() and running.is_ready():
            return
        time.sleep(0.5)
    pytest.fail(f"The platform was not ready after {seconds} s:\n{log.read_text()[-4000:]}")


def _stop(process, seconds=60):
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGINT)
    try:
        process.wait(seconds)
    finally:
        for one in family:
            if one.is_running():
                one.kill()
