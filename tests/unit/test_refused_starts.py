from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.database import RefusedStart
from hub_ext.errors import PublicError
from hub_ext.limits.refused_starts import MOST, RefusedStarts, refusal

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


class Clock:
    now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def refused(database, clock):
    return RefusedStarts(database, clock)


def one(owner="alice", kernelspec="spark", code="too-many-kernels", text="No.", at=NOON):
    return refusal(owner, kernelspec, kernelspec.title(), PublicError(code, text, details=["3 of 3."]), at)


async def test_a_person_sees_their_own_the_last_one_first_with_what_was_said(refused):
    await refused.note([one(at=NOON - HOUR), one(code="over-total-limit"), one(owner="bob")])
    first, second = await refused.of("alice")
    assert (first.code, first.lines, first.display_name) == ("over-total-limit", ("No.", "3 of 3."), "Spark")
    assert (second.code, second.at) == ("too-many-kernels", NOON - HOUR)


async def test_the_same_cause_is_counted_and_says_what_was_said_last(refused):
    await refused.note([one(at=NOON - HOUR)])
    await refused.note([one(text="Still not.")])
    (found,) = await refused.of("alice")
    assert (found.count, found.lines[0], found.at) == (2, "Still not.", NOON)


async def test_after_a_day_it_is_neither_shown_nor_counted_nor_kept(refused, clock, database):
    await refused.note([one(), one(kernelspec="other")])
    clock.now = NOON + 25 * HOUR
    assert await refused.of("alice") == []
    await refused.note([one(at=clock.now)])
    (found,) = await refused.of("alice")
    assert found.count == 1
    await refused.forget()
    async with database.reading() as session:
        assert await session.get(RefusedStart, ("alice", "other", "too-many-kernels")) is None
        assert await session.get(RefusedStart, ("alice", "spark", "too-many-kernels")) is not None


async def test_only_the_last_ones_are_shown(refused):
    await refused.note([one(kernelspec=f"k{n}", at=NOON - n * timedelta(minutes=1)) for n in range(MOST + 5)])
    assert [found.kernelspec for found in await refused.of("alice")] == [f"k{n}" for n in range(MOST)]


async def test_names_of_any_length_are_kept(refused):
    long = refusal("alice", "k" * 300, "d" * 300, PublicError("over-total-limit", "x" * 5000), NOON)
    await refused.note([long, long])
    (found,) = await refused.of("alice")
    assert (len(found.kernelspec), len(found.display_name), len(found.lines[0])) == (100, 255, 5000)
