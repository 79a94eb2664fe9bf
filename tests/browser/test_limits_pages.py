"""The pages about limits in a real browser, on the running platform: who sets them, and who lives with them.

With ``HUB_EXT_SCREENSHOTS`` set to a folder the pictures of the documentation are written there.
"""

import re
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import expect

from tests.browser.conftest import SECONDS, suspended, take_picture
from tests.support import TIMEOUT, bearer, wait_for

PORTAL = "/services/portal/"
SCOPES = ("access:services!service=gateway", "read:users:groups!user", "read:users:name!user", "custom:limits:admin")
WIDTHS = (360, 1280, 2560)
PAGES = {
    "limits-admin": "admin/limits",
    "limits-edit": "admin/limits/user/bob",
    "limits-groups": "admin/limits/groups",
    "limits-group": "admin/limits/group/analytics",
    "limits-default": "admin/limits/default",
    "limits-default-edit": "admin/limits/default/edit",
    "limits-history": "admin/limits/history",
    "limits-requests": "admin/limits/requests",
    "limits-import": "admin/limits/import",
}


class Limits:
    """The gateway's limits, as an administrator's program calls them."""

    def __init__(self, platform, name="admin", scopes=SCOPES):
        self.base = f"{platform.gateway}/limits"
        self.headers = bearer(platform.person(name).token(*scopes)[0])

    def call(self, method, path, **more):
        headers = {**self.headers, **more.pop("headers", {})}
        answer = requests.request(method, f"{self.base}/{path}", headers=headers, timeout=TIMEOUT, **more)
        assert answer.status_code < 300, answer.text
        return answer

    def get(self, path):
        return self.call("GET", path).json()

    def set(self, path, reason="", until=None, **values):
        body = {"values": values, "confirmed": True, "reason": reason, "until": until}
        return self.call("PATCH", path, json=body).json()

    def value(self, name, field):
        return self.get(f"users/{name}")["limits"][field]


@pytest.fixture
def limits(platform):
    """Everything as it was before, afterwards."""
    admin = Limits(platform)
    before = admin.call("GET", "export").content
    yield admin
    kind = {"Content-Type": "application/yaml"}
    admin.call("POST", "import?dry_run=false&merge=false&confirmed=true", data=before, headers=kind)
    for one in admin.get("requests?state=open")["requests"]:
        admin.call("POST", f"requests/{one['id']}/decline", json={})


def open_admin(platform, logged_in, path="admin/limits", **more):
    """Open a page of an administrator that notices when it is loaded anew."""
    page = logged_in("admin", **more)
    page.goto(f"{platform.url}{PORTAL}{path}")
    if more.get("java_script_enabled", True):
        page.evaluate("window.stillHere = true")
    return page


def assert_not_reloaded(page):
    assert page.evaluate("window.stillHere === true")


def row_of(page, name):
    return page.locator("tbody.subject", has=page.locator(f".name:text-is('{name}')"))


def choose(page, label, choice, text=""):
    page.get_by_label(f"{label}: which value").select_option(choice)
    if text:
        page.get_by_label(f"{label}: own value").fill(text)


def said(page):
    return page.locator("#said")


def test_a_scientist_sees_the_limits_before_meeting_them(platform, logged_in, limits):
    limits.set("users/alice", memory_mb=5120)
    page = logged_in("alice")
    page.get_by_role("link", name="My limits").click()
    expect(page.get_by_role("heading", name="My limits", level=1)).to_be_visible()
    memory = page.get_by_role("row", name=re.compile("^Memory, total"))
    expect(memory).to_contain_text("5 GB")
    expect(memory).to_contain_text("set for you by an administrator")
    expect(memory).to_contain_text("0 of 5 GB in use, 5 GB free")
    kernels = page.get_by_role("row", name=re.compile("^Kernels"))
    expect(kernels).to_contain_text("from group analytics")
    largest = page.get_by_role("region", name="The largest kernel you could start now")
    expect(largest).to_contain_text(re.compile(r"\d+\.\d [GM]B and \d+ vcores?"), timeout=20 * SECONDS)
    expect(largest).to_contain_text("What keeps it from being larger")


