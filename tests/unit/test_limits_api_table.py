"""The table of users and the preview of changes, without any HTTP or database."""

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.limits.model import DEFAULT, AllLimits, Configured, Edit, OwnValue, Subject, SubjectLimits
from hub_gateway.limits_api.answers import Use
from hub_gateway.limits_api.preview import effect
from hub_gateway.limits_api.table import Member, Question, Resolver, Table, exceeded, in_order, share


def own(scope, name, **values):
    return SubjectLimits(Subject(scope, name), {key: OwnValue(value) for key, value in values.items()}, revision=1)


def day(number):
    return datetime(2026, 11, number, tzinfo=timezone.utc)


LIMITS = AllLimits(
    default=own("default", "", kernels=4, memory_mb=64, cores=32),
    groups={"analytics": own("group", "analytics", memory_mb=200), "interns": own("group", "interns", kernels=1)},
    users={
        "bob": own("user", "bob", cores="unlimited"),
        "gone": own("user", "gone"),
        "early": own("user", "early", kernels=9),
    },
)
MEMBERS = in_order(
    [
        Member("carol", ("interns",), day(3)),
        Member("alice", ("analytics",), day(1)),
        Member("Bert", ()),
        Member("bob", ("analytics", "night-batch"), day(2)),
        Member("early"),
    ]
)
USE = {"alice": Use(kernels=1, memory_mb=150, cores=8), "carol": Use(kernels=2, memory_mb=10, cores=1)}
TABLE = Table(MEMBERS, Resolver(LIMITS), USE)


def effect_of(subjects, values):
    return effect(TABLE, [Edit(subject, values) for subject in subjects])


def names(**question):
    return [member.name for member in TABLE.part(Question(**question)).members]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({}, ["alice", "Bert", "bob", "carol", "early"]),
        ({"descending": True}, ["early", "carol", "bob", "Bert", "alice"]),
        ({"search": "NIGHT"}, ["bob"]),
        ({"search": "an"}, ["alice", "bob"]),
        ({"search": "bert\nanalytics"}, []),
        ({"search": " carol "}, ["carol"]),
        ({"filter": "over"}, ["carol"]),
        ({"filter": "own"}, ["bob", "early"]),
        ({"filter": "own", "search": "ear"}, ["early"]),
        ({"sort": "kernels"}, ["carol", "alice", "Bert", "bob", "early"]),
        ({"sort": "memory_mb", "descending": True}, ["alice", "bob", "Bert", "carol", "early"]),
        ({"sort": "cores", "descending": True}, ["bob", "alice", "Bert", "carol", "early"]),
        ({"sort": "used", "descending": True}, ["carol", "alice", "Bert", "bob", "early"]),
        ({"sort": "last_kernel", "descending": True}, ["carol", "bob", "alice", "Bert", "early"]),
        ({"page": 2, "per_page": 2}, ["bob", "carol"]),
        ({"page": 9, "per_page": 2}, []),
    ],
)
def test_the_table_answers(question, expected):
    assert names(**question) == expected


def test_the_counts_are_those_of_all_users_whatever_is_searched_for():
    part = TABLE.part(Question(search="bob"))
    assert (part.total, part.counts) == (1, {"all": 5, "over": 1, "own": 2})


def test_every_user_is_on_exactly_one_page():
    pages = [names(sort="used", page=page, per_page=2) for page in (1, 2, 3)]
    assert sorted(name for page in pages for name in page) == sorted(member.name for member in MEMBERS)


def test_use_is_over_a_limit_only_beyond_it():
    limits = LIMITS.resolved("x", [])
    assert exceeded(limits, Use(kernels=4, memory_mb=64, cores=32)) == []
    assert exceeded(limits, Use(kernels=5, memory_mb=65, cores=0)) == ["kernels", "memory_mb"]
    assert exceeded(LIMITS.resolved("bob", []), Use(cores=10**6)) == []


def test_the_share_is_that_of_the_fullest_limit():
    limits = AllLimits(default=own("default", "", kernels=0, memory_mb=100)).resolved("x", [])
    assert share(limits, Use(memory_mb=50, cores=99)) == 0.5
    assert share(limits, Use(kernels=1)) == float("inf")
    assert share(limits, Use()) == 0


@given(groups=st.sets(st.sampled_from(["analytics", "interns", "without limits"])), user=st.sampled_from("ab"))
def test_groups_without_values_change_nothing(groups, user):
    limits = AllLimits(
        configured=Configured(groups={"interns": {"cores": 2}}, users={"b": {"kernels": 7}}),
        groups=LIMITS.groups,
        users={"a": own("user", "a", kernels=3)},
    )
    assert Resolver(limits).limits(user, groups) == limits.resolved(user, groups)


def test_a_preview_of_the_default_tells_who_is_concerned_and_whose_values_stay():
    found = effect_of([DEFAULT], {"kernels": 2})
    assert found.affected == ["alice", "Bert", "bob"]
    assert found.unchanged == ["carol", "early"]
    assert found.personal == ["early"]
    assert found.newly_over == []


def test_a_preview_tells_who_would_be_over_now_and_is_not_yet():
    assert effect_of([DEFAULT], {"memory_mb": 5}).newly_over == ["carol"]
    assert effect_of([Subject("group", "analytics")], {"memory_mb": 100}).newly_over == ["alice"]
    # carol has a kernel too many already.
    assert effect_of([Subject("group", "interns")], {"kernels": 0}).newly_over == []


def test_a_preview_of_a_group_looks_at_its_members_only():
    found = effect_of([Subject("group", "analytics")], {"cores": 1})
    assert (found.affected, found.unchanged, found.personal) == (["alice"], ["bob"], ["bob"])


def test_a_preview_of_users_counts_no_value_as_staying():
    found = effect_of([Subject("user", "bob"), Subject("user", "alice")], {"cores": "unlimited"})
    assert (found.affected, found.unchanged, found.personal) == (["alice"], ["bob"], [])
    assert effect_of([Subject("user", "bob")], {"cores": None}).affected == ["bob"]
