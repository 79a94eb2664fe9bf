"""On SQLite and on PostgreSQL."""

import pytest

from hub_ext.database import Database, upgrade


async def test_a_database_with_an_up_to_date_schema_is_taken(database):
    await database.check_schema()
    assert await database.ping() == "revision 0002"


async def test_a_database_without_a_schema_is_refused_with_the_command_to_run(empty_database_url):
    database = Database(empty_database_url)
    with pytest.raises(RuntimeError, match="hub-ext db upgrade"):
        await database.check_schema()
    await database.close()
    upgrade(empty_database_url)
    database = Database(empty_database_url)
    await database.check_schema()
    await database.close()
