import asyncio
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import text

from hub_ext.database import Database
from hub_ext.errors import PublicError
from hub_ext.limits import UNLIMITED
from hub_ext.limits.store import DEFAULT, Configured, Edit, LimitStore, OwnValue, Subject

ALICE, BOB, GROUP = Subject("user", "alice"), Subject("user", "bob"), Subject("group", "analytics")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self):
        self.time = NOON

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(database, clock):
    return LimitStore(database, clock)


async def kernels(store, user="alice", groups=("analytics",)):
    found = (await store.resolved(user, groups))["kernels"]
    return found.value, found.source


async def put(store, subject, until=None, revision=None, who="root", **values):
    return await store.apply([Edit(subject, values, until, revision)], who=who, reason="because")


async def lines(store, **filters):
    page = await store.history(**filters)
    return [(line.field, line.before, line.after) for batch in page.batches for line in batch.lines]


async def test_what_the_hubs_configuration_changes_is_in_the_history_and_is_undone_there(store):
    first = Configured(default={"kernels": 3, "queues": ["a"]}, groups={"analytics": {"cores": 4}})
    await store.configure(first)
    await store.configure(first)
    await store.configure(Configured(default={"kernels": 5, "queues": ("a",)}, most_restrictive_group=True))
    newest, oldest = (await store.history()).batches
    assert {newest.who, oldest.who} == {"(configuration)"}
    assert len(oldest.lines) == 3
    assert [(str(line.subject), line.field, line.before, line.after) for line in newest.lines] == [
        ("default", "kernels", 3, 5),
        ("default", "of_several_groups", None, ("the most restrictive",)),
        ("group analytics", "cores", 4, None),
    ]
    with pytest.raises(PublicError, match="configuration file") as refused:
        await store.undo(newest.batch, who="root")
    assert refused.value.code == "limits-changed"


async def test_of_a_very_long_configuration_a_part_is_in_the_history(store):
    await store.configure(Configured(users={f"u{number}": {"kernels": 1} for number in range(600)}))
    (batch,) = (await store.history()).batches
    assert (len(batch.lines) + batch.left_off, batch.reason) == (500, "the Hub's configuration, with 100 more values")


async def test_lines_of_the_configuration_are_not_what_a_value_was_before(store, clock):
    await put(store, ALICE, kernels=2)
    await put(store, ALICE, until=NOON + HOUR, kernels=9)
    await store.configure(Configured(users={"alice": {"kernels": 7}}))
    undone = await put(store, ALICE, kernels=1)
    clock.time += 2 * HOUR
    await store.undo(undone, who="root")
    assert await kernels(store) == (2, "user")


@pytest.mark.parametrize("name", ["(end date)", "(configuration)"])
async def test_nobody_is_written_down_as_what_changes_limits_by_itself(store, name):
    batch = await put(store, ALICE, kernels=1)
    for work in (put(store, ALICE, kernels=2, who=name), store.undo(batch, who=name)):
        with pytest.raises(PublicError) as refused:
            await work
        assert refused.value.code == "limits-invalid"


async def test_a_value_of_a_user_counts_before_the_groups_and_the_default(store):
    assert await kernels(store) == (UNLIMITED, "default")
    await put(store, DEFAULT, kernels=1)
    assert await kernels(store) == (1, "default")
    await put(store, GROUP, kernels=2)
    assert await kernels(store) == (2, "group analytics")
    assert await kernels(store, groups=()) == (1, "default")
    await put(store, ALICE, kernels=0)
    assert await kernels(store) == (0, "user")
    assert await kernels(store, "bob") == (2, "group analytics")
    await put(store, ALICE, kernels=None)
    assert await kernels(store) == (2, "group analytics")


