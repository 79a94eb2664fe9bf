import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import column, insert, inspect, select, table, text

from hub_ext.database import Base, Database, Kernel, upgrade
from hub_ext.database.engine import MIGRATIONS
from hub_ext.errors import PublicError

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
KERNEL = {
    "id": "11111111-2222-3333-4444-555555555555",
    "owner": "alice@example.org",
    "cluster_user": "alice",
    "kernelspec": "spark",
    "server": "",
    "state": "running",
    "started_at": STARTED,
    "end_reason": "",
}


async def on_connection(url, work):
    """Do something with a plain connection, in a transaction."""
    database = Database(url)
    try:
        async with database._engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await database.close()


async def migrate(url, revision):
    def run(connection):
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        steps = command.downgrade if revision.startswith("-") else command.upgrade
        steps(config, revision.lstrip("-"))

    await on_connection(url, run)


def old_kernel(connection):
    columns = [Kernel.__table__.c[name] for name in KERNEL]
    connection.execute(insert(table("kernels", *(column(one.name, one.type) for one in columns))), KERNEL)


async def test_a_database_with_an_up_to_date_schema_is_taken(database):
    await database.check_schema()
    assert (await database.ping()).startswith("revision 0")


async def test_the_migrations_make_exactly_the_tables_of_the_models(empty_database_url):
    upgrade(empty_database_url)

    def differences(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, Base.metadata)

    assert await on_connection(empty_database_url, differences) == []


async def test_kernels_that_were_there_before_the_limits_stay(empty_database_url):
    await migrate(empty_database_url, "0001")
    await on_connection(empty_database_url, old_kernel)
    await migrate(empty_database_url, "0002")
    upgrade(empty_database_url)
    database = Database(empty_database_url)
    await database.check_schema()
    async with database.reading() as session:
        (kernel,) = (await session.scalars(select(Kernel))).all()
    assert (kernel.owner, kernel.started_at, kernel.memory_mb, kernel.queue, kernel.stop_reason) == (
        KERNEL["owner"],
        STARTED,
        0,
        "",
        "",
    )
    assert kernel.leased_until is None
    await database.close()


async def test_the_way_back_leaves_the_kernels_and_nothing_else(empty_database_url):
    upgrade(empty_database_url)
    await migrate(empty_database_url, "-0001")
    await on_connection(empty_database_url, old_kernel)

    def look(connection):
        columns = {column["name"] for column in inspect(connection).get_columns("kernels")}
        return set(inspect(connection).get_table_names()), columns

    tables, columns = await on_connection(empty_database_url, look)
    assert tables == {"kernels", "alembic_version"}
    assert columns == {*KERNEL, "ended_at"}
    upgrade(empty_database_url)
    assert len((await on_connection(empty_database_url, look))[0]) == len(Base.metadata.tables) + 1


@pytest.mark.parametrize("revision", [None, "0001"])
async def test_a_schema_that_is_too_old_is_refused_with_the_command_to_run(empty_database_url, revision):
    if revision:
        await migrate(empty_database_url, revision)
    database = Database(empty_database_url)
    with pytest.raises(RuntimeError, match=f"at revision {revision}, this version needs .* 'hub-ext db upgrade'"):
        await database.check_schema()
    await database.close()


async def test_a_schema_of_a_newer_version_is_refused(empty_database_url):
    upgrade(empty_database_url)
    await on_connection(
        empty_database_url,
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")),
    )
    database = Database(empty_database_url)
    with pytest.raises(RuntimeError, match="made by a newer version than this one: update this service"):
        await database.check_schema()
    await database.close()


def test_several_that_bring_the_schema_up_to_date_at_once_do_it_once(empty_database_url):
    code = f"from hub_ext.database import upgrade; upgrade({empty_database_url!r})"
    running = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(one.communicate(timeout=60)[1], one.returncode) for one in running] == [("", 0)] * 2


