"""Limits in words, what people type, and the forms and tables made of it."""

from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.errors import PublicError
from hub_ext.limits.fields import FIELDS
from hub_ext.limits.text import parse_time
from hub_portal.handlers.limits_base import confirmed
from hub_portal.limits_models import (
    Batch,
    ChangeLine,
    EndedKernel,
    KernelUse,
    Largest,
    Limit,
    LimitRequest,
    MyLimits,
    OwnValue,
    People,
    PersonLimits,
    Preview,
    Subject,
    Used,
)
from hub_portal.models import RunningKernel
from hub_portal.views import limits, limits_form, limits_table, limits_typed, limits_words, my_limits, running
from hub_portal.views.words import NOTHING

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
DECEMBER = datetime(2026, 12, 2, tzinfo=timezone.utc)


def person_of(**more):
    return PersonLimits(**{"name": "bob", "groups": ("analytics",), "revision": 3, **more})


def test_every_limit_has_a_label_and_a_place_in_the_form():
    assert set(limits.LABELS) == set(FIELDS)
    placed = [name for _, names in limits.GROUPS for name in names]
    assert sorted([*placed, *limits.NOT_YET]) == sorted(FIELDS)
    assert set(my_limits.EXPLANATIONS) == set(placed)


@pytest.mark.parametrize(
    ("field", "value", "words", "typed"),
    [
        ("memory_mb", None, NOTHING, ""),
        ("memory_mb", 0, "0 (none)", "0"),
        ("memory_mb", "unlimited", "unlimited", ""),
        ("memory_mb", 204800, "200 GB", "200 GB"),
        ("memory_mb", 1536, "1.5 GB", "1.5 GB"),
        ("memory_mb", 6500, "6500 MB", "6500 MB"),
        ("memory_mb", 2 * 1024 * 1024, "2 TB", "2 TB"),
        ("kernels", 4, "4", "4"),
        ("cores", 12000, "12,000", "12000"),
        ("idle_timeout", 1800, "30 min", "30 min"),
        ("lifetime", 86400, "1 d", "1 d"),
        ("lifetime", 5400, "90 min", "90 min"),
        ("lifetime", 7, "7 s", "7 s"),
        ("queues", ("night", "notebooks"), "night, notebooks", "night, notebooks"),
        ("queues", (), "0 (none)", "0"),
        ("queues", "unlimited", "any", ""),
    ],
)
def test_none_zero_and_unlimited_are_told_apart_and_can_be_typed_again(field, value, words, typed):
    assert limits.value_words(field, value) == words
    assert limits.value_text(field, value) == typed
    if typed:
        assert limits_typed.parse_value(field, typed) == value


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("memory_mb", "64 GB", 65536),
        ("memory_mb", "64G", 65536),
        ("memory_mb", "64 gib", 65536),
        ("memory_mb", "512 MB", 512),
        ("memory_mb", "512", 512),
        ("memory_mb", "1,5 GB", 1536),
        ("memory_mb", "1 TB", 1048576),
        ("idle_timeout", "30 min", 1800),
        ("idle_timeout", "2h", 7200),
        ("idle_timeout", "1 h 30 min", 5400),
        ("idle_timeout", "1.5 h", 5400),
        ("idle_timeout", "0", 0),
        ("kernels", " 7 ", 7),
        ("queues", "a,b  c a", ("a", "b", "c")),
    ],
)
def test_people_write_with_units(field, text, value):
    assert limits_typed.parse_value(field, text) == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("memory_mb", ""),
        ("memory_mb", "64 XB"),
        ("memory_mb", "-1 GB"),
        ("memory_mb", "lots"),
        ("memory_mb", "0.3 MB"),
        ("memory_mb", "9" * 30),
        ("memory_mb", "9" * 4000),
        ("idle_timeout", "9" * 4000 + " d"),
        ("idle_timeout", "30"),
        ("idle_timeout", "30 parsecs"),
        ("idle_timeout", "30 min!"),
        ("kernels", "1.5"),
        ("kernels", "2 GB"),
        ("kernels", "٣"),
        ("kernels", "9" * 30),
        ("queues", ","),
        ("queues", "Unlimited"),
        ("queues", "night, unlimited"),
        ("memory_mb", "64,000 MB"),
        ("memory_mb", "2,000 GB"),
        ("memory_mb", "1,024"),
        ("memory_mb", "2,048,000 MB"),
        ("memory_mb", "4096 TB"),
        ("cores", "12,000"),
        ("cores", str(2**31)),
        ("lifetime", "1,000 d"),
    ],
)
def test_what_can_not_be_read_is_refused_with_an_example(field, text):
    with pytest.raises(ValueError, match=r"Write "):
        limits_typed.parse_value(field, text)


