import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.limits import FIELDS, UNLIMITED, resolve
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
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_its_name(name, bad):
    with pytest.raises(ValueError, match=name):
        checked(name, bad)
