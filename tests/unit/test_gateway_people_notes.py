import asyncio

import pytest

from hub_ext.errors import PublicError
from hub_ext.kernels import KernelDefinition
from hub_ext.limits.people import People
from hub_ext.limits.refused_starts import RefusedStarts
from hub_ext.web.identity import Identity
from hub_gateway.people_notes import PeopleNotes


class Counting(People):
    """People, with what was written."""

    def __init__(self, database):
        super().__init__(database)
        self.seen_calls, self.broken = [], False

    async def seen(self, name, groups):
        self.seen_calls.append(name)
        if self.broken:
            raise PublicError("database-unreachable", "x")
        await super().seen(name, groups)


def identity(name="alice", groups=(), kind="user"):
    return Identity(name, kind, frozenset(groups), frozenset(), False, None)


async def until(question):
    for _ in range(200):
        if await question():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true")


@pytest.fixture
def people(database):
    return Counting(database)


@pytest.fixture
def refusals(database):
    return RefusedStarts(database)


@pytest.fixture
def notes(people, refusals):
    hub = {}

    async def users():
        return hub.get("users")

    made = PeopleNotes(people, refusals, users, 300.0)
    made.hub = hub
    return made


async def test_who_comes_is_written_once_and_again_when_their_groups_change(people, notes):
    for _ in range(3):
        notes.came(identity(groups=["analytics"]))

    async def there():
        return await people.groups_of("alice") == ("analytics",)

    await until(there)
    notes.came(identity(groups=["research"]))

    async def moved():
        return await people.groups_of("alice") == ("research",)

    await until(moved)
    assert people.seen_calls == ["alice", "alice"]


async def test_services_are_no_people(people, notes):
    notes.came(identity("portal", kind="service"))
    await asyncio.sleep(0.05)
    assert people.seen_calls == []


async def test_a_note_that_could_not_be_written_is_tried_at_the_next_visit(people, notes):
    people.broken = True
    notes.came(identity())
    await asyncio.sleep(0.05)
    people.broken = False
    notes.came(identity())

    async def there():
        return [one.name for one in await people.everyone()] == ["alice"]

    await until(there)


async def test_the_hubs_list_is_asked_for_soon_until_it_has_answered_and_spares_the_visits_notes(people, notes):
    await notes.sync()
    assert await notes.pause() < 300
    notes.hub["users"] = {"alice": ["analytics"], "bob": []}
    await notes.sync()
    assert await notes.pause() == 300
    assert [(one.name, one.groups) for one in await people.everyone()] == [("alice", ("analytics",)), ("bob", ())]
    notes.came(identity(groups=["analytics"]))
    await asyncio.sleep(0.05)
    assert people.seen_calls == []


SPARK = KernelDefinition(name="spark", display_name="Spark", description="", type="python", size=None, queue="")


async def test_many_refusals_are_one_line_and_few_transactions(notes, refusals, monkeypatch):
    monkeypatch.setattr("hub_gateway.people_notes.GATHER", 0.02)
    for number in range(30):
        notes.refused("alice", SPARK, PublicError("too-many-kernels", f"No. {number}", remedy="Stop one."))
    notes.refused("alice", SPARK, PublicError("over-total-limit", "Too large."))

    async def written():
        return len(await refusals.of("alice")) == 2

    await until(written)
    counted = {one.code: (one.count, one.lines, one.display_name) for one in await refusals.of("alice")}
    assert counted == {
        "too-many-kernels": (30, ("No. 29", "Stop one."), "Spark"),
        "over-total-limit": (1, ("Too large.",), "Spark"),
    }
    assert await refusals.of("bob") == []
