"""The pages about limits inside the Hub's templates: nothing from the API is markup, every field has a name."""

import re
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest

from hub_ext.errors import PublicError
from hub_portal.limits_models import (
    Batch,
    Bound,
    ChangeLine,
    EndedKernel,
    FilePlan,
    KernelUse,
    Largest,
    Limit,
    LimitRequest,
    MyLimits,
    OwnValue,
    People,
    PersonLimits,
    Refused,
    Subject,
    Used,
)
from hub_portal.models import RunningKernel
from hub_portal.rendering import make_environment
from hub_portal.views.limits import LABELS
from hub_portal.views.limits_form import Editor, blank_groups, field_groups, warnings_digest
from hub_portal.views.limits_table import Query, heads, person_row, person_rows, shown_words, subject_row
from hub_portal.views.limits_typed import read_form
from hub_portal.views.limits_words import batch_view, request_view
from hub_portal.views.my_limits import largest_view, largest_words, limit_groups, refused_views
from hub_portal.views.running import ended_rows, kernel_rows
from tests.unit.test_portal_rendering import NASTY, context

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
REFUSED = PublicError("limits-changed", NASTY, details=[NASTY], remedy=NASTY, status=409)
PERSON = PersonLimits(
    name=NASTY,
    groups=(NASTY,),
    limits={"kernels": Limit(value=1, source=f"group {NASTY}", until=NOW)},
    used=Used(kernels=2, memory_mb=900, cores=2),
    over=("kernels",),
)
GROUP = Subject(scope="group", name=NASTY, own_values={"queues": OwnValue(value=(NASTY,))}, members=3)
QUERY = Query(search=NASTY)
REQUESTS = [
    request_view(one, NOW, PERSON)
    for one in (
        LimitRequest(id=1, user=NASTY, field="queues", wanted=(NASTY,), reason=NASTY, created_at=NOW),
        LimitRequest(id=2, user=NASTY, field="cores", wanted=3, state="declined", decided_by=NASTY, answer=NASTY),
    )
]
CHANGE = batch_view(
    Batch(
        batch=NASTY,
        at=NOW,
        who=NASTY,
        reason=NASTY,
        lines=[ChangeLine(scope="user", name=NASTY, field="queues", before=(NASTY,), after=None)],
    ),
    NOW,
)
MINE = MyLimits(
    user="alice",
    limits={"queues": Limit(value=(NASTY,), source=f"group {NASTY}"), "kernels": Limit(value=1, source="user")},
    used=Used(kernels=1),
    kernels=[KernelUse(id="1", kernelspec=NASTY, display_name=NASTY)],
)
KERNELS = kernel_rows(
    [RunningKernel(id="k", kernelspec="s", owner="a", state="idle", stop_at=NOW, stop_reason=NASTY, memory_mb=1)],
    None,
    {"s": NASTY},
    NOW,
)


def editor(scope, name, **more):
    typed = read_form({"choice.queues": "value", "text.queues": NASTY, "choice.cores": "value", "reason": NASTY}, NOW)
    inherited = {"queues": Limit(value=(NASTY,), source=NASTY)}
    groups = field_groups({}, inherited, typed, NOW)
    return Editor(scope=scope, name=name, key="k", groups=groups, affects_others=scope != "user", reason=NASTY, **more)


def users_page():
    people = People(users=[PERSON], total=1)
    return {
        "rows": person_rows(people, NOW),
        "revisions": {NASTY: 1},
        "counts": {"all": 1},
        "groups": 2,
        "heads": heads(QUERY),
        "query": QUERY,
        "shown": shown_words(people),
        "total": 1,
        "more": True,
        "open_requests": 1,
    }