@pytest.mark.parametrize(
    ("limit", "text", "kind", "own"),
    [
        (Limit(value=4, source="default"), "default", "default", "for everyone"),
        (Limit(value="unlimited", source="default"), "default", "default", "no limit is set"),
        (Limit(value=4, source="group a b"), "group a b", "group", "from group a b"),
        (Limit(value=("x",), source="group a, b"), "group a, b", "group", "from groups a, b"),
        (Limit(value=4, source="user"), "user", "user", "set for you by an administrator"),
        (
            Limit(value=4, source="user", until=DECEMBER),
            "user until 1 Dec",
            "user",
            "set for you by an administrator until 1 Dec",
        ),
        (Limit(value=4, source="user", configured=True), "user", "user", "set for you in the Hub's configuration"),
    ],
)
def test_each_value_says_where_it_comes_from(limit, text, kind, own):
    badge = limits.badge(limit, NOW)
    assert (badge.text, badge.kind) == (text, kind)
    assert ("configuration" in badge.title) is limit.configured
    assert limits.source_words(limit, NOW) == own


def test_a_day_next_year_is_written_with_it():
    assert limits.day_words(DECEMBER + timedelta(days=40), NOW) == "10 Jan 2027"
    # The command line stores the end of a day as the beginning of the next one.
    assert limits.day_words(parse_time("2026-12-31"), NOW) == "31 Dec"


def test_the_inherited_value_is_told_with_its_place():
    assert limits.inherited_words("memory_mb", Limit(value=204800, source="group a")) == "200 GB (group a)"
    assert limits.inherited_words("kernels", Limit(value=4, source="default", configured=True)) == "4 (configuration)"
    in_file = Limit(value=4, source="group a", configured=True)
    assert limits.inherited_words("kernels", in_file, "group a") == "4 (configuration)"
    assert limits.inherited_words("kernels", in_file, "user") == "4 (group a)"


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", None),
        ("2026-12-01", DECEMBER),
        ("2026-11-23", datetime(2026, 11, 24, tzinfo=timezone.utc)),
    ],
)
def test_a_last_day_counts_until_its_end(text, end):
    assert limits_typed.read_until(text, NOW) == (end, "")
    if text:
        assert parse_time(text) == end, "as the command understands it"


@pytest.mark.parametrize(
    ("text", "says"),
    [("2026-11-22", "over"), ("tomorrow", "2026-12-01"), ("0001-01-01", "over"), ("9999-12-31", "2026-12-01")],
)
def test_a_last_day_that_makes_no_sense_is_said(text, says):
    end, error = limits_typed.read_until(text, NOW)
    assert end is None
    assert says in error


def test_only_what_differs_from_what_one_saw_is_changed():
    typed = limits_typed.read_form(
        {
            "choice.kernels": "value",
            "text.kernels": "4",
            "was.kernels": "4",
            "choice.memory_mb": "value",
            "text.memory_mb": "320 GB",
            "was.memory_mb": "204800",
            "choice.cores": "unlimited",
            "was.cores": "null",
            "choice.queues": "inherit",
            "was.queues": '["a"]',
            "reason": " more ",
            "revision": "7",
        },
        NOW,
    )
    assert typed.changes == {"memory_mb": 327680, "cores": "unlimited", "queues": None}
    body = limits_typed.change_body(typed, {})
    assert body == {
        "values": typed.changes,
        "until": None,
        "revision": 7,
        "reason": "more",
    }