def test_an_administrator_edits_in_place(platform, logged_in, limits):
    page = open_admin(platform, logged_in)
    row_of(page, "bob").get_by_role("link", name="Edit bob").click()
    form = page.get_by_role("form", name="Limits of bob")
    expect(form.get_by_label("Kernels: which value")).to_be_focused()
    memory = form.get_by_role("group", name="Memory, total")
    expect(memory).to_contain_text("inherits 6 GB (configuration)", use_inner_text=True)
    choose(page, "Memory, total", "value", "lots")
    form.get_by_role("button", name="Save").click()
    wrong = form.get_by_label("Memory, total: own value")
    expect(wrong).to_be_focused()
    expect(wrong).to_have_value("lots")
    expect(wrong).to_have_accessible_description(re.compile("Write a size like 64 GB"))
    wrong.fill("4 GB")
    expect(memory).to_contain_text("inherited would be 6 GB (configuration)", use_inner_text=True)
    choose(page, "Executors", "value", "0")
    choose(page, "Cores, total", "unlimited")
    form.get_by_label("Reason").fill("a trial")
    form.get_by_role("button", name="Save").click()
    expect(said(page)).to_contain_text("Saved")
    expect(form).to_have_count(0)
    expect(page.get_by_role("link", name="Edit bob")).to_be_focused()
    expect(row_of(page, "bob")).to_contain_text("4 GB user")
    expect(row_of(page, "bob")).to_contain_text("unlimited user")
    expect(row_of(page, "bob")).to_contain_text("own: executors")
    expect(page.get_by_label("Select bob")).to_be_visible()
    assert_not_reloaded(page)
    own = limits.get("users/bob")["own_values"]
    assert {field: one["value"] for field, one in own.items()} == {
        "memory_mb": 4096,
        "cores": "unlimited",
        "executors": 0,
    }
    newest = limits.get("history")["batches"][0]
    assert (newest["who"], newest["reason"]) == ("admin", "a trial")


def test_what_makes_no_sense_is_asked_about_first(platform, logged_in, limits):
    page = open_admin(platform, logged_in)
    row_of(page, "bob").get_by_role("link", name="Edit bob").click()
    choose(page, "Memory, total", "value", "900 GB")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing is saved yet. Is this meant?")
    expect(page.get_by_role("alert")).to_be_focused()
    assert limits.value("bob", "memory_mb")["source"] != "user"
    # What is typed after the warning has not been asked about.
    choose(page, "Memory, total", "value", "800 GB")
    page.get_by_role("button", name="Save anyway").click()
    expect(page.get_by_role("alert")).to_contain_text("800 GB")
    assert limits.value("bob", "memory_mb")["source"] != "user"
    page.get_by_role("button", name="Save anyway").press("Enter")
    expect(said(page)).to_contain_text("Saved")
    assert limits.value("bob", "memory_mb")["value"] == 800 * 1024
    assert_not_reloaded(page)


def test_the_keyboard_alone_sets_a_limit_until_a_day(platform, logged_in, limits):
    page = open_admin(platform, logged_in)
    edit = page.get_by_role("link", name="Edit alice")
    tab_to(page, edit)
    page.keyboard.press("Enter")
    kernels = page.get_by_label("Kernels: which value")
    expect(kernels).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("form", name="Limits of alice")).to_have_count(0)
    expect(edit).to_be_focused()
    page.keyboard.press("Enter")
    expect(kernels).to_be_focused()
    page.keyboard.press("o")  # "own value", as the letter chooses in every list
    expect(page.get_by_label("Kernels: own value")).to_be_focused()
    page.keyboard.type("7")
    day = page.get_by_label("Last day (optional)")
    tab_to(page, day)
    later = datetime.now(timezone.utc) + timedelta(days=20)
    type_day(page, day, later)
    page.keyboard.press("Enter")
    expect(said(page)).to_contain_text("Saved")
    expect(edit).to_be_focused()
    expect(row_of(page, "alice")).to_contain_text(f"7 user until {later.day} {later:%b}")
    # To the end of that day.
    assert limits.value("alice", "kernels")["until"].startswith(f"{later + timedelta(days=1):%Y-%m-%d}T00:00")
    assert_not_reloaded(page)


