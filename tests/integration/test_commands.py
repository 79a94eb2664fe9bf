"""Commands as processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.unit.test_cli import NO_ADDRESS
from tests.unit.test_gateway_checks import SECRET

ROOT = Path(__file__).parent.parent.parent


def process(*arguments, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in NO_ADDRESS}
    command = [sys.executable, "-m", "hub_ext.cli", *arguments]
    return subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, check=False)


def test_the_command_works_as_a_process_of_its_own(database_url):
    address = {"HUB_EXT_DATABASE_URL": database_url}
    done = process("limits", "set", "user:alice", "memory_mb=64G", "idle_timeout=2h", "--reason", "thesis", **address)
    assert (done.returncode, done.stderr) == (0, "")
    assert "user alice: memory_mb inherit → 64 GB" in done.stdout
    shown = process("limits", "show", "alice", **address)
    assert "memory_mb             64 GB      user\n" in shown.stdout
    assert "idle_timeout          2 h        user\n" in shown.stdout


def test_without_an_address_the_command_says_how_to_give_one():
    for command in (["db", "upgrade"], ["limits", "show"]):
        done = process(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--url or HUB_EXT_DATABASE_URL" in done.stderr


def test_a_gateway_whose_database_is_away_ends_with_that_sentence_alone():
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "services"))),
        "HUB_EXT_DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:1/x",
        "HUB_EXT_ENTERPRISE_GATEWAY_TOKEN": "x" * 32,
        "HUB_EXT_EDGE_TOKEN": "y" * 32,
        "JUPYTERHUB_API_TOKEN": "t",
        "JUPYTERHUB_API_URL": "http://127.0.0.1:1/hub/api",
        "JUPYTERHUB_SERVICE_PREFIX": "/services/gateway/",
        "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "hub_gateway"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("HubGateway: the database postgresql 127.0.0.1:1/x")
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