@pytest.mark.parametrize(
    "form",
    [
        {"choice.nothing": "value", "choice.kernels": "evil", "was.kernels": "{" * 5000, "revision": "-1"},
        {"was.kernels": "[" * 4000, "revision": "9" * 40, "choice.cores": ""},
        {"was.cores": "true", "revision": "٣"},
    ],
)
def test_a_form_full_of_nonsense_changes_nothing(form):
    typed = limits_typed.read_form(form, NOW)
    assert typed.values == {}
    assert typed.revision is None
    with pytest.raises(PublicError, match="Nothing has been changed"):
        limits_typed.change_body(typed, {})


def test_an_end_date_alone_moves_the_end_of_values_that_have_one():
    typed = limits_typed.read_form({"until": "2026-12-01"}, NOW)
    own = {"cores": OwnValue(value=4, until=NOW + timedelta(days=1)), "kernels": OwnValue(value=2)}
    assert limits_typed.change_body(typed, own)["values"] == {"cores": 4}


def kept_form(**more):
    return {"choice.cores": "value", "text.cores": "4", "was.cores": "4", "kept.cores": "1", **more}


def test_a_value_that_ends_can_stay_as_it_is():
    typed = limits_typed.read_form(kept_form(), NOW)
    assert (typed.changes, typed.until, typed.wrong) == ({"cores": 4}, None, False)
    assert limits_typed.change_body(typed, {})["values"] == {"cores": 4}


def test_a_value_that_stays_gets_no_last_day_as_well():
    typed = limits_typed.read_form(kept_form(until="2026-12-01"), NOW)
    assert "no end" in typed.until_error
    own = {"cores": OwnValue(value=4, until=DECEMBER)}
    shown = fields_of(limits_form.field_groups(own, {}, typed, NOW))["cores"]
    assert (shown.kept, shown.until) == (True, "1 Dec")


def test_what_is_inherited_has_no_end_to_lose():
    typed = limits_typed.read_form(kept_form(**{"choice.cores": "inherit"}), NOW)
    assert typed.changes == {"cores": None}
    assert not typed.kept


def test_a_refusal_stands_beside_its_field():
    refused = PublicError("limits-invalid", "No.", numbers={"field": "cores"}, status=422)
    assert limits_typed.field_error(refused, FIELDS) == ("cores", "No.")
    assert limits_typed.field_error(PublicError("limits-invalid", "No.", numbers={"field": "x"}), FIELDS) is None
    assert limits_typed.field_error(PublicError("bad-request", "No.", numbers={"field": "cores"}), FIELDS) is None


async def test_only_warnings_that_were_seen_are_confirmed():
    sent = []

    async def send(seen):
        sent.append(seen)
        if not seen:
            raise PublicError("limits-need-confirmation", "Think.", details=["64 GB is much.", "alice is over."])
        return "done"

    seen = limits_form.warnings_digest(["64 GB is much.", "alice is over."])
    assert await confirmed(send, seen) == "done"
    assert sent == [False, True]
    for other in ("", "1", limits_form.warnings_digest(["32 GB is much."])):
        sent.clear()
        with pytest.raises(PublicError, match="Think"):
            await confirmed(send, other)
        assert sent == [False]


def fields_of(groups):
    return {one.name: one for group in groups for one in group.fields}


def test_the_form_shows_the_three_things_apart():
    own = {"kernels": OwnValue(value=0), "cores": OwnValue(value="unlimited"), "memory_mb": OwnValue(value=1024)}
    found = fields_of(limits_form.field_groups(own, {}, None, NOW))
    assert (found["kernels"].choice, found["kernels"].text, found["kernels"].was) == ("value", "0", "0")
    assert (found["cores"].choice, found["cores"].text) == ("unlimited", "")
    assert (found["memory_mb"].choice, found["memory_mb"].text) == ("value", "1 GB")
    assert (found["executors"].choice, found["executors"].was) == ("inherit", "null")


def test_what_was_typed_stays_when_it_can_not_be_saved():
    typed = limits_typed.read_form(
        {"choice.kernels": "value", "text.kernels": "many", "was.kernels": "2", "choice.cores": "unlimited"}, NOW
    )
    found = fields_of(limits_form.field_groups({"kernels": OwnValue(value=3)}, {}, typed, NOW))
    assert (found["kernels"].text, found["kernels"].was) == ("many", "2")
    assert "whole number" in found["kernels"].error
    assert found["cores"].choice == "unlimited"


