from datetime import datetime, timedelta, timezone

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_ext.errors import PublicError
from hub_ext.limits import FIELDS, UNLIMITED
from hub_ext.limits.model import DEFAULT, AllLimits, Edit, OwnValue, Subject, SubjectLimits
from hub_ext.limits.text import parse_time, parse_value, write_value
from hub_ext.limits.yaml_io import describe, export_yaml, import_plan, parse_yaml

ALICE = Subject("user", "alice")
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)

word = st.text(st.characters(blacklist_categories=["C", "Z"]), min_size=1, max_size=12)
name = st.one_of(word, st.sampled_from(["no", "null", "1:30", "~", "default", "<<", "'", "é: #", "- a", "12", "true"]))
number = st.integers(0, 2**31 - 1)


def value_of(field):
    return st.lists(name, max_size=3).map(tuple) if FIELDS[field].is_list else number


@st.composite
def own_values(draw):
    found = {}
    for field in draw(st.lists(st.sampled_from(sorted(FIELDS)), unique=True, max_size=5)):
        value = st.one_of(st.just(UNLIMITED), value_of(field))
        until = draw(st.none() | st.datetimes(datetime(2026, 1, 2), timezones=st.just(timezone.utc)))
        after = draw(st.none() | value) if until else None
        found[field] = OwnValue(draw(value), until, after)
    return found


@st.composite
def all_limits(draw):
    def some(scope):
        names = draw(st.lists(name, unique=True, max_size=3))
        return {one: SubjectLimits(Subject(scope, one), draw(own_values())) for one in names}

    return AllLimits(
        default=SubjectLimits(DEFAULT, draw(own_values())),
        groups=some("group"),
        users=some("user"),
    )


def after(limits, edits):
    """What limits are once edits are made."""
    found = {one.subject: dict(one.values) for one in (limits.default, *limits.groups.values(), *limits.users.values())}
    for edit in edits:
        own = found.setdefault(edit.subject, {})
        for field, value in edit.values.items():
            own.pop(field, None)
            if value is not None:
                own[field] = OwnValue(value, edit.until, edit.afterwards.get(field))
    return {subject: own for subject, own in found.items() if own}


@settings(max_examples=40)
@given(all_limits(), all_limits())
def test_what_was_exported_and_is_imported_anywhere_is_the_same_again(limits, other):
    text = export_yaml(limits)
    assert import_plan(limits, parse_yaml(text), now=NOW) == []
    plan = import_plan(other, parse_yaml(text), now=NOW)
    assert after(other, plan) == after(limits, [])
    merged = import_plan(other, parse_yaml(text), merge=True, now=NOW)
    old, new = after(other, []), after(limits, [])
    assert after(other, merged) == {of: {**old.get(of, {}), **new.get(of, {})} for of in old.keys() | new.keys()}
    assert len(describe(plan)) == sum(len(edit.values) for edit in plan)


@settings(max_examples=40)
@given(all_limits())
def test_an_export_is_yaml_that_other_programs_read_alike(limits):
    tree = yaml.safe_load(export_yaml(limits))
    assert set(tree["users"]) == {one for one, own in limits.users.items() if own.values}
    assert set(tree["default"]) == set(limits.default.values)


@given(st.sampled_from(sorted(FIELDS)), st.data())
def test_a_value_that_is_written_for_people_is_read_as_the_same(field, data):
    value = data.draw(st.one_of(st.none(), st.just(UNLIMITED), number if not FIELDS[field].is_list else st.none()))
    assert parse_value(field, write_value(field, value)) == value


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("memory_mb", "64G", 65536),
        ("memory_mb", "1.5 GiB", 1536),
        ("memory_mb", "512m", 512),
        ("memory_mb", "2TB", 2 * 1024 * 1024),
        ("idle_timeout", "2h", 7200),
        ("idle_timeout", "1h30m", 5400),
        ("lifetime", "1d 12h", 129600),
        ("lifetime", "90", 90),
        ("kernels", "Unlimited", UNLIMITED),
        ("kernels", "inherit", None),
        ("kernels", "0", 0),
        ("queues", "none", ()),
        ("queues", "a, b", ("a", "b")),
        ("queues", "7", ("7",)),
    ],
)
def test_people_may_write_values_with_units(field, text, value):
    assert parse_value(field, text) == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("memory_mb", "6X"),
        ("memory_mb", "1.0001G"),
        ("memory_mb", "-1"),
        ("memory_mb", "1e3"),
        ("memory_mb", "4096T"),
        ("idle_timeout", "2 fortnights"),
        ("kernels", "3G"),
        ("kernels", "1_000"),
        ("kernels", "٣"),
        ("queues", "a,,b"),
        ("nothing", "1"),
        ("nothing", "inherit"),
    ],
)
def test_a_text_that_is_no_value_is_refused_with_the_limits_name(field, text):
    with pytest.raises(ValueError, match=field):
        parse_value(field, text)