async def test_the_table_stands_over_the_configuration_field_by_field(store):
    await store.configure(
        Configured(
            default={"kernels": 1, "cores": 1},
            groups={"analytics": {"queues": ["q1"]}},
            users={"alice": {"kernels": 3}},
        )
    )
    await put(store, DEFAULT, kernels=7)
    alice, bob = await store.resolved("alice", ["analytics"]), await store.resolved("bob", ["analytics"])
    assert (alice["kernels"].value, alice["kernels"].source, alice["kernels"].configured) == (3, "user", True)
    assert (bob["kernels"].value, bob["kernels"].configured) == (7, False)
    assert (bob["cores"].value, bob["cores"].configured) == (1, True)
    assert (bob["queues"].value, bob["queues"].configured) == (("q1",), True)
    await put(store, GROUP, queues=["q2", "q3"])
    await put(store, ALICE, kernels=4)
    assert (await store.resolved("bob", ["analytics"]))["queues"].value == ("q2", "q3")
    assert not (await store.resolved("alice", ()))["kernels"].configured


async def test_configuration_can_say_that_the_narrowest_group_counts_and_can_change(store):
    groups = {"a": {"kernels": 2}, "b": {"kernels": 9}}
    await store.configure(Configured(groups=groups, most_restrictive_group=True))
    assert await kernels(store, groups=("a", "b")) == (2, "group a")
    await store.configure(Configured(groups=groups))
    assert await kernels(store, groups=("a", "b")) == (9, "group b")


async def test_configuration_with_a_mistake_is_refused_with_whose_it_is(store):
    with pytest.raises(ValueError, match="group a: Limit 'kernels' takes"):
        await store.configure(Configured(groups={"a": {"kernels": "many"}}))


async def test_everything_at_once_is_the_same_as_one_after_the_other(store):
    await store.configure(Configured(default={"kernels": 1}, users={"bob": {"cores": 2}}))
    await store.apply(
        [Edit(ALICE, {"kernels": 5}, NOON + HOUR), Edit(GROUP, {"cores": 9}), Edit(BOB, {"memory_mb": UNLIMITED})],
        who="root",
    )
    everything = await store.everything()
    for user in ("alice", "bob", "carol"):
        for groups in ((), ("analytics",), ("analytics", "other")):
            assert everything.resolved(user, groups) == await store.resolved(user, groups)
    assert everything.of(ALICE).revision == everything.of(GROUP).revision == 1
    assert everything.of(DEFAULT).revision == 0


async def test_inherited_is_what_would_be_without_a_value_of_ones_own(store):
    await store.configure(Configured(users={"bob": {"cores": 2}}))
    await store.apply([Edit(ALICE, {"kernels": 5}), Edit(BOB, {"cores": 4}), Edit(GROUP, {"kernels": 3})], who="root")
    everything = await store.everything()
    assert everything.inherited("alice", ["analytics"])["kernels"].value == 3
    assert everything.inherited("bob", [])["cores"].value == 2
    assert everything.inherited_by(GROUP)["kernels"].value == UNLIMITED
    assert everything.resolved("alice", ["analytics"])["kernels"].value == 5


async def test_what_if_changes_nothing(store):
    await put(store, GROUP, kernels=3)
    everything = await store.everything()
    assert everything.with_values(GROUP, {"kernels": 4}).resolved("x", ["analytics"])["kernels"].value == 4
    assert everything.with_values(GROUP, {"kernels": None}).resolved("x", ["analytics"])["kernels"].value == UNLIMITED
    assert everything.with_values(DEFAULT, {"cores": 4}).resolved("x", [])["cores"].value == 4
    assert everything.resolved("x", ["analytics"])["kernels"].value == 3


async def test_every_changed_field_leaves_a_line_and_no_other_does(store, clock):
    await put(store, ALICE, kernels=3, cores=4)
    clock.time += HOUR
    batch = await put(store, ALICE, who="carla", kernels=3, cores=5)
    page = await store.history()
    assert page.total == 2
    newest = page.batches[0]
    assert (newest.batch, newest.at, newest.who, newest.reason) == (batch, NOON + HOUR, "carla", "because")
    assert [(line.subject, line.field, line.before, line.after) for line in newest.lines] == [(ALICE, "cores", 4, 5)]


async def test_what_changes_nothing_leaves_nothing(store):
    await put(store, ALICE, kernels=3)
    assert await put(store, ALICE, kernels=3, cores=None) == ""
    assert (await store.history()).total == 1
    assert (await store.everything()).of(ALICE).revision == 1