PAGES = {
    "limits_users.html": users_page(),
    "limits_user.html": {"row": person_row(PERSON, NOW), "editor": editor("user", NASTY, conflict_error=REFUSED)},
    "limits_groups.html": {"rows": [subject_row(GROUP, NOW)], "groups": 1},
    "limits_group.html": {
        "row": subject_row(GROUP, NOW),
        "editor": editor("group", NASTY, warnings=(NASTY,)),
        "preview": (NASTY,),
    },
    "limits_default.html": {"editor": editor("default", "", problem=REFUSED), "preview": (NASTY,)},
    "limits_batch.html": {
        "chosen": {NASTY: 1},
        "editor": Editor(scope="batch", name="", key="b", groups=blank_groups(), conflict_error=REFUSED),
    },
    "limits_history.html": {
        "batches": [CHANGE],
        "total": 1,
        "page": 2,
        "more": True,
        "shown": {"scope": "", "name": NASTY, "who": NASTY, "field": ""},
        "labels": LABELS,
    },
    "limits_undo.html": {"batch": NASTY, "change": CHANGE, "refusal": REFUSED, "reason": NASTY},
    "limits_requests.html": {"requests": REQUESTS, "open": 1, "state": "all", "page": 1},
    "limits_decide.html": {
        "request": REQUESTS[0],
        "decision": "grant",
        "typed": {"value_text": NASTY, "value_error": NASTY},
        "refusal": REFUSED,
        "warnings": (NASTY,),
        "seen": "0123",
    },
    "limits_import.html": {
        "text": f"</textarea>{NASTY}",
        "plan": FilePlan(changes=(NASTY,), warnings=(NASTY,), plan=NASTY),
        "reason": NASTY,
        "merge": True,
        "refusal": REFUSED,
    },
    "my_limits.html": {
        "groups": limit_groups(MINE, NOW),
        "requests": REQUESTS,
        "over": [NASTY],
        "refused": refused_views([Refused(kernelspec=NASTY, at=NOW, count=2, lines=(NASTY, "more"))]),
    },
    "limits_ask.html": {
        "field": "queues",
        "label": "Queues",
        "current": NASTY,
        "source": NASTY,
        "wanted": NASTY,
        "reason": f"</textarea>{NASTY}",
        "error": NASTY,
        "refusal": REFUSED,
    },
    "my_kernels.html": {
        "rows": KERNELS,
        "ended": ended_rows([EndedKernel(id="1", kernelspec="s", reason=NASTY)], {"s": NASTY}, NOW),
    },
}


class Outline(HTMLParser):
    """What a reader of the page's structure meets."""

    NAMELESS = ("hidden", "submit")

    def __init__(self):
        super().__init__()
        self.ids, self.labelled, self.fields, self.posts, self.forms_open = [], set(), [], [], 0

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "label":
            self.labelled.add(given.get("for"))
        if tag in ("input", "select", "textarea") and given.get("type") not in self.NAMELESS:
            self.fields.append(given)
        if tag == "form" and given.get("method") == "post":
            self.posts.append(0)
            self.forms_open += 1
        if tag == "input" and given.get("name") == "_xsrf":
            self.posts[-1] += 1


@pytest.fixture(scope="module")
def environment():
    return make_environment()


def rendered(environment, name, **more):
    scopes = frozenset({"custom:limits:admin"})
    return environment.get_template(f"portal/{name}").render(context(scopes=scopes, **{**PAGES[name], **more}))


@pytest.mark.parametrize("name", PAGES)
def test_nothing_from_the_api_is_markup(environment, name):
    html = rendered(environment, name)
    assert NASTY not in html
    assert "</textarea><script>" not in html
    assert html.count('aria-current="page"') == 1


@pytest.mark.parametrize("name", PAGES)
def test_every_field_has_a_name_every_form_its_token_and_every_id_stands_once(environment, name):
    html = rendered(environment, name)
    found = Outline()
    found.feed(html)
    assert [one for one in found.ids if found.ids.count(one) > 1] == []
    for field in found.fields:
        assert field.get("aria-label") or field.get("id") in found.labelled, field
    assert set(found.posts) <= {1}
    for reference in re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', html):
        assert reference in found.ids or reference == "confirm-title"
    assert len(re.findall(r"<h1[ >]", html)) == 1


@pytest.mark.parametrize("name", PAGES)
def test_pages_about_limits_work_without_scripts(environment, name):
    """Whatever a script asks for is also the address of the link or form itself."""
    html = rendered(environment, name)
    for tag in re.findall(r"<(?:a|form)\b[^>]*>", html):
        fetched = re.search(r'hx-(?:get|post)="([^"]+)"', tag)
        if not fetched or "data-cancel" in tag:
            continue
        own = re.search(r'(?:href|action)="([^"]+)"', tag)
        assert own, tag
        assert own.group(1) == fetched.group(1)


def test_the_bar_leads_to_user_limits_only_with_the_right(environment):
    page = environment.get_template("portal/my_limits.html")
    assert "/admin/limits" not in page.render(context(**PAGES["my_limits.html"]))
    assert 'href="/jh/services/portal/admin/limits"' in rendered(environment, "my_limits.html")


