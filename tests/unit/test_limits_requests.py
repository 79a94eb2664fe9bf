from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.database import Kernel
from hub_ext.errors import PublicError
from hub_ext.limits import UNLIMITED
from hub_ext.limits.people import People
from hub_ext.limits.requests import RequestStore
from hub_ext.limits.store import Edit, LimitStore, Subject

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(database):
    return LimitStore(database, lambda: NOON)


@pytest.fixture
def requests(database, store):
    return RequestStore(database, store, lambda: NOON)


class Clock:
    time = NOON

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def people(database, clock):
    return People(database, clock)


async def refusal(work):
    with pytest.raises(PublicError) as refused:
        await work
    return refused.value.code


async def test_what_is_asked_for_waits_for_an_answer(requests):
    asked = await requests.ask("alice", "memory_mb", 65536, "thesis")
    assert (asked.user, asked.field, asked.wanted, asked.reason) == ("alice", "memory_mb", 65536, "thesis")
    assert (asked.state, asked.created_at, asked.granted) == ("open", NOON, None)
    assert await requests.list(state="open") == ([asked], 1)
    assert await requests.list(user="bob") == ([], 0)
    assert await requests.list(user="\0") == ([], 0)
    assert await requests.count_open() == 1


async def test_asking_again_is_another_request_and_withdraws_the_first(requests, store):
    first = await requests.ask("alice", "kernels", 5, "one")
    other = await requests.ask("alice", "cores", 8)
    second = await requests.ask("alice", "kernels", UNLIMITED, "two")
    assert (second.state, second.wanted, second.reason) == ("open", UNLIMITED, "two")
    assert (await requests.list(user="alice", state="open"))[0] == [second, other]
    (withdrawn,) = (await requests.list(user="alice", state="withdrawn"))[0]
    assert (withdrawn.id, withdrawn.wanted, withdrawn.reason) == (first.id, 5, "one")
    assert (withdrawn.decided_by, withdrawn.decided_at) == ("alice", NOON)
    assert withdrawn.answer == f"Asked again: request {second.id}."
    # An administrator who decides on what they saw grants nothing else.
    with pytest.raises(PublicError, match=f"Request {first.id} was already withdrawn") as refused:
        await requests.grant(first.id, "root")
    assert (refused.value.code, refused.value.remedy) == ("request-decided", withdrawn.answer)
    assert (await store.everything()).users == {}


async def test_a_granted_request_is_a_value_of_the_users_own(requests, store):
    asked = await requests.ask("alice", "kernels", 5, "thesis")
    granted = await requests.grant(asked.id, "root", value=4, until=NOON + HOUR, answer="for today")
    assert (granted.state, granted.decided_by, granted.decided_at) == ("granted", "root", NOON)
    assert (granted.granted, granted.until, granted.answer) == (4, NOON + HOUR, "for today")
    limit = (await store.resolved("alice", ()))["kernels"]
    assert (limit.value, limit.source, limit.until) == (4, "user", NOON + HOUR)
    (batch,) = (await store.history()).batches
    assert (batch.who, batch.reason) == ("root", f"request {asked.id}: thesis")
    assert await requests.count_open() == 0


async def test_what_was_wanted_is_granted_unless_something_else_is_said(requests, store):
    asked = await requests.ask("alice", "queues", ["q1"])
    assert (await requests.grant(asked.id, "root")).granted == ("q1",)
    assert (await store.resolved("alice", ()))["queues"].value == ("q1",)


async def test_a_grant_that_can_not_be_leaves_the_request_open(requests, store):
    asked = await requests.ask("alice", "kernels", 5)
    assert await refusal(requests.grant(asked.id, "root", value=-1)) == "limits-invalid"
    assert await refusal(requests.grant(asked.id, "root", until=NOON)) == "limits-invalid"
    assert await requests.count_open() == 1
    assert not (await store.everything()).users


async def test_a_request_is_answered_once(requests):
    asked = await requests.ask("alice", "kernels", 5)
    declined = await requests.decline(asked.id, "root", "no")
    assert (declined.state, declined.answer) == ("declined", "no")
    assert await refusal(requests.grant(asked.id, "root")) == "request-decided"
    assert await refusal(requests.decline(asked.id, "root")) == "request-decided"
    assert await refusal(requests.withdraw(asked.id, "alice")) == "request-decided"
    assert (await requests.ask("alice", "kernels", 6)).id != asked.id