async def test_who_saw_something_older_is_told_who_changed_what_meanwhile(store):
    await put(store, ALICE, kernels=3)
    await put(store, ALICE, who="carla", revision=1, kernels=4, queues=["q1"])
    with pytest.raises(PublicError) as refused:
        await store.apply([Edit(BOB, {"kernels": 1}), Edit(ALICE, {"cores": 9}, revision=1)], who="root")
    assert refused.value.code == "limits-changed"
    assert refused.value.numbers == {"revision": 2}
    assert set(refused.value.details) == {
        "carla changed 'kernels' from 3 to 4 at 2026-03-01 12:00 UTC.",
        "carla changed 'queues' from inherit to q1 at 2026-03-01 12:00 UTC.",
    }
    everything = await store.everything()
    assert everything.users.keys() == {"alice"}
    assert everything.of(ALICE).values.keys() == {"kernels", "queues"}


async def test_of_many_who_edit_what_they_saw_exactly_one_gets_through(database_url):
    databases = [Database(database_url) for _ in range(4)]
    stores = [LimitStore(one) for one in databases]
    edits = [stores[number % 4].apply([Edit(ALICE, {"kernels": number}, revision=0)], who="x") for number in range(12)]
    results = await asyncio.gather(*edits, return_exceptions=True)
    assert sorted(isinstance(one, str) for one in results) == [False] * 11 + [True]
    assert {one.code for one in results if isinstance(one, PublicError)} == {"limits-changed"}
    assert (await stores[0].everything()).of(ALICE).revision == 1
    for one in databases:
        await one.close()


async def test_many_at_the_same_time_lose_no_change(database_url):
    databases = [Database(database_url) for _ in range(3)]
    fields = ["kernels", "cores", "memory_mb", "executors", "lifetime", "idle_timeout"]
    await asyncio.gather(
        *(LimitStore(databases[n % 3]).apply([Edit(ALICE, {name: n})], who="x") for n, name in enumerate(fields))
    )
    everything = await LimitStore(databases[0]).everything()
    assert {name: own.value for name, own in everything.of(ALICE).values.items()} == {
        name: n for n, name in enumerate(fields)
    }
    assert everything.of(ALICE).revision == len(fields)
    for one in databases:
        await one.close()


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (Edit(ALICE, {"kernels": -1}), "kernels"),
        (Edit(ALICE, {"kernels": 2**31}), "kernels"),
        (Edit(ALICE, {"kernels": 10**5000}), "kernels"),
        (Edit(ALICE, {"kernles": 1}), "kernles"),
        (Edit(ALICE, {"queues": ["a\0"]}), "queues"),
        (Edit(ALICE, {"queues": ["\ud800"]}), "queues"),
        (Edit(ALICE, {"kernels": 1}, NOON), "until"),
        (Edit(ALICE, {"kernels": 1}, datetime(2027, 1, 1)), "until"),
        (Edit(ALICE, {"kernels": 1}, datetime.max.replace(tzinfo=timezone.utc)), "until"),
        (Edit(ALICE, {"kernels": 1}, NOON + HOUR, afterwards={"kernels": "x"}), "kernels"),
        (Edit(Subject("user", ""), {"kernels": 1}), "name"),
        (Edit(Subject("user", "a\0"), {"kernels": 1}), "name"),
        (Edit(Subject("group", "x" * 256), {"kernels": 1}), "name"),
        (Edit(Subject("default", "x"), {"kernels": 1}), "name"),
        (Edit(Subject("team", "x"), {"kernels": 1}), "scope"),
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused_and_names_the_field(store, edit, field):
    with pytest.raises(PublicError) as refused:
        await store.apply([Edit(BOB, {"kernels": 1}), edit], who="root")
    assert (refused.value.code, refused.value.status) == ("limits-invalid", 422)
    assert refused.value.numbers["field"] == field
    assert not (await store.everything()).users


@pytest.mark.parametrize("reason", ["a\0b", "\udcff", "x" * 501])
async def test_a_reason_that_can_not_be_kept_is_refused(store, reason):
    with pytest.raises(PublicError, match="reason"):
        await store.apply([Edit(ALICE, {"kernels": 1})], who="root", reason=reason)


