"""Fixtures: databases as the services use them. A test that asks for `database_url` runs on each kind."""

import shutil

import pytest

from hub_ext.database import Database, upgrade
from tests.postgres import Postgres


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def empty_postgres_url(postgres):
    """The address of an empty PostgreSQL database."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def migrated_postgres(postgres):
    """The name of a PostgreSQL database with an up-to-date schema, for one test after the other."""
    name = postgres.create()
    upgrade(postgres.url(name))
    return name


@pytest.fixture
def postgres_url(postgres, migrated_postgres):
    """The address of a PostgreSQL database with an up-to-date schema and no rows."""
    postgres.empty(migrated_postgres)
    return postgres.url(migrated_postgres)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path, sqlite_template):
    """The address of a SQLite database with an up-to-date schema."""
    path = tmp_path / "kernels.sqlite"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path):
    """The address of an empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    return request.getfixturevalue("empty_postgres_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    """The address of a database with an up-to-date schema, of each kind."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
async def database(database_url):
    """A database with an up-to-date schema, of each kind."""
    opened = Database(database_url)
    yield opened
    await opened.close()
