import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.limits import DEFAULT, FIELDS, UNLIMITED, AllLimits, Configured, OwnValue, Subject, SubjectLimits, resolve
from hub_ext.limits.fields import checked
from hub_ext.limits.resolve import as_json

NUMBERS = [name for name, field in FIELDS.items() if not field.is_list]
value = st.one_of(st.none(), st.just(UNLIMITED), st.integers(0, 1000))
values = st.dictionaries(st.sampled_from(NUMBERS), value)
groups = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), values)


def amount(limit):
    return float("inf") if limit.value == UNLIMITED else limit.value


@pytest.mark.parametrize(
    ("default", "of_groups", "user", "restrictive", "expected"),
    [
        ({}, {}, {}, False, (UNLIMITED, "default")),
        ({"kernels": 3}, {}, {}, False, (3, "default")),
        ({"kernels": 3}, {"g": {"kernels": 5}}, {}, False, (5, "group g")),
        ({"kernels": 3}, {"g": {"kernels": 1}}, {}, False, (1, "group g")),
        ({"kernels": 3}, {"g": {"kernels": 5}, "h": {"kernels": 9}}, {}, False, (9, "group h")),
        ({"kernels": 3}, {"g": {"kernels": 5}, "h": {"kernels": 9}}, {}, True, (5, "group g")),
        ({"kernels": 3}, {"g": {"kernels": 5}, "h": {"kernels": UNLIMITED}}, {}, False, (UNLIMITED, "group h")),
        ({"kernels": 3}, {"g": {"kernels": 5}}, {"kernels": 0}, False, (0, "user")),
        ({"kernels": 3}, {"g": {"kernels": 5}}, {"kernels": None}, False, (5, "group g")),
        ({"kernels": 3}, {}, {"kernels": UNLIMITED}, False, (UNLIMITED, "user")),
    ],
)
def test_a_field_is_the_users_else_the_groups_else_the_default(default, of_groups, user, restrictive, expected):
    found = resolve(default, of_groups, user, most_restrictive=restrictive)["kernels"]
    assert (found.value, found.source) == expected


def test_queues_of_groups_add_up_or_narrow_down():
    of_groups = {"g": {"queues": ["q1", "q2"]}, "h": {"queues": ["q2", "q3"]}}
    assert resolve({}, of_groups, {})["queues"].value == ("q1", "q2", "q3")
    assert resolve({}, of_groups, {}, most_restrictive=True)["queues"].value == ("q2",)
    of_groups["i"] = {"queues": UNLIMITED}
    assert resolve({}, of_groups, {})["queues"].value == UNLIMITED
    assert resolve({}, of_groups, {}, most_restrictive=True)["queues"].value == ("q2",)


@given(values, groups, values, st.booleans(), st.randoms())
def test_the_order_of_groups_does_not_matter(default, of_groups, user, restrictive, random):
    names = list(of_groups)
    random.shuffle(names)
    shuffled = {name: of_groups[name] for name in names}
    assert resolve(default, of_groups, user, most_restrictive=restrictive) == resolve(
        default, shuffled, user, most_restrictive=restrictive
    )


@given(values, groups, values, st.sampled_from(NUMBERS), st.sampled_from(["a", "b"]), st.integers(0, 1000))
def test_lowering_a_group_never_raises_the_answer_under_most_restrictive(default, of_groups, user, field, group, lower):
    before = resolve(default, of_groups, user, most_restrictive=True)[field]
    old = of_groups.get(group, {}).get(field)
    if old is None or (old != UNLIMITED and old < lower):
        return
    lowered = {**of_groups, group: {**of_groups.get(group, {}), field: lower}}
    assert amount(resolve(default, lowered, user, most_restrictive=True)[field]) <= amount(before)


any_field = st.sampled_from(list(FIELDS))
queue_names = st.lists(st.sampled_from(["q1", "q2", "q3"]), unique=True)
mixed = st.fixed_dictionaries(
    {}, optional={name: st.one_of(value, queue_names) if name == "queues" else value for name in FIELDS}
).map(lambda found: {name: one for name, one in found.items() if name != "queues" or not isinstance(one, int)})
mixed_groups = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), mixed)


def allows_no_more(limit, other):
    """Say whether `limit` allows nothing that `other` does not."""
    if other.value == UNLIMITED:
        return True
    if isinstance(limit.value, tuple):
        return set(limit.value) <= set(other.value)
    return limit.value != UNLIMITED and limit.value <= other.value


def lowered(old, random):
    """Return a value that allows less than `old`, or as much."""
    if isinstance(old, list):
        return [name for name in old if random.random() < 0.5]
    if old == UNLIMITED:
        return random.choice([UNLIMITED, 0, 7])
    return random.randint(0, old)


@given(mixed, mixed_groups, mixed, any_field, st.sampled_from(["default", "user", "a", "b"]), st.randoms())
def test_lowering_any_input_never_raises_the_answer_under_most_restrictive(
    default, of_groups, user, field, which, random
):
    inputs = {"default": default, "user": user, **of_groups}
    old = inputs.get(which, {}).get(field)
    if old is None or (field == "queues" and old == UNLIMITED):
        return
    changed = {**inputs, which: {**inputs[which], field: lowered(old, random)}}
    groups_now = {name: changed[name] for name in of_groups}
    before = resolve(default, of_groups, user, most_restrictive=True)
    after = resolve(changed["default"], groups_now, changed["user"], most_restrictive=True)
    assert allows_no_more(after[field], before[field])
    assert {name: one for name, one in after.items() if name != field} == {
        name: one for name, one in before.items() if name != field
    }


