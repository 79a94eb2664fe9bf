import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub_ext.database import Database
from hub_gateway.checks import check_database, opened

ROOT = Path(__file__).parent.parent.parent
SECRET = "hunter2hunter2"


@pytest.mark.parametrize("url", [f"oracle://u:{SECRET}@h/x", f"not an address {SECRET}", f"mysql://u:{SECRET}@h:x/y"])
def test_an_address_that_can_not_be_used_is_said_without_its_password(url):
    with pytest.raises(SystemExit) as said:
        opened(url)
    assert "HUB_EXT_DATABASE_URL" in str(said.value)
    assert SECRET not in str(said.value)


async def test_a_database_that_is_away_is_said_in_a_sentence(tmp_path):
    for url, where in (
        (f"postgresql://u:{SECRET}@127.0.0.1:1/x", "postgresql 127.0.0.1:1/x"),
        (f"sqlite:///{tmp_path}/no/folder.sqlite", "sqlite"),
    ):
        database = Database(url)
        with pytest.raises(SystemExit) as said:
            await check_database(database, url)
        assert str(said.value).startswith(f"HubGateway: the database {where}")
        assert "HubGateway.database_url" in str(said.value)
        assert "\n" not in str(said.value)
        assert SECRET not in str(said.value)
        await database.close()


async def test_a_database_without_schema_is_said_with_the_command(empty_database_url):
    database = Database(empty_database_url)
    with pytest.raises(SystemExit, match="hub-ext db upgrade"):
        await check_database(database, empty_database_url)
    await database.close()


def test_the_command_ends_with_that_sentence_alone():
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
