import pytest

from hub_ext.database import Database
from hub_gateway.checks import check_database, opened

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