def test_it_is_brought_up_to_date_by_several_threads_of_one_process(empty_database_url):
    with ThreadPoolExecutor(3) as pool:
        for one in [pool.submit(upgrade, empty_database_url) for _ in range(3)]:
            one.result(timeout=60)


async def test_of_two_transactions_with_one_lock_the_second_sees_what_the_first_wrote(database_url):
    databases = [Database(database_url) for _ in range(2)]
    order = []

    async def work(database, name):
        async with database.transaction(lock="one") as session:
            order.append(f"{name} begins")
            await session.execute(text("UPDATE settings SET value = value"))
            await asyncio.sleep(0.1)
            order.append(f"{name} ends")

    await asyncio.gather(*(work(one, str(number)) for number, one in enumerate(databases)))
    assert [word.split()[0] for word in order] in (["0", "0", "1", "1"], ["1", "1", "0", "0"])
    for one in databases:
        await one.close()


async def test_what_fails_half_way_is_undone(database):
    async def fail():
        async with database.transaction() as session:
            session.add(Kernel(**KERNEL))
            await session.flush()
            raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        await fail()
    async with database.reading() as session:
        assert (await session.scalars(select(Kernel))).all() == []


async def test_readers_see_one_moment_and_wait_for_no_writer(database_url):
    one, other = Database(database_url), Database(database_url)
    async with one.transaction(lock="x") as writing:
        writing.add(Kernel(**KERNEL))
        await writing.flush()
        async with other.reading() as reading:
            assert (await reading.scalars(select(Kernel))).all() == []
            await writing.commit()
            assert (await reading.scalars(select(Kernel))).all() == []
    async with other.reading() as reading:
        assert len((await reading.scalars(select(Kernel))).all()) == 1
    await one.close()
    await other.close()


async def test_times_keep_their_zone_and_no_value_is_nothing(database):
    async with database.transaction() as session:
        session.add(Kernel(**KERNEL))
    async with database.reading() as session:
        kernel = await session.get(Kernel, KERNEL["id"])
    assert kernel.started_at == STARTED
    assert kernel.started_at.tzinfo is not None


@pytest.mark.parametrize("url", ["postgresql://tests@127.0.0.1:9/none", "sqlite:////nowhere/at/all.sqlite"])
async def test_a_database_that_is_away_is_an_error_that_people_may_see(url):
    database = Database(url)
    for work in (database.transaction, database.reading):
        with pytest.raises(PublicError) as refused:
            async with work() as session:
                await session.execute(text("SELECT 1"))
        assert refused.value.code == "database-unreachable"
    await database.close()


async def test_whoever_upgrades_waits_longer_than_a_request_would(empty_database_url, monkeypatch):
    upgrade(empty_database_url)
    monkeypatch.setattr("hub_ext.database.engine.BUSY_TIMEOUT", 0.1)
    database = Database(empty_database_url)
    async with database.transaction(lock="upgrade") as session:
        await session.execute(text("UPDATE settings SET value = value"))
        upgrading = asyncio.create_task(asyncio.to_thread(upgrade, empty_database_url))
        await asyncio.sleep(0.3)
        assert not upgrading.done()
    await asyncio.wait_for(upgrading, 30)
    await database.close()


async def test_connections_that_the_server_has_ended_are_made_anew_at_once(postgres, postgres_url):
    database = Database(postgres_url)
    name = postgres_url.rpartition("/")[2]
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    async def read():
        async with database.reading() as session:
            return await session.scalar(text("SELECT 1"))

    async def change():
        return await database.change(text("UPDATE kernels SET queue = '' WHERE id = :of"), {"of": KERNEL["id"]})

    async def write():
        return await database.write(lambda connection: connection.scalar(text("SELECT 1")), lock="any")

    for work in (read, change, write):
        await asyncio.gather(*(database.ping() for _ in range(5)))
        await asyncio.to_thread(postgres.execute, ended, name)
        await asyncio.sleep(0.1)
        await asyncio.gather(*(work() for _ in range(5)))
    await database.close()