def tab_to(page, locator, most=80):
    """Go to something by keyboard."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if locator.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("Tab does not lead there")


def type_day(page, field, day):
    """Type a date by keyboard, in the order in which this browser wants it."""
    for order in ("%m%d%Y", "%d%m%Y"):
        page.keyboard.type(day.strftime(order))
        if field.input_value() == f"{day:%Y-%m-%d}":
            return
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
    raise AssertionError(f"The day can't be typed: {field.input_value()!r}")


def test_two_administrators_do_not_overwrite_each_other_unknowingly(platform, logged_in, limits):
    page = open_admin(platform, logged_in)
    other = open_admin(platform, logged_in)
    for one in (page, other):
        row_of(one, "bob").get_by_role("link", name="Edit bob").click()
        expect(one.get_by_role("form", name="Limits of bob")).to_be_visible()
    choose(other, "Kernels", "value", "2")
    other.get_by_role("button", name="Save").click()
    expect(said(other)).to_contain_text("Saved")
    choose(page, "Kernels", "value", "9")
    choose(page, "Cores, total", "value", "4")
    page.get_by_role("button", name="Save").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("admin")
    expect(alert).to_contain_text("nothing of it is saved yet")
    expect(page.get_by_role("group", name="Kernels", exact=True)).to_contain_text("meanwhile: 2")
    expect(page.get_by_label("Kernels: own value")).to_have_value("9")
    assert limits.value("bob", "kernels")["value"] == 2
    page.get_by_role("link", name="Take theirs").click()
    expect(page.get_by_label("Kernels: own value")).to_have_value("2")
    expect(alert).to_have_count(0)
    limits.set("users/bob", kernels=5)
    choose(page, "Kernels", "value", "9")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("group", name="Kernels", exact=True)).to_contain_text("meanwhile: 5")
    page.get_by_role("button", name="Save mine over it").click()
    expect(said(page)).to_contain_text("Saved")
    assert limits.value("bob", "kernels")["value"] == 9
    assert_not_reloaded(page)


def test_a_groups_change_is_previewed_while_it_is_typed(platform, logged_in, limits):
    limits.set("users/alice", kernels=2)
    page = open_admin(platform, logged_in, "admin/limits/groups")
    expect(row_of(page, "analytics")).to_contain_text("Memory, total 8 GB configuration")
    page.get_by_role("link", name="Edit group analytics").click()
    form = page.get_by_role("form", name="Limits of group analytics")
    preview = form.locator(".preview")
    choose(page, "Memory, total", "value", "5 GB")
    expect(preview).to_contain_text("affects 1 of 1 person: alice")
    choose(page, "Memory, total", "inherit")
    choose(page, "Kernels", "value", "3")
    expect(preview).to_contain_text("affects 0 of 1 person")
    expect(preview).to_contain_text("keeps another value: alice")
    form.get_by_role("button", name="Save").click()
    expect(said(page)).to_contain_text("Saved for group analytics")
    expect(page.get_by_role("link", name="Edit group analytics")).to_be_focused()
    expect(row_of(page, "analytics")).to_contain_text("Kernels 3")
    assert_not_reloaded(page)
    page.get_by_role("link", name="Default").click()
    page.get_by_role("link", name="Edit the default").click()
    choose(page, "Idle time", "value", "2 h")
    expect(page.locator(".preview")).to_contain_text(re.compile(r"affects \d+ of \d+ people"))
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".subject")).to_contain_text("Idle time 2 h")
    assert limits.value("bob", "idle_timeout") == {
        "value": 7200,
        "source": "default",
        "until": None,
        "configured": False,
    }


def test_several_people_are_changed_together_and_it_can_be_undone(platform, logged_in, limits):
    page = open_admin(platform, logged_in)
    expect(page.get_by_role("button", name="Edit selection")).to_be_disabled()
    page.get_by_label("Select alice").check()
    page.get_by_label("Select bob").check()
    page.get_by_role("searchbox").fill("bob")
    expect(row_of(page, "alice")).to_have_count(0)
    expect(page.get_by_text("2 selected", exact=True)).to_be_visible()
    page.get_by_role("button", name="Edit selection").click()
    form = page.get_by_role("form", name="Limits of 2 people")
    expect(form).to_contain_text("alice, bob")
    choose(page, "Lifetime", "value", "1 d")
    form.get_by_role("button", name="Save for 2").click()
    expect(said(page)).to_contain_text("Saved for 2 people")
    expect(form).to_have_count(0)
    expect(row_of(page, "bob")).to_contain_text("own: lifetime")
    assert_not_reloaded(page)
    assert [limits.value(name, "lifetime")["value"] for name in ("alice", "bob")] == [86400, 86400]
    page.get_by_role("link", name="History").click()
    page.evaluate("window.stillHere = true")
    newest = page.locator("#history tbody tr").first
    expect(newest).to_contain_text("Lifetime: inherited")
    newest.get_by_role("link", name=re.compile("^Undo")).click()
    dialog = page.get_by_role("dialog", name="Undo this change?")
    expect(dialog).to_contain_text("user alice, Lifetime")
    dialog.get_by_label("Reason").fill("not yet")
    dialog.get_by_role("button", name="Undo it").click()
    expect(said(page)).to_contain_text("undone")
    expect(dialog).to_be_hidden()
    expect(newest).to_contain_text("takes an earlier change back")
    expect(page.locator("#history tbody tr").nth(1)).to_contain_text("undone")
    assert_not_reloaded(page)
    assert limits.get("users/alice")["own"] == []


def test_the_keyboard_alone_changes_several_people_a_group_and_takes_it_back(platform, logged_in, limits):
    page = open_admin(platform, logged_in)
    for name in ("alice", "bob"):
        tab_to(page, page.get_by_label(f"Select {name}"))
        page.keyboard.press("Space")
    # Beside the search, before the table: once around.
    tab_to(page, page.get_by_role("button", name="Edit selection"), 120)
    page.keyboard.press("Enter")
    form = page.get_by_role("form", name="Limits of 2 people")
    expect(form).to_be_visible()
    executors = page.get_by_label("Executors: which value")
    tab_to(page, executors)
    page.keyboard.press("o")
    expect(page.get_by_label("Executors: own value")).to_be_focused()
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    expect(said(page)).to_contain_text("Saved for 2 people")
    assert [limits.value(name, "executors")["value"] for name in ("alice", "bob")] == [3, 3]
    tab_to(page, page.get_by_role("link", name="History"), 120)
    page.keyboard.press("Enter")
    newest = page.locator("#history tbody tr").first
    expect(newest).to_contain_text("Executors: inherited")
    tab_to(page, newest.get_by_role("link", name=re.compile("^Undo")))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Undo this change?")
    tab_to(page, dialog.get_by_role("button", name="Undo it"), 10)
    page.keyboard.press("Enter")
    expect(said(page)).to_contain_text("undone")
    assert limits.get("users/alice")["own"] == []

    page.goto(f"{platform.url}{PORTAL}admin/limits/groups")
    edit = page.get_by_role("link", name="Edit group analytics")
    tab_to(page, edit)
    page.keyboard.press("Enter")
    kernels = page.get_by_label("Kernels: which value")
    expect(kernels).to_be_focused()
    page.keyboard.press("o")
    page.keyboard.type("6")
    page.keyboard.press("Enter")
    expect(said(page)).to_contain_text("Saved for group analytics")
    expect(edit).to_be_focused()


def test_the_keyboard_alone_grants_a_wish(platform, logged_in, limits):
    person = logged_in("bob")
    person.goto(f"{platform.url}{PORTAL}my-limits")
    ask = person.get_by_role("link", name=re.compile("^Ask for more: Kernels"))
    tab_to(person, ask)
    person.keyboard.press("Enter")
    dialog = person.get_by_role("dialog")
    expect(dialog.get_by_label("How much you need")).to_be_focused()
    person.keyboard.type("9")
    tab_to(person, dialog.get_by_label("What for"), 10)
    person.keyboard.type("two notebooks more")
    tab_to(person, dialog.get_by_role("button", name="Ask", exact=True), 5)
    person.keyboard.press("Enter")
    expect(said(person)).to_contain_text("You have asked for 9")
    page = open_admin(platform, logged_in, "admin/limits/requests")
    tab_to(page, page.get_by_role("link", name=re.compile("^Grant")))
    page.keyboard.press("Enter")
    grant = page.get_by_role("dialog", name="Grant the request of bob?").get_by_role("button", name="Grant", exact=True)
    tab_to(page, grant, 12)
    page.keyboard.press("Enter")
    expect(said(page)).to_contain_text("The request of bob was granted.")
    assert limits.value("bob", "kernels")["value"] == 9


def test_the_history_is_searched(platform, logged_in, limits):
    limits.set("users/alice", kernels=2, reason="first")
    limits.set("groups/research", cores=3, reason="second")
    page = open_admin(platform, logged_in, "admin/limits/history")
    page.get_by_label("Named").fill("research")
    expect(page.locator("#history tbody tr").first).to_contain_text("second")
    expect(page.get_by_text("first", exact=True)).to_have_count(0)
    page.get_by_label("Named").fill("")
    page.get_by_label("Limit", exact=True).select_option("kernels")
    expect(page.get_by_text("second", exact=True)).to_have_count(0)
    expect(page.locator("#history tbody tr").first).to_contain_text("first")
    expect(page).to_have_url(re.compile("field=kernels"))


def test_the_table_is_searched_sorted_and_filtered(platform, logged_in, limits):
    limits.set("users/alice", memory_mb=2048)
    page = open_admin(platform, logged_in)
    names = page.locator("tbody.subject .name")
    expect(names).to_have_text(["admin", "alice", "bob"])
    page.get_by_role("link", name="Memory, total").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Memory, total")
    expect(names.last).to_have_text("alice")
    expect(page.get_by_role("link", name="Memory, total")).to_be_focused()
    page.get_by_role("link", name=re.compile("^With own values 1")).click()
    expect(names).to_have_text(["alice"])
    page.get_by_role("link", name=re.compile("^With own values")).click()
    page.get_by_role("searchbox").fill("research")
    expect(names).to_have_text(["bob"])
    expect(page).to_have_url(re.compile(r"\?q=research&sort=memory_mb&order=desc$"))
    expect(page.locator("#heard")).to_contain_text("of 1")
    page.get_by_role("searchbox").fill("nobody like that")
    expect(page.get_by_text("Nobody matches.")).to_be_visible()
    assert_not_reloaded(page)


def test_a_wish_is_granted_until_a_day_and_its_owner_sees_it(platform, logged_in, limits):
    page = logged_in("alice")
    page.goto(f"{platform.url}{PORTAL}my-limits")
    page.get_by_role("link", name="Ask for more: Memory, total").press("Enter")
    dialog = page.get_by_role("dialog", name="Ask for more: Memory, total")
    wanted = dialog.get_by_label("How much you need")
    expect(wanted).to_be_focused()
    page.keyboard.type("more")
    page.keyboard.press("Enter")
    expect(wanted).to_have_accessible_description(re.compile("Write a size like"))
    wanted.fill("10 GB")
    dialog.get_by_label("What for").fill("<b>The churn model</b>, for two weeks")
    dialog.get_by_role("button", name="Ask", exact=True).click()
    expect(said(page)).to_contain_text("You have asked for 10 GB")
    expect(dialog).to_be_hidden()
    mine = page.get_by_role("region", name="My requests")
    expect(mine).to_contain_text("8 GB")
    expect(mine).to_contain_text("<b>The churn model</b>, for two weeks")
    expect(mine).to_contain_text("open")

    admin = open_admin(platform, logged_in)
    badge = admin.get_by_role("link", name=re.compile("^Requests"))
    expect(badge).to_contain_text("1")
    badge.click()
    admin.evaluate("window.stillHere = true")
    request = admin.get_by_role("listitem").filter(has_text="alice")
    expect(request).to_contain_text("uses now: nothing")
    request.get_by_role("link", name=re.compile("^Grant")).click()
    dialog = admin.get_by_role("dialog", name="Grant the request of alice?")
    dialog.get_by_label("New value").fill("9 GB")
    until = datetime.now(timezone.utc) + timedelta(days=14)
    dialog.get_by_label("Last day").fill(f"{until:%Y-%m-%d}")
    dialog.get_by_label("A word to alice").fill("then we look again")
    dialog.get_by_role("button", name="Grant", exact=True).click()
    expect(said(admin)).to_contain_text("The request of alice was granted.")
    expect(admin.locator("#requests")).to_contain_text("No request is open.")
    assert_not_reloaded(admin)

    memory = page.get_by_role("row", name=re.compile("^Memory, total"))
    expect(memory).to_contain_text("9 GB", timeout=20 * SECONDS)
    expect(memory).to_contain_text(re.compile(rf"set for you by an administrator until {until.day} {until:%b}"))
    expect(mine).to_contain_text("granted")
    expect(mine).to_contain_text("“then we look again”")


def test_a_wish_is_taken_back_or_declined(platform, logged_in, limits):
    alice = Limits(platform, "alice", ())
    alice.call("POST", "my/requests", json={"field": "kernels", "wanted": 9, "reason": "x"})
    page = logged_in("alice")
    page.goto(f"{platform.url}{PORTAL}my-limits")
    page.get_by_role("button", name="Take the request back: Kernels").click()
    expect(said(page)).to_contain_text("taken back")
    expect(page.get_by_role("region", name="My requests")).to_contain_text("withdrawn")
    alice.call("POST", "my/requests", json={"field": "cores", "wanted": 64, "reason": "y"})
    admin = open_admin(platform, logged_in, "admin/limits/requests")
    admin.get_by_role("link", name="Decline the request of alice: Cores, total").click()
    admin.get_by_label("A word to alice").fill("The cluster is full until spring.")
    admin.get_by_role("button", name="Decline", exact=True).click()
    expect(said(admin)).to_contain_text("declined")
    page.reload()
    expect(page.get_by_role("region", name="My requests")).to_contain_text("“The cluster is full until spring.”")


def test_everything_works_without_scripts(platform, logged_in, limits):
    page = open_admin(platform, logged_in, java_script_enabled=False)
    page.get_by_label("Search user or group").fill("alice")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Edit alice").click()
    choose(page, "Kernels", "value", "many")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Write a whole number")).to_be_visible()
    choose(page, "Kernels", "value", "6")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    assert limits.value("alice", "kernels")["value"] == 6
    page.get_by_label("Select alice").check()
    page.get_by_label("Select bob").check()
    page.get_by_role("button", name="Edit selection").click()
    choose(page, "Cores, total", "value", "5")
    page.get_by_role("button", name="Save for 2").click()
    expect(page.get_by_text("Saved for 2 people.")).to_be_visible()
    page.get_by_role("link", name="Groups").click()
    page.get_by_role("link", name="Edit group research").click()
    choose(page, "Kernels", "value", "2")
    page.get_by_role("button", name="Whom does it affect?").click()
    expect(page.get_by_text("affects 1 of 1 person: bob")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(row_of(page, "research")).to_contain_text("Kernels 2")
    page.get_by_role("link", name="History").click()
    page.get_by_role("link", name=re.compile("^Undo")).first.click()
    page.get_by_role("button", name="Undo it").click()
    expect(page.get_by_text("The change was undone.")).to_be_visible()
    assert limits.value("bob", "kernels")["source"] != "group research"


def test_a_file_shows_its_differences_before_it_is_applied(platform, logged_in, limits):
    page = open_admin(platform, logged_in, "admin/limits")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export YAML").click()
    exported = download.value.path().read_text()
    assert download.value.suggested_filename == "limits.yaml"
    limits.set("users/alice", kernels=6)
    page.goto(f"{platform.url}{PORTAL}admin/limits/import")
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "limits.yaml", "mimeType": "text/yaml", "buffer": exported.encode()}
    )
    page.get_by_label("Keep values that the file does not name").uncheck()
    page.get_by_role("button", name="Show what it would change").click()
    changes = page.get_by_role("region", name=re.compile("1 change"))
    expect(changes).to_contain_text("alice")
    assert limits.value("alice", "kernels")["value"] == 6
    limits.set("users/alice", kernels=6, cores=3)
    changes.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("alert").first).to_contain_text("limits have changed meanwhile")
    assert limits.value("alice", "kernels")["value"] == 6
    changes = page.get_by_role("region", name=re.compile("2 changes"))
    changes.get_by_label("Reason").fill("as it was")
    changes.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Imported: 2 changes.")).to_be_visible()
    assert limits.value("alice", "kernels")["source"] != "user"
    assert limits.get("history")["batches"][0]["reason"] == "imported from a file: as it was"


def test_a_file_that_is_not_right_says_where(platform, logged_in, limits):
    page = logged_in("admin", java_script_enabled=False)
    page.goto(f"{platform.url}{PORTAL}admin/limits/import")
    page.get_by_label("or its text").fill("default:\n  kernel: 3\n")
    page.get_by_role("button", name="Show what it would change").click()
    expect(page.get_by_role("alert")).to_contain_text("kernel")
    expect(page.get_by_label("or its text")).to_have_value(re.compile("kernel: 3"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "admin/limits"),
        ("GET", "admin/limits/user/bob"),
        ("GET", "admin/limits/history"),
        ("GET", "admin/limits/requests"),
        ("GET", "admin/limits/export"),
        ("POST", "admin/limits/user/alice"),
        ("POST", "admin/limits/batch"),
        ("POST", "admin/limits/import"),
    ],
)
def test_without_the_right_nothing_is_shown_or_changed(platform, logged_in, method, path):
    page = logged_in("alice")
    xsrf = page.locator("[hx-headers]").get_attribute("hx-headers").split('"')[3]
    form = {"_xsrf": xsrf, "choice.kernels": "value", "text.kernels": "99"}
    address = f"{platform.url}{PORTAL}{path}"
    answer = page.request.get(address) if method == "GET" else page.request.post(address, form=form)
    assert answer.status == 403
    assert "This page is for those who set limits." in answer.text()


@pytest.mark.parametrize(
    "path",
    [
        "admin/limits/user/alice",
        "admin/limits/user/alice/preview",
        "admin/limits/group/analytics",
        "admin/limits/group/analytics/preview",
        "admin/limits/default/edit",
        "admin/limits/default/preview",
        "admin/limits/batch",
        "admin/limits/import",
        "admin/limits/history/anything/undo",
        "admin/limits/requests/1/grant",
        "admin/limits/requests/1/decline",
        "my-limits/ask/kernels",
        "my-limits/requests/1/withdraw",
        "my-kernels/anything/stop",
    ],
)
def test_a_change_needs_the_pages_own_token(platform, logged_in, limits, path):
    page = logged_in("admin")
    for form in ({}, {"_xsrf": "forged"}):
        more = {"choice.kernels": "value", "text.kernels": "99", "wanted": "99"}
        answer = page.request.post(f"{platform.url}{PORTAL}{path}", form={**more, **form})
        assert answer.status == 401
    assert limits.value("alice", "kernels")["value"] != 99


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("admin/limits/user/%3Cscript%3E", "&lt;script&gt;"),
        ("admin/limits/history/..%2f..%2fmy/undo", "There is no page at this address."),
        ("admin/limits/history/nothing-like-it/undo", "There is no such change."),
        ("admin/limits/requests/999999999/grant", "There is no request 999999999."),
        ("my-limits/ask/nothing_like_it", "There is no limit of that name."),
    ],
)
def test_what_is_not_there_is_said(platform, logged_in, path, says):
    answer = logged_in("admin").request.get(f"{platform.url}{PORTAL}{path}")
    assert answer.status == 404
    problem = re.search(r'<div class="alert alert-warning problem".*?</div>', answer.text(), re.DOTALL)
    assert says in problem[0]


HOSTILE = ("<img src=x onerror=alert(1)>", "a\"b'c", "x:7:y", "o/../brien & sons", "Ωmega 100%25")


def test_many_people_and_whatever_their_names(platform, logged_in, limits):
    people = [f"person{number:03}" for number in range(130)]
    limits.call("POST", "batch", json={"users": [*people, *HOSTILE], "values": {"executors": 3}, "confirmed": True})
    total = len(people) + len(HOSTILE) + 3
    page = open_admin(platform, logged_in)
    page.get_by_role("link", name="Next").click()
    expect(page).to_have_url(re.compile(r"\?page=2$"))
    expect(page.locator("#people-scroll")).to_be_focused()
    page.get_by_label("Select all on this page").check()
    chosen = page.locator("#selection-count")
    expect(chosen).to_have_text("50 selected")
    page.reload()
    expect(chosen).to_have_text("50 selected")
    page.get_by_role("button", name=f"Select all {total}").click()
    expect(chosen).to_have_text(f"{total} selected")
    page.get_by_role("button", name="Select nobody").click()
    expect(page.get_by_label("Select all on this page")).not_to_be_checked()
    page.goto(f"{platform.url}{PORTAL}admin/limits?page=999")
    expect(page.locator(".pager")).to_contain_text(f"of {total}")
    expect(page.locator("tbody.subject")).to_have_count(total - 100)
    for name in HOSTILE:
        page.get_by_role("searchbox").fill(name)
        expect(page.locator("tbody.subject .name")).to_have_text([name])
        page.get_by_role("link", name=f"Edit {name}", exact=True).click()
        choose(page, "Kernels", "value", "7")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("tbody.subject")).to_contain_text("7 user")
        assert limits.value(quote(name, safe=""), "kernels")["value"] == 7


def test_what_is_typed_is_not_dropped_unasked(platform, logged_in, limits):
    page = open_admin(platform, logged_in)
    answers, asked = [], []

    def answer(dialog):
        asked.append(dialog.message)
        (dialog.accept if answers.pop(0) else dialog.dismiss)()

    page.on("dialog", answer)
    page.get_by_role("link", name="Edit bob").click()
    choose(page, "Kernels", "value", "9")
    typed = page.get_by_role("form", name="Limits of bob").get_by_label("Kernels: own value")
    answers.append(False)
    page.get_by_role("link", name="Memory, total").click()
    answers.append(False)
    typed.press("Escape")
    expect(typed).to_have_value("9")
    page.get_by_label("Select alice").check()
    page.get_by_role("button", name="Edit selection").click()
    batch = page.get_by_role("form", name="Limits of 1 person")
    batch.get_by_label("Lifetime: which value").select_option("value")
    batch.get_by_label("Lifetime: own value").fill("1 d")
    batch.get_by_role("button", name="Save for 1").click()
    expect(row_of(page, "alice")).to_contain_text("own: lifetime")
    expect(typed).to_have_value("9")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(said(page)).to_contain_text("New starts by user bob")
    assert limits.value("bob", "kernels")["value"] == 9
    page.get_by_role("link", name="Edit bob").click()
    typed.fill("3")
    answers.append(True)
    page.get_by_role("link", name="Memory, total").click()
    expect(typed).to_have_count(0)
    assert len(asked) == 3


def test_what_is_typed_stays_when_the_login_has_ended(platform, page, limits):
    page.goto(platform.url)
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(platform.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Cluster", level=1)).to_be_visible()
    page.goto(f"{platform.url}{PORTAL}admin/limits")
    page.get_by_role("link", name="Edit bob").click()
    choose(page, "Kernels", "value", "9")
    page.context.clear_cookies()
    form = page.get_by_role("form", name="Limits of bob")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("You are not logged in any more")
    expect(form.get_by_role("alert")).to_contain_text("Nothing was saved.")
    expect(page.get_by_label("Kernels: own value")).to_have_value("9")


def test_a_grant_that_lowers_asks_first(platform, logged_in, limits):
    limits.set("users/alice", cores=2)
    alice = Limits(platform, "alice", ())
    alice.call("POST", "my/requests", json={"field": "cores", "wanted": 3, "reason": "x"})
    page = open_admin(platform, logged_in, "admin/limits/requests")
    page.get_by_role("link", name="Grant the request of alice: Cores, total").click()
    limits.set("users/alice", cores=4)
    dialog = page.get_by_role("dialog", name="Grant the request of alice?")
    dialog.get_by_role("button", name="Grant", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("admin")
    dialog.get_by_role("button", name="Grant", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("3 is less than what alice has now (4)")
    assert limits.value("alice", "cores")["value"] == 4
    dialog.get_by_role("button", name="Grant anyway").click()
    expect(said(page)).to_contain_text("The request of alice was granted.")
    assert limits.value("alice", "cores")["value"] == 3


def test_a_lifetime_that_is_over_is_told_as_one(platform, logged_in, limits):
    client = platform.person("alice").start("python_yarn")
    limits.set("users/alice", lifetime=60)
    page = logged_in("alice")
    for path in ("my-kernels", "my-limits"):
        page.goto(f"{platform.url}{PORTAL}{path}")
        notice = page.get_by_role("status").filter(has_text="will be stopped at")
        expect(notice).to_contain_text("running something does not keep it", timeout=90 * SECONDS)
    take_picture(page, "my-limits-notice", True)
    client.request("DELETE", f"kernels/{client.kernel_id}")
    wait_for(lambda: not platform.running_applications(client.kernel_id), 30, what="the application's end")


def test_a_kernel_that_is_going_to_be_stopped_is_announced_and_its_end_explained(platform, logged_in, limits):
    limits.set("users/alice", idle_timeout=25)
    client = platform.person("alice").start("python_yarn")
    page = logged_in("alice")
    page.goto(f"{platform.url}{PORTAL}my-kernels")
    row = page.locator("tr", has=page.locator(f"#stop-{client.kernel_id}"))
    expect(row).to_contain_text("of the limits")
    notice = page.get_by_role("status").filter(has_text="will be stopped at")
    expect(notice).to_contain_text("idle", timeout=60 * SECONDS)
    expect(row).to_contain_text("stops at")
    take_picture(page, "my-kernels-notice", True)
    expect(row).to_have_count(0, timeout=60 * SECONDS)
    ended = page.locator("#ended-table")
    expect(ended).to_contain_text(re.compile("idle", re.IGNORECASE))
    wait_for(lambda: not platform.running_applications(client.kernel_id), 30, what="the application's end")


def test_without_the_gateway_it_is_said_in_place(platform, logged_in, limits):
    admin, alice = logged_in("admin"), logged_in("alice")
    with suspended(platform, "hub_gateway"):
        for page, path in ((admin, "admin/limits"), (admin, "admin/limits/history"), (alice, "my-limits")):
            page.goto(f"{platform.url}{PORTAL}{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(page.get_by_role("alert").first).to_contain_text("The kernel gateway does not answer")


@pytest.fixture(scope="module")
def busy(platform):
    """Something to see: kernels, own values, a person over the limit, a wish."""
    admin = Limits(platform)
    before = admin.call("GET", "export").content
    clients = [
        platform.person(name).start(kernel) for name, kernel in (("alice", "spark_python"), ("bob", "python_yarn"))
    ]
    for client in clients:
        client.wait_idle()
    until = (datetime.now(timezone.utc) + timedelta(days=12)).replace(microsecond=0).isoformat()
    admin.set("default", idle_timeout=28800, queues=["notebooks"])
    admin.set("groups/research", kernels=2, memory_mb=4096, reason="two notebooks are enough here")
    admin.set("users/bob", memory_mb=768, reason="until the night batch has moved", until=until)
    admin.set("users/alice", cores="unlimited", reason="benchmark week")
    Limits(platform, "alice", ()).call(
        "POST",
        "my/requests",
        json={"field": "memory_mb", "wanted": 12288, "reason": "The churn model needs the whole year at once."},
    )
    yield
    for client in clients:
        client.request("DELETE", f"kernels/{client.kernel_id}")
    admin.call(
        "POST",
        "import?dry_run=false&merge=false&confirmed=true",
        data=before,
        headers={"Content-Type": "application/yaml"},
    )
    for one in admin.get("requests?state=open")["requests"]:
        admin.call("POST", f"requests/{one['id']}/decline", json={})
    wait_for(lambda: not platform.running_applications(), 60, what="an empty cluster")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_about_limits_fit_every_screen(platform, logged_in, busy, theme):
    admin = logged_in("admin", color_scheme=theme)
    alice = logged_in("alice", color_scheme=theme)
    shown = [(admin, name, path) for name, path in PAGES.items()]
    shown += [(alice, "my-limits", "my-limits"), (alice, "limits-ask", "my-limits/ask/memory_mb")]
    for width in WIDTHS:
        for page, name, path in shown:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(f"{platform.url}{PORTAL}{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert page.locator("html").get_attribute("data-bs-theme") == theme
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (name, width)
            take_picture(page, f"{name}-{theme}{'' if width == 1280 else f'-{width}'}", width < 2000)
    admin.set_viewport_size({"width": 1280, "height": 900})
    admin.goto(f"{platform.url}{PORTAL}admin/limits")
    expect(row_of(admin, "bob")).to_contain_text("over limit")
    expect(row_of(admin, "bob")).to_contain_text("running kernels stay, new ones are refused")
    row_of(admin, "bob").get_by_role("link", name="Edit bob").click()
    choose(admin, "Kernels", "value", "3")
    take_picture(admin, f"limits-in-place-{theme}", True)