def test_after_a_conflict_mine_stays_theirs_is_told_and_untouched_fields_are_current():
    typed = limits_typed.read_form(
        {
            "choice.kernels": "value",
            "text.kernels": "9",
            "was.kernels": "2",
            "choice.cores": "value",
            "text.cores": "5",
            "was.cores": "5",
        },
        NOW,
    )
    own = {"kernels": OwnValue(value=3), "cores": OwnValue(value=6)}
    found = fields_of(limits_form.field_groups(own, {}, typed, NOW, conflict=True))
    kernels, cores = found["kernels"], found["cores"]
    assert (kernels.text, kernels.was, kernels.meanwhile) == ("9", "3", "meanwhile: 3")
    assert (cores.text, cores.was, cores.meanwhile) == ("6", "6", "meanwhile: 6")


def test_for_several_people_nothing_is_chosen_at_first():
    found = fields_of(limits_form.blank_groups())
    assert {one.choice for one in found.values()} == {"keep"}
    typed = limits_typed.read_form({"choice.kernels": "keep", "choice.cores": "inherit"}, NOW)
    assert typed.values == {"cores": None}


def test_a_line_of_the_table():
    row = limits_table.person_row(
        person_of(
            limits={"kernels": Limit(value=4, source="default"), "memory_mb": Limit(value=2048, source="user")},
            own=("memory_mb", "idle_timeout"),
            used=Used(kernels=1, memory_mb=1536, cores=2),
            last_kernel_at=NOW - timedelta(hours=2),
        ),
        NOW,
    )
    assert [(cell.text, cell.badge.text) for cell in row.cells] == [
        ("4", "default"),
        ("2 GB", "user"),
        ("unlimited", "default"),
    ]
    assert row.use.share == 75.0
    assert row.use.words == "1.5 GB in 1 kernel, 2 cores"
    assert row.use.over == ""
    assert row.last_kernel == "2 h ago"
    assert row.own == "own: idle time"


def test_who_is_over_a_limit_is_marked_in_words():
    use = limits_table.use_of(
        person_of(
            limits={"memory_mb": Limit(value=1024, source="default")},
            used=Used(kernels=2, memory_mb=2048, cores=2),
            over=("memory_mb", "kernels"),
        )
    )
    assert (use.level, use.share, use.over) == ("full", 100.0, "memory, kernels")


@pytest.mark.parametrize("limit", [Limit(value="unlimited"), Limit(value=0), None])
def test_use_of_no_limit_or_none_allowed_draws_a_bar_that_is_right(limit):
    given = {"limits": {"memory_mb": limit} if limit else {}, "used": Used()}
    assert limits_table.use_of(person_of(**given)).share == 0.0


@pytest.mark.parametrize(
    ("address", "query"),
    [
        ({}, limits_table.Query()),
        ({"q": " al ", "page": "3", "sort": "used", "order": "desc"}, limits_table.Query("al", "used", "desc", page=3)),
        ({"sort": "'; drop", "order": "x", "filter": "x", "page": "-2", "per_page": "9999"}, limits_table.Query()),
        ({"page": "0"}, limits_table.Query()),
        ({"page": "9" * 30}, limits_table.Query()),
        ({"filter": "over", "per_page": "200"}, limits_table.Query(only="over", per_page=200)),
    ],
)
def test_an_address_is_read_and_nonsense_left_out(address, query):
    assert limits_table.read_query(address) == query


def test_heads_say_how_the_table_is_sorted_and_turn_it_round():
    found = {one.key: one for one in limits_table.heads(limits_table.Query(search="a b", sort="memory_mb", page=4))}
    assert found["memory_mb"].aria_sort == "ascending"
    assert found["memory_mb"].href == "?q=a+b&sort=memory_mb&order=desc"
    assert found["name"].aria_sort == "none"
    assert found["name"].href == "?q=a+b"
    assert found["used"].href == "?q=a+b&sort=used&order=desc"


@pytest.mark.parametrize(
    ("people", "words"),
    [
        (People(), "nobody"),
        (People(total=7), "none of 7"),
        (People(users=[person_of()], total=1204, page=3, per_page=50), "101\N{EN DASH}101 of 1,204"),
    ],
)
def test_which_lines_are_shown(people, words):
    assert limits_table.shown_words(people) == words


