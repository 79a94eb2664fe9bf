import resource
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub_ext.database import Database
from hub_ext.errors import PublicError
from hub_ext.limits.admission import Admission, Starter
from hub_ext.limits.ask import Ask
from hub_ext.limits.store import Edit, LimitStore, Subject
from hub_ext.sizes import KernelSize, Rules, footprint
from hub_gateway.registry import Registry

SIZE = KernelSize(driver_memory_mb=640)


@contextmanager
def full_disk(folder):
    """Let no file of this process grow: what a write then gets is what a full disk gives, a part of it or an error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in Path(folder).iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def reserve(admission):
    asked = Ask("alice", "python_yarn", "x", SIZE, footprint(SIZE, Rules(256)), "notebooks")
    return await admission.reserve(asked, Starter(str(uuid.uuid4()), "alice", None, frozenset()))


async def until_refused(admission):
    """Reserve until the disk is full: there is some room left in the files that are there."""
    for count in range(2000):
        try:
            await reserve(admission)
        except PublicError as error:
            return count, error
    raise AssertionError("the disk did not become full")


async def test_a_full_disk_refuses_starts_and_loses_nothing(tmp_path, sqlite_url, caplog):
    database = Database(sqlite_url)
    store, registry = LimitStore(database), Registry(database)
    admission = Admission(database, store, lease=5.0)
    unlimited = dict.fromkeys(("kernels", "memory_mb", "cores"), "unlimited")
    await store.apply([Edit(Subject("user", "alice"), unlimited)], who="test")
    first = await reserve(admission)
    assert await admission.confirm(first.id)
    with full_disk(tmp_path):
        reserved, error = await until_refused(admission)
        assert (error.code, error.status) == ("database-unreachable", 503)
        # What is there can be read, and nothing was written by halves.
        assert len(await registry.alive("alice")) == reserved + 1
        with pytest.raises(PublicError):
            await store.apply([Edit(Subject("user", f"u{n}"), unlimited) for n in range(2000)], who="test")
        assert len(await registry.alive("alice")) == reserved + 1
    assert "The database did not take part" in caplog.text
    assert "disk" in caplog.text
    assert (await reserve(admission)).id
    assert len(await registry.alive("alice")) == reserved + 2
    await database.close()