def test_a_day_counts_until_its_end():
    assert parse_time("2026-12-31") == datetime(2027, 1, 1, tzinfo=timezone.utc)
    assert parse_time("2026-12-31T18:00Z") == parse_time("2026-12-31T19:00+01:00")
    for bad in ("2026-12-31T18:00", "soon", "2026-13-01", "9999-12-31", "0001-01-01T00:00+23:00"):
        with pytest.raises(ValueError, match="is not a time"):
            parse_time(bad)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("user:\n  alice: {}", "Line 1: 'user' is none of default, groups, users"),
        ("users:\n  alice:\n    kernles: 1", "Line 3: there is no limit named 'kernles'"),
        ("users:\n  alice:\n    kernels: -1", "Line 3: Limit 'kernels' takes"),
        ("users:\n  alice:\n    kernels: [1]", "Line 3: Limit 'kernels' takes"),
        ("users:\n  alice:\n    queues: [[q]]", "Line 3: a single word"),
        ("users:\n  alice:\n    kernels: 1\n    kernels: 2", "Line 4: 'kernels' is there twice"),
        ("users:\n  alice: {}\n  alice: {}", "Line 3: 'alice' is there twice"),
        ("users:\n  alice: 3", "Line 2: user alice must be names with values"),
        ("users:\n  ? [a]\n  : {}", "Line 2: a single word"),
        ("users:\n  'a b ':\n    kernels: 1", "Line 2: that can't be a name"),
        ("- a", "Line 1: the file must be"),
        ("users: {", "not YAML"),
        ("a: &a [*a]", "Line 1: 'a' is none of"),
        ("users:\n  a: &a\n    kernels: *b", "not YAML"),
        ("--- 1\n--- 2", "not YAML"),
        ("users:\n  alice:\n    kernels: {value: 1, until: soon}", "Line 3: 'soon' is not a time"),
        ("users:\n  alice:\n    kernels: {until: 2026-12-31}", "Line 3: 'kernels' needs a value"),
        ("users:\n  alice:\n    kernels: {value: 1, afterwards: 2}", "but not until when"),
        ("users:\n  alice:\n    kernels: {value: 1, then: 2}", "Line 3: 'then' is none of"),
        ("users:\n  a: {}\n--- 2", "Line 3: not YAML of limits: there is more than one document"),
        ("\x00", "not YAML"),
        ("[" * 5000, "Line 1: this is nested deeper"),
        ("[" * 1_000_000, "Line 1: this is nested deeper"),
        ("users:\n" + "\n".join(" " * depth + "a:" for depth in range(1, 300)), "Line 21: this is nested deeper"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_the_line(text, complaint):
    with pytest.raises(PublicError) as refused:
        parse_yaml(text, merge=True)
    assert refused.value.code == "limits-invalid"
    assert complaint in refused.value.message


def test_a_file_may_say_that_values_are_inherited():
    limits = AllLimits(users={"alice": SubjectLimits(ALICE, {"kernels": OwnValue(3), "cores": OwnValue(4)}, 7)})
    for whole in ("default:\ngroups:\nusers:", "users: {}\ndefault: null\ngroups: {}"):
        (plan,) = import_plan(limits, parse_yaml(whole))
        assert (plan.subject, plan.values, plan.revision) == (ALICE, {"kernels": None, "cores": None}, 7)
        assert import_plan(limits, parse_yaml(whole, merge=True), merge=True) == []
    text = "users:\n  alice:\n    kernels: null\n    cores: inherit"
    (plan,) = import_plan(limits, parse_yaml(text, merge=True), merge=True)
    assert plan.values == {"kernels": None, "cores": None}


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("text", ["", "\n", "# nothing", "---", "null", "~", "--- # nothing\n..."])
def test_a_file_without_anything_is_no_wish_to_take_everything_away(text, merge):
    with pytest.raises(PublicError, match="The file is empty") as refused:
        parse_yaml(text, merge=merge)
    assert refused.value.code == "limits-invalid"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("default: {}", "'groups', 'users'"),
        ("groups: {}\nusers: {}", "'default'"),
        ("{}", "'default', 'groups', 'users'"),
    ],
)
def test_a_file_that_lacks_a_section_can_only_be_merged(text, missing):
    with pytest.raises(PublicError, match=f"lacks {missing}") as refused:
        parse_yaml(text)
    assert "merge" in refused.value.remedy
    parse_yaml(text, merge=True)


def test_an_export_of_which_the_end_is_missing_is_refused_wherever_it_was_cut():
    users = {name: SubjectLimits(Subject("user", name), {"kernels": OwnValue(12)}) for name in ("alice", "bob")}
    text = export_yaml(AllLimits(users=users)).rstrip()
    parse_yaml(text)
    for length in range(len(text)):
        for merge in (False, True):
            with pytest.raises(PublicError):
                parse_yaml(text[:length], merge=merge)


def test_of_a_value_whose_end_has_passed_what_comes_afterwards_is_imported():
    until = NOW - timedelta(days=1)
    edit = Edit(ALICE, {"kernels": 9, "cores": 3}, until, afterwards={"kernels": 2})
    (plan,) = import_plan(AllLimits(), [edit], now=NOW)
    assert (plan.values, plan.until) == ({"kernels": 2}, None)