def test_a_group_shows_its_values_and_those_of_the_configuration():
    row = limits_table.subject_row(
        Subject(
            scope="group",
            name="a/b",
            members=1,
            own_values={"kernels": OwnValue(value=0, until=DECEMBER), "cores": OwnValue(value=None)},
            inherited={
                "kernels": Limit(value=9, source="group a/b", configured=True),
                "memory_mb": Limit(value=1024, source="group a/b", configured=True),
                "executors": Limit(value=3, source="default", configured=True),
            },
        ),
        NOW,
    )
    assert row.values == (("Kernels", "0 (none)", "until 1 Dec"), ("Memory, total", "1 GB", "configuration"))
    assert (row.key, row.members) == ("a%2Fb", "1 person")
    listed = Subject(
        scope="group", name="a", configured={"cores": 8, "kernels": 2}, own_values={"cores": OwnValue(value=4)}
    )
    assert limits_table.subject_row(listed, NOW).values == (
        ("Kernels", "2", "configuration"),
        ("Cores, total", "4", ""),
    )


def test_a_preview_tells_who_is_affected_who_keeps_and_who_would_be_over():
    lines = limits_words.preview_lines(
        Preview(affected=42, unchanged=8, names=["ann"], personal=["bob", "eve"], over=["carl"])
    )
    assert lines == (
        "affects 42 of 50 people: ann and 41 others",
        "8 keep other values: bob, eve and 6 others",
        "1 would be over their limit: carl; their running kernels stay, new ones are refused",
    )
    assert limits_words.preview_lines(Preview()) == ("affects 0 of 0 people",)


def test_the_history_tells_what_became_what():
    batch = Batch(
        batch="b",
        at=NOW - timedelta(minutes=5),
        who="admin",
        lines=[
            ChangeLine(scope="user", name="bob", field="memory_mb", before=None, after=1024, after_until=DECEMBER),
            ChangeLine(scope="default", field="kernels", before=0, after="unlimited"),
        ],
        left_off=3,
    )
    view = limits_words.batch_view(batch, NOW)
    assert [(line.subject, line.field, line.before, line.after) for line in view.lines] == [
        ("user bob", "Memory, total", "inherited", "1 GB until 1 Dec"),
        ("default", "Kernels", "0 (none)", "unlimited"),
    ]
    assert (view.hidden, view.ago) == (3, "5 min ago")


@pytest.mark.parametrize(
    ("who", "undone", "can"),
    [("lena", False, True), ("lena", True, False), ("(end date)", False, False), ("(configuration)", False, False)],
)
def test_only_what_somebody_did_can_be_undone(who, undone, can):
    view = limits_words.batch_view(Batch(batch="1", at=NOW, who=who, undone=undone), NOW)
    assert view.can_undo is can


def test_a_request_shows_its_decision():
    asked = LimitRequest(
        id=3,
        user="bob",
        field="memory_mb",
        wanted=4096,
        current=Limit(value=2048, source="group a"),
        created_at=NOW - timedelta(hours=1),
    )
    view = limits_words.request_view(asked, NOW)
    assert (view.wanted, view.wanted_text, view.current, view.source) == ("4 GB", "4 GB", "2 GB", "group a")
    assert (view.open, view.decision) == (True, "")
    granted = asked.model_copy(
        update={"state": "granted", "decided_by": "admin", "granted": 3072, "until": DECEMBER, "answer": "enjoy"}
    )
    view = limits_words.request_view(granted, NOW)
    assert (view.state, view.decision, view.answer) == ("granted", "3 GB until 1 Dec by admin", "enjoy")
    assert limits_words.request_view(asked.model_copy(update={"wanted": "unlimited"}), NOW).wanted_text == "unlimited"


MINE = MyLimits(
    user="alice",
    limits={
        "kernels": Limit(value=4, source="default"),
        "memory_mb": Limit(value=8192, source="group a"),
        "idle_timeout": Limit(value=1800, source="user"),
        "lifetime": Limit(value="unlimited", source="default"),
    },
    used=Used(kernels=2, memory_mb=6144, cores=3),
    kernels=[
        KernelUse(id="1", kernelspec="spark", display_name="Spark", memory_mb=4096, cores=2),
        KernelUse(id="2", kernelspec="python", memory_mb=2048, cores=1),
    ],
    over=["kernels"],
)