async def test_only_ones_own_request_is_withdrawn(requests):
    asked = await requests.ask("alice", "kernels", 5)
    assert await refusal(requests.withdraw(asked.id, "bob")) == "no-such-request"
    assert (await requests.withdraw(asked.id, "alice")).state == "withdrawn"
    for number in (0, -1, 999, 2**70):
        assert await refusal(requests.withdraw(number, "alice")) == "no-such-request"


async def test_ten_open_requests_are_enough(requests):
    fields = [
        "driver_memory_mb",
        "driver_cores",
        "executors",
        "executor_memory_mb",
        "executor_cores",
        "kernels",
        "memory_mb",
        "cores",
        "idle_timeout",
        "lifetime",
    ]
    for field in fields:
        await requests.ask("alice", field, 1)
    assert await refusal(requests.ask("alice", "server_cores", 1)) == "too-many-requests"
    assert (await requests.ask("alice", "kernels", 2)).wanted == 2
    assert (await requests.ask("bob", "server_cores", 1)).state == "open"
    found, total = await requests.list(state="open", page=2, per_page=4)
    assert (len(found), total) == (4, 11)


@pytest.mark.parametrize(
    ("field", "wanted", "reason"),
    [
        ("kernels", None, ""),
        ("kernels", "5", ""),
        ("kernles", 5, ""),
        ("kernels", 5, "a\0"),
        ("kernels", 5, "x" * 1001),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(requests, field, wanted, reason):
    assert await refusal(requests.ask("alice", field, wanted, reason)) == "limits-invalid"


async def test_who_was_seen_is_known_with_their_groups(people, clock):
    await people.seen("alice", frozenset({"b", "a"}))
    assert await people.groups_of("alice") == ("a", "b")
    clock.time += HOUR
    await people.seen("alice", ["c"])
    (alice,) = await people.everyone()
    assert (alice.groups, alice.seen_at, alice.last_kernel_at) == (("c",), clock.time, None)
    assert await people.groups_of("nobody") == ()


async def test_a_started_kernel_is_noted(people, clock):
    await people.kernel_started("alice")
    clock.time += HOUR
    await people.seen("alice", ["a"])
    (alice,) = await people.everyone()
    assert (alice.last_kernel_at, alice.groups) == (NOON, ("a",))


async def test_the_hubs_list_is_taken_over_and_only_what_differs_is_written(people, clock):
    await people.sync({"alice": ["b", "a"], "bob": []})
    clock.time += HOUR
    await people.sync({"alice": ["a", "b"], "bob": ["a"], "carol": []})
    found = {one.name: (one.groups, one.seen_at) for one in await people.everyone()}
    assert found == {"alice": (("a", "b"), NOON), "bob": (("a",), NOON + HOUR), "carol": ((), NOON + HOUR)}


async def test_who_has_left_the_hub_is_forgotten_unless_something_of_them_is_left(people, clock, database, store):
    await people.sync({name: [] for name in ("alice", "bob", "carol", "dave")})
    await store.apply([Edit(Subject("user", "bob"), {"kernels": 1})], who="root")
    async with database.transaction() as session:
        session.add(
            Kernel(
                id="k",
                owner="carol",
                cluster_user="carol",
                kernelspec="s",
                state="running",
                started_at=NOON,
                end_reason="",
            )
        )
    clock.time += HOUR
    await people.seen("erin", [])
    await people.sync({"alice": []})
    assert [one.name for one in await people.everyone()] == ["alice", "bob", "carol", "erin"]
    clock.time += HOUR
    await people.sync({"alice": []})
    assert [one.name for one in await people.everyone()] == ["alice", "bob", "carol"]


async def test_thousands_of_people_are_taken_over_at_once(people, clock):
    await people.sync({f"user{number}": ["a"] for number in range(5000)})
    clock.time += HOUR
    await people.sync({f"user{number}": ["b"] for number in range(2500)})
    assert [one.groups for one in await people.everyone()] == [("b",)] * 2500