async def test_a_value_with_an_end_counts_until_then_and_the_one_before_it_does_afterwards(store, clock):
    await put(store, ALICE, kernels=3)
    await put(store, ALICE, until=NOON + HOUR, kernels=8)
    assert await kernels(store) == (8, "user")
    assert (await store.resolved("alice", ()))["kernels"].until == NOON + HOUR
    assert (await store.everything()).of(ALICE).values == {"kernels": OwnValue(8, NOON + HOUR, 3)}
    clock.time = NOON + HOUR
    assert await kernels(store) == (3, "user")
    assert (await store.everything()).of(ALICE).values == {"kernels": OwnValue(3)}


async def test_a_value_with_an_end_and_nothing_before_it_is_inherited_again(store, clock):
    await put(store, DEFAULT, kernels=2)
    await put(store, ALICE, until=NOON + HOUR, kernels=8)
    clock.time += 2 * HOUR
    assert await kernels(store) == (2, "default")
    assert await store.end_grants() == 1
    assert await store.end_grants() == 0
    everything = await store.everything()
    assert not everything.of(ALICE).values
    newest = (await store.history()).batches[0]
    assert (newest.who, newest.lines[0].before, newest.lines[0].after) == ("(end date)", 8, None)
    assert newest.lines[0].before_until == NOON + HOUR


async def test_a_longer_end_keeps_what_comes_after(store, clock):
    await put(store, ALICE, kernels=3)
    await put(store, ALICE, until=NOON + HOUR, kernels=8)
    await put(store, ALICE, until=NOON + 2 * HOUR, kernels=9)
    clock.time += 3 * HOUR
    assert await kernels(store) == (3, "user")


async def test_an_end_that_nobody_has_noted_is_noted_before_the_next_change(store, clock):
    await put(store, ALICE, kernels=3)
    await put(store, ALICE, until=NOON + HOUR, kernels=8)
    clock.time += 2 * HOUR
    await put(store, ALICE, revision=2, kernels=4)
    assert await lines(store) == [("kernels", 3, 4), ("kernels", 8, 3), ("kernels", 3, 8), ("kernels", None, 3)]
    assert await store.end_grants() == 0


async def test_two_gateways_end_a_value_once(database_url, clock):
    databases = [Database(database_url) for _ in range(3)]
    stores = [LimitStore(one, clock) for one in databases]
    await put(stores[0], ALICE, until=NOON + HOUR, kernels=8)
    clock.time += 2 * HOUR
    assert sum(await asyncio.gather(*(one.end_grants() for one in stores))) == 1
    assert (await stores[0].history()).total == 2
    for one in databases:
        await one.close()


async def test_taking_back_makes_everything_as_it_was_and_can_be_taken_back_itself(store):
    await put(store, ALICE, kernels=3)
    batch = await store.apply(
        [Edit(ALICE, {"kernels": 5, "queues": ["q"]}), Edit(GROUP, {"cores": UNLIMITED})], who="root"
    )
    before = await store.everything()
    undo = await store.undo(batch, who="carla", reason="too much")
    everything = await store.everything()
    assert everything.of(ALICE).values == {"kernels": OwnValue(3)}
    assert not everything.of(GROUP).values
    again = await store.undo(undo, who="root")
    assert (await store.everything()).of(ALICE).values == before.of(ALICE).values
    found = {one.batch: one for one in (await store.history()).batches}
    assert (found[undo].undoes, found[again].undoes) == (batch, undo)
    assert [found[one].undone for one in (batch, undo, again)] == [False, True, False]
    await store.undo(again, who="root")
    assert {one.batch: one.undone for one in (await store.history()).batches}[batch] is True


async def test_what_was_changed_again_since_is_not_taken_back(store):
    batch = await put(store, ALICE, kernels=3, cores=1)
    await put(store, ALICE, kernels=4)
    with pytest.raises(PublicError, match="That change made it 3; now it is 4"):
        await store.undo(batch, who="root")
    assert (await store.everything()).of(ALICE).values == {"kernels": OwnValue(4), "cores": OwnValue(1)}