def test_my_limits_tell_what_is_free_and_who_holds_the_rest():
    rows = {row.name: row for group in my_limits.limit_groups(MINE, NOW) for row in group.rows}
    assert list(rows) == ["kernels", "memory_mb", "cores", "idle_timeout"]
    assert rows["memory_mb"].used == "6 GB of 8 GB in use, 2 GB free"
    assert rows["memory_mb"].kernels == ("Spark: 4 GB", "python: 2 GB")
    assert (rows["memory_mb"].share, rows["memory_mb"].level) == (75.0, "busy")
    assert rows["kernels"].over
    assert rows["kernels"].level == "full"
    assert (rows["cores"].used, rows["cores"].can_ask) == ("3 in use", False)
    assert (rows["idle_timeout"].value, rows["idle_timeout"].used) == ("30 min", "")
    assert "lifetime" in my_limits.unlimited_words(MINE)
    assert "memory, total" not in my_limits.unlimited_words(MINE)


def test_the_largest_kernel_in_words():
    found = my_limits.largest_view(
        Largest(
            driver_memory_mb=1024,
            driver_cores=1,
            executors=2,
            executor_memory_mb=2048,
            executor_cores=1,
            memory_mb=6144,
            cores=3,
        )
    )
    assert found.size == "6.0 GB and 3 vcores"
    assert found.parts == (
        ("Driver", "1.0 GB heap, 1 core"),
        ("Executors", "2 \N{MULTIPLICATION SIGN} 2.0 GB heap, 1 core"),
    )
    assert my_limits.largest_view(Largest(text="Nothing can start now.")).size == ""
    assert my_limits.largest_view(None) is None


def test_a_kernel_that_is_going_to_be_stopped_says_when_and_why():
    kernel = RunningKernel(
        id="k",
        kernelspec="spark",
        owner="alice",
        state="idle",
        memory_mb=2048,
        cores=2,
        stop_at=NOW + timedelta(minutes=9),
        stop_reason="idle for 30 min, your limit.",
    )
    (row,) = running.kernel_rows([kernel], None, {}, NOW)
    assert row.stop == "in 9 min: idle for 30 min, your limit"
    assert row.holds == "2.0 GB · 2 cores of the limits"
    assert running.stop_words(RunningKernel(id="k", kernelspec="s", owner="a", state="idle"), NOW) == ""


@pytest.mark.parametrize(
    ("field", "advice"),
    [("idle_timeout", "Run something in it to keep it"), ("lifetime", "running something does not keep it")],
)
def test_nobody_is_told_that_work_keeps_a_kernel_whose_lifetime_is_over(field, advice):
    kernel = RunningKernel(id="k", kernelspec="s", owner="a", state="idle", stop_at=NOW, stop_field=field)
    mine = MyLimits(user="a", kernels=[KernelUse(id="k", kernelspec="s", display_name="Python")])
    other = RunningKernel(id="o", kernelspec="s", owner="a", state="idle")
    (row,) = my_limits.stopping_rows([kernel, other], mine, NOW)
    assert advice in row.stop_advice
    assert row.title == "Python"
    assert running.stop_advice(other) == ""


@pytest.mark.parametrize(("total", "last"), [(0, 1), (1, 1), (50, 1), (51, 2), (2000, 40)])
def test_the_last_page_is_known(total, last):
    assert limits_table.last_page(People(total=total)) == last


def test_kernels_that_ended_keep_their_reason():
    ended = EndedKernel(
        id="k",
        kernelspec="spark",
        started_at=NOW - timedelta(hours=3),
        ended_at=NOW - timedelta(hours=1),
        reason="Idle for 30 min.",
    )
    (row,) = running.ended_rows([ended], {"spark": "Spark"}, NOW)
    assert (row.title, row.ended, row.ran, row.reason) == ("Spark", "1 h ago", "2 h", "Idle for 30 min.")
    (bare,) = running.ended_rows([EndedKernel(id="k")], {}, NOW)
    assert bare.reason == "no reason is known"