def test_without_refusal_there_is_no_empty_box(environment):
    for name in ("limits_ask.html", "limits_undo.html", "limits_decide.html", "limits_import.html"):
        html = rendered(environment, name, refusal=None, warnings=())
        assert 'role="alert"' not in html, name


def test_what_confirms_warnings_stands_for_them_alone(environment):
    digest = warnings_digest((NASTY,))
    assert f'value="{digest}"' in rendered(environment, "limits_group.html")
    html = rendered(environment, "limits_decide.html")
    assert re.search(r'name="confirmed"\s+value="0123">Grant anyway', html)
    assert "Grant anyway" not in rendered(environment, "limits_decide.html", warnings=())


def test_pasted_text_keeps_its_first_empty_line(environment):
    # The first line break inside a textarea is none.
    assert ">\n\n  default:" in rendered(environment, "limits_import.html", text="\n  default: {}")


def test_a_conflict_offers_mine_and_theirs(environment):
    html = rendered(environment, "limits_user.html")
    assert "Save mine over it" in html
    assert "Take theirs" in html


def test_a_notice_of_a_stop_is_on_every_page_about_own_kernels(environment):
    for name in ("portal/my_kernels_live.html", "portal/cluster_live.html", "portal/my_limits_live.html"):
        html = environment.get_template(name).render(context(rows=KERNELS, stopping=KERNELS, view=None))
        assert "will be stopped at" in html
        assert (NOW + timedelta()).isoformat() in html


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


def test_that_no_kernel_can_start_has_its_reasons_beside_it(environment):
    bounds = [Bound(field="kernels", text="You may have 2 kernels and have 2.")]
    largest = largest_view(Largest(text="No kernel can start now.", bound_by=bounds))
    html = environment.get_template("portal/my_limits_live.html").render(context(largest=largest))
    assert "No kernel can start now. You may have 2 kernels and have 2." in text_of(html)


@pytest.mark.parametrize(
    ("largest", "error", "words"),
    [
        (Largest(driver_memory_mb=1024, driver_cores=1, memory_mb=4608, cores=3), "", "4.5 GB and 3 vcores"),
        (Largest(text="No kernel can start now."), "", "No kernel can start now."),
        (None, "The cluster does not answer.", "not known now. The cluster does not answer."),
        (None, "", "not known now."),
    ],
)
def test_the_largest_kernel_is_said_in_a_line_or_why_it_is_not_known(largest, error, words):
    assert largest_words(largest, error) == words


def test_refused_starts_say_what_was_said_and_how_often(environment):
    refused = [Refused(kernelspec="spark", display_name="Spark", at=NOW, count=3, lines=("Too many.", "2 of 2."))]
    html = environment.get_template("portal/my_limits_live.html").render(context(refused=refused_views(refused)))
    assert "Refused in the last day Spark 2026-11-23 12:00 UTC, 3 times Too many." in text_of(html)
    assert "2 of 2." in html


def test_many_kernels_are_counted_in_words_that_stand_apart(environment):
    kernels = [KernelUse(id=str(number), display_name=f"K{number}") for number in range(6)]
    mine = MINE.model_copy(update={"kernels": tuple(kernels), "used": Used(kernels=6)})
    html = environment.get_template("portal/my_limits_live.html").render(context(groups=limit_groups(mine, NOW)))
    assert "by K0; K1; K2; K3 and 2 more" in text_of(html)


def test_an_empty_page_of_a_full_table_does_not_say_that_nobody_came(environment):
    gone = rendered(environment, "limits_users.html", rows=(), query=Query(page=9))
    assert "Nobody matches" in gone
    assert "Nobody has logged in yet" in rendered(environment, "limits_users.html", rows=(), counts={"all": 0})


def test_the_keyboard_goes_to_the_notice_and_not_to_the_button_below_it(environment):
    for name, more in (
        ("limits_user.html", {"editor": editor("user", NASTY, conflict_error=REFUSED)}),
        ("limits_group.html", {"editor": editor("group", NASTY, warnings=(NASTY,))}),
        ("limits_batch.html", {}),
        ("limits_decide.html", {}),
    ):
        html = rendered(environment, name, **more)
        assert [tag.split()[0] for tag in re.findall(r"<[^>]*data-focus[^>]*>", html)] == ["<div"], name