@given(mixed, mixed_groups, mixed, any_field, st.sampled_from(["a", "b"]), st.booleans(), st.randoms())
def test_lowering_a_group_never_raises_the_answer(default, of_groups, user, field, group, restrictive, random):
    old = of_groups.get(group, {}).get(field)
    if old is None or (field == "queues" and old == UNLIMITED):
        return
    changed = {**of_groups, group: {**of_groups[group], field: lowered(old, random)}}
    before = resolve(default, of_groups, user, most_restrictive=restrictive)[field]
    assert allows_no_more(resolve(default, changed, user, most_restrictive=restrictive)[field], before)


@given(mixed, mixed_groups, mixed, st.booleans())
def test_a_users_own_value_always_wins(default, of_groups, user, restrictive):
    found = resolve(default, of_groups, user, most_restrictive=restrictive)
    for name, one in user.items():
        if one is not None:
            expected = tuple(one) if isinstance(one, list) else one
            assert (found[name].value, found[name].source) == (expected, "user")


@given(mixed, mixed_groups, mixed, mixed)
def test_one_more_group_never_takes_away_what_other_groups_give(default, of_groups, user, more):
    given_by_groups = {name for values in of_groups.values() for name, one in values.items() if one is not None}
    before = resolve(default, of_groups, user)
    after = resolve(default, {**of_groups, "z": more}, user)
    for name in given_by_groups:
        assert allows_no_more(before[name], after[name])


@given(mixed, mixed_groups, mixed, mixed)
def test_one_more_group_never_gives_more_than_other_groups_do_under_most_restrictive(default, of_groups, user, more):
    given_by_groups = {name for values in of_groups.values() for name, one in values.items() if one is not None}
    before = resolve(default, of_groups, user, most_restrictive=True)
    after = resolve(default, {**of_groups, "z": more}, user, most_restrictive=True)
    for name in given_by_groups:
        assert allows_no_more(after[name], before[name])


@given(mixed, mixed_groups, mixed, st.booleans())
def test_an_answer_is_a_value_that_its_source_has(default, of_groups, user, restrictive):
    sources = {"default": default, "user": user, **{f"group {name}": one for name, one in of_groups.items()}}
    for name, limit in resolve(default, of_groups, user, most_restrictive=restrictive).items():
        if name == "queues" and limit.source.startswith("group"):
            continue
        assert sources[limit.source].get(name) in (limit.value, *([None] if limit.value == UNLIMITED else [])) or (
            list(limit.value) == sources[limit.source][name]
        )


@given(mixed, mixed_groups, mixed, mixed, st.booleans(), st.lists(st.sampled_from("abcd"), unique=True))
def test_all_limits_give_the_same_answers_as_resolving_one_by_one(configured, of_groups, own, default, restrictive, of):
    def subject_limits(subject, found):
        given_values = {name: OwnValue(checked(name, one)) for name, one in found.items() if one is not None}
        return SubjectLimits(subject, given_values)

    limits = AllLimits(
        Configured(default=configured, users={"alice": configured}, most_restrictive_group=restrictive),
        subject_limits(DEFAULT, default),
        {name: subject_limits(Subject("group", name), found) for name, found in of_groups.items()},
        {"alice": subject_limits(Subject("user", "alice"), own)},
    )
    # In the table, None is "no row": what is configured counts.
    rows = [{name: one for name, one in found.items() if one is not None} for found in (default, own)]
    for user, values_of_user in (("alice", {**configured, **rows[1]}), ("bob", {})):
        chosen = {name: one for name, one in of_groups.items() if name in of}
        expected = resolve({**configured, **rows[0]}, chosen, values_of_user, most_restrictive=restrictive)
        for _ in range(2):
            found = limits.resolved(user, of)
            assert {name: (one.value, one.source) for name, one in found.items()} == {
                name: (one.value, one.source) for name, one in expected.items()
            }


@given(values, groups, values, st.booleans())
def test_every_field_has_an_answer_and_a_source(default, of_groups, user, restrictive):
    found = as_json(resolve(default, of_groups, user, most_restrictive=restrictive))
    assert set(found) == set(FIELDS)
    assert all(one["source"].split()[0] in {"default", "group", "user"} for one in found.values())


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("kernels", -1),
        ("kernels", True),
        ("kernels", "3"),
        ("kernels", 1.5),
        ("queues", "q"),
        ("queues", [1]),
        ("x", 1),
        ("kernels", 2**31),
        ("queues", ["a", " b"]),
        ("queues", ["a\n"]),
        ("queues", [""]),
        ("queues", ["q"] * 101),
        ("queues", ["q" * 256]),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_its_name(name, bad):
    with pytest.raises(ValueError, match=name):
        checked(name, bad)


@given(st.dictionaries(st.sampled_from("abcd"), st.one_of(st.none(), st.just(UNLIMITED), queue_names), min_size=1))
def test_queues_of_groups_are_those_of_any_or_those_of_all(of_groups):
    given_lists = [set(one) for one in of_groups.values() if isinstance(one, list)]
    all_given = [one for one in of_groups.values() if one is not None]
    wide = resolve({}, {name: {"queues": one} for name, one in of_groups.items()}, {})["queues"].value
    narrow = resolve({}, {name: {"queues": one} for name, one in of_groups.items()}, {}, most_restrictive=True)
    if not given_lists:
        assert wide == narrow["queues"].value == UNLIMITED
        return
    assert set(narrow["queues"].value) == set.intersection(*given_lists)
    assert wide == UNLIMITED if UNLIMITED in all_given else set(wide) == set.union(*given_lists)
