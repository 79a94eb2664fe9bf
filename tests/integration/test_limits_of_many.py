"""Other requests are answered while thousands of limits go in and out."""

import asyncio
import gc
import time

import pytest

from tests.unit.test_limits_api import api, database, store

__all__ = ["api", "database", "store"]  # fixtures


pytestmark = pytest.mark.alone


@pytest.fixture(autouse=True)
def _nothing_of_other_tests():
    """Keep what thousands of tests have left in this process out of its garbage collection, which stops everything."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


async def test_the_limits_of_ten_thousand_users_go_out_and_in_again_while_others_are_answered(api):
    name = "user{:05d}.of.some.department.with.a.long.name@with-a-long-name-too.example.org"
    users = "".join(f"  {name.format(number)}: {{cores: {number}, kernels: 4}}\n" for number in range(10_000))
    text = f"default: {{kernels: 2}}\ngroups: {{}}\nusers:\n{users}"
    assert len(text) > 1024 * 1024
    done, share = await while_others_wait(api.good("POST", "import?dry_run=false&confirmed=true", text))
    assert len(done["changes"]) == 20_001
    assert share < 0.5
    exported, share = await while_others_wait(api.good("GET", "export"))
    assert share < 0.5
    again, share = await while_others_wait(api.good("POST", "import?dry_run=false", exported))
    assert (again["changes"], again["batch"]) == ([], None)
    assert share < 0.5


async def while_others_wait(work):
    """Return the answer, and in which share of the time, at one go, nothing else was done: on any machine the same."""
    working, began, longest = asyncio.create_task(work), time.perf_counter(), 0.0
    last = began
    while not working.done():
        await asyncio.sleep(0.005)
        last, longest = time.perf_counter(), max(longest, time.perf_counter() - last)
    return await working, longest / (time.perf_counter() - began)