async def test_a_change_that_never_was_can_not_be_taken_back(store):
    for batch in ("none", "x\0", ""):
        with pytest.raises(PublicError) as refused:
            await store.undo(batch, who="root")
        assert refused.value.code == "no-such-change"


async def test_taking_back_brings_a_value_with_an_end_back_while_it_lasts(store, clock):
    await put(store, ALICE, kernels=3)
    await put(store, ALICE, until=NOON + HOUR, kernels=8)
    for_good = await put(store, ALICE, kernels=9)
    undo = await store.undo(for_good, who="root")
    assert (await store.everything()).of(ALICE).values == {"kernels": OwnValue(8, NOON + HOUR, 3)}
    await store.undo(undo, who="root")
    clock.time += 2 * HOUR
    await store.undo((await store.history()).batches[0].batch, who="root")
    assert (await store.everything()).of(ALICE).values == {"kernels": OwnValue(3)}


async def test_an_end_that_has_passed_is_not_taken_back(store, clock):
    await put(store, ALICE, until=NOON + HOUR, kernels=8)
    clock.time += 2 * HOUR
    await store.end_grants()
    for one in (await store.history()).batches:
        with pytest.raises(PublicError) as refused:
            await store.undo(one.batch, who="root")
        assert refused.value.code == "limits-changed"


async def test_history_is_paged_and_filtered(store):
    for number in range(5):
        await put(store, ALICE, who="carla", kernels=number)
        await store.apply([Edit(BOB, {"kernels": number}), Edit(GROUP, {"cores": number})], who="root")
    page = await store.history(page=2, per_page=3)
    assert (page.total, len(page.batches), page.page) == (10, 3, 2)
    assert [one.lines[0].after for one in page.batches] == [3, 2, 2]
    assert (await store.history(scope="user", name="bob")).total == 5
    assert await lines(store, scope="group", field="cores", per_page=1) == [("cores", 3, 4)]
    assert (await store.history(who="carla", name="bob")).total == 0
    assert (await store.history(page=10**30, per_page=-1)).batches == ()
    for strange in ("\0", "\ud800", "' OR 1=1 --"):
        assert (await store.history(name=strange)).total == 0


async def test_a_large_batch_shows_its_first_lines_and_how_many_more(store):
    await store.apply([Edit(Subject("user", f"u{n}"), {"kernels": 1}) for n in range(700)], who="root")
    batch = (await store.history()).batches[0]
    assert (len(batch.lines), batch.left_off) == (20, 680)
    (alone,) = (await store.history(batch=batch.batch)).batches
    assert (len(alone.lines), alone.left_off) == (700, 0)
    await store.undo(batch.batch, who="root")
    assert not any(one.values for one in (await store.everything()).users.values())


async def test_stored_values_that_make_no_sense_stop_everything_that_needs_them(store, database):
    await put(store, DEFAULT, kernels=3)
    async with database.transaction() as session:
        await session.execute(text("UPDATE limit_values SET value = '\"many\"'"))
    with pytest.raises(PublicError) as refused:
        await store.resolved("alice", ())
    assert refused.value.code == "limits-unreadable"
    assert "of default: Limit 'kernels' takes a whole number" in str(refused.value)
    await put(store, DEFAULT, kernels=4)
    assert await kernels(store) == (4, "default")


async def test_within_ones_own_transaction_limits_are_those_of_that_transaction(store, database):
    async with database.transaction(lock="limits") as session:
        await store.apply([Edit(ALICE, {"kernels": 1})], who="root", session=session)
        assert (await session.run_sync(store.resolved_by, "alice", ()))["kernels"].value == 1
        await session.rollback()
    assert await kernels(store) == (UNLIMITED, "default")


async def test_thousands_of_users_are_changed_and_read_in_seconds(store):
    names = [f"user{number}" for number in range(5_000)]
    await store.apply([Edit(Subject("user", name), {"kernels": 3, "cores": 4}) for name in names], who="root")
    everything = await store.everything()
    assert len(everything.users) == 5_000
    assert all(everything.resolved(name, ["g"])["kernels"].value == 3 for name in names)
