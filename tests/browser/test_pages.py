"""The portal's pages in a real browser, on the running platform: what they say, by role and text, and how they look.

With ``HUB_EXT_SCREENSHOTS`` set to a folder the pictures of the documentation are written there.
"""

import re

import pytest
import requests
from playwright.sync_api import expect

from hub_ext.sizes import human_mb
from tests.browser.conftest import SECONDS, suspended, take_picture
from tests.support import wait_for

PORTAL = "/services/portal/"
PAGES = {"cluster": "", "kernels": "kernels", "kernel": "kernels/spark_python", "my-kernels": "my-kernels"}
WIDTHS = (360, 1280, 2560)


@pytest.fixture
def kernel(platform):
    """A running kernel of alice."""
    client = platform.person("alice").start("python_yarn")
    wait_for(lambda: platform.running_applications(client.kernel_id), 30, what="the kernel's application")
    yield client
    client.request("DELETE", f"kernels/{client.kernel_id}")
    wait_for(lambda: not platform.running_applications(client.kernel_id), 30, what="the application's end")


@pytest.fixture(scope="module")
def busy_cluster(platform):
    """Spark kernels of two people, each with its notebook connected."""
    clients = [platform.person(name).start("spark_python") for name in ("alice", "bob")]
    for client in clients:
        client.wait_idle()
    yield clients
    for client in clients:
        client.request("DELETE", f"kernels/{client.kernel_id}")
    wait_for(lambda: not platform.running_applications(), 60, what="an empty cluster")


def row_of(page, kernel_id):
    """Return a kernel's line in the table."""
    return page.locator("tr", has=page.locator(f"#stop-{kernel_id}"))


def test_the_cluster_page_shows_the_resource_managers_numbers(platform, logged_in, kernel):
    page = logged_in("alice")
    metrics = platform.rm("/metrics")["clusterMetrics"]
    memory = page.get_by_role("region", name="Memory", exact=True)
    expect(memory).to_contain_text(human_mb(metrics["allocatedMB"]), timeout=20 * SECONDS)
    expect(memory).to_contain_text(f"of {human_mb(metrics['totalMB'])}")
    expect(memory).to_contain_text(re.compile(r"you 1\.0 GB"))
    expect(page.get_by_role("region", name="Nodes", exact=True).first).to_contain_text("all working")
    expect(page.get_by_text("as of")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("notebooks"))).to_contain_text("80 %")
    (application,) = platform.running_applications(kernel.kernel_id)
    expect(row_of(page, kernel.kernel_id)).to_contain_text(application["id"])


def test_the_three_steps_lead_to_the_notebook(platform, logged_in):
    page = logged_in("bob")
    steps = page.get_by_role("list", name="Three steps").get_by_role("listitem")
    expect(steps.filter(has_text="Look")).to_contain_text("free")
    expect(steps.filter(has_text="Pick a kernel").get_by_role("link", name="Spark (Python)")).to_be_visible()
    page.get_by_role("link", name=re.compile("Start my notebook|Open JupyterLab")).click()
    page.wait_for_url("**/user/bob/**", timeout=60 * SECONDS)
    page.goto(platform.url + PORTAL)
    expect(page.get_by_text("Your notebook server is running.")).to_be_visible()
    expect(page.get_by_role("link", name="Open JupyterLab")).to_have_attribute("href", "/user/bob/lab")
    platform.person("bob").stop_server()


@pytest.mark.parametrize(
    ("path", "marked"),
    [
        (PORTAL, "Cluster"),
        (f"{PORTAL}nodes", "Cluster"),
        (f"{PORTAL}kernels", "Kernels"),
        (f"{PORTAL}kernels/spark_python", "Kernels"),
        (f"{PORTAL}my-kernels", "My kernels"),
        (f"{PORTAL}my-limits", "My limits"),
        (f"{PORTAL}admin/limits", "User limits"),
        (f"{PORTAL}admin/limits/history", "User limits"),
        ("/hub/home", "Home"),
        ("/hub/token", "Token"),
        ("/hub/admin", "Admin"),
    ],
)
def test_the_navigation_is_the_same_everywhere(platform, logged_in, path, marked):
    page = logged_in("admin")
    page.goto(platform.url + path)
    bar = page.get_by_role("navigation").first
    names = [text.strip() for text in bar.locator(".nav-link").all_inner_texts()]
    assert names == ["Home", "Cluster", "Kernels", "My kernels", "My limits", "User limits", "Token", "Admin"]
    assert bar.locator("[aria-current=page]").inner_text() == marked


def test_people_who_do_not_administrate_see_no_admin_link(platform, logged_in):
    page = logged_in("alice")
    expect(page.get_by_role("link", name="My limits")).to_have_count(1)
    for name in ("Admin", "User limits"):
        expect(page.get_by_role("link", name=name)).to_have_count(0)


def test_kernels_can_be_searched_and_lead_to_their_details(platform, logged_in):
    page = logged_in("alice")
    page.get_by_role("link", name="Kernels", exact=True).click()
    expect(page.locator(".card-kernel")).to_have_count(2)
    page.get_by_role("searchbox").fill("sc and SQL")
    expect(page.locator(".card-kernel")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=sc"))
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.get_by_text("No kernel matches")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("link", name="Spark (Python)").click()
    expect(page.get_by_role("heading", name="Spark (Python)", level=1)).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Driver"))).to_contain_text("640 MB heap + 384 MB overhead")
    expect(page.get_by_role("row", name=re.compile("Total"))).to_contain_text("2.0 GB, 2 vcores, 2 containers")
    expect(page.get_by_text("YARN rounds each container up to a multiple of 256 MB.")).to_be_visible()
    picture = page.locator("img.badge-logo")
    assert picture.evaluate("image => image.naturalWidth") > 0


def test_my_kernels_update_by_themselves_and_can_be_stopped(platform, logged_in):
    page = logged_in("alice")
    page.goto(f"{platform.url}{PORTAL}my-kernels")
    expect(page.get_by_text("None is running.")).to_be_visible()
    client = platform.person("alice").start("python_yarn")
    row = row_of(page, client.kernel_id)
    expect(row).to_contain_text("1.0 GB · 1 vcore", timeout=30 * SECONDS)
    (application,) = platform.running_applications(client.kernel_id)
    expect(row).to_contain_text(application["id"])
    stop = row.get_by_role("link", name=re.compile("^Stop Python in YARN"))
    stop.click()
    dialog = page.get_by_role("dialog", name="Stop Python in YARN?")
    expect(dialog.get_by_role("link", name="Keep it running")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert platform.running_applications(client.kernel_id)
    stop.press("Enter")
    dialog.get_by_role("button", name="Stop it").click()
    expect(page.get_by_role("status").filter(has_text="The kernel was stopped.")).to_be_visible(timeout=20 * SECONDS)
    expect(row).to_have_count(0)
    wait_for(lambda: not platform.running_applications(client.kernel_id), 20, what="the application's end")


def test_everything_works_without_scripts(platform, logged_in):
    client = platform.person("alice").start("python_yarn")
    page = logged_in("alice", java_script_enabled=False)
    page.goto(f"{platform.url}{PORTAL}kernels")
    page.get_by_role("searchbox").fill("executors")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile(r"\?q=executors"))
    page.goto(platform.url + PORTAL)
    expect(page.get_by_text("updates by itself")).to_be_hidden()
    row_of(page, client.kernel_id).get_by_role("link", name=re.compile("^Stop")).click()
    expect(page.get_by_role("heading", name="Stop Python in YARN?")).to_be_visible()
    page.get_by_role("button", name="Stop it").click()
    expect(page.get_by_text("The kernel was stopped.")).to_be_visible(timeout=20 * SECONDS)
    wait_for(lambda: not platform.running_applications(client.kernel_id), 20, what="the application's end")


def test_an_administrator_sees_and_stops_everyones_kernels(platform, logged_in):
    client = platform.person("alice").start("python_yarn")
    page = logged_in("admin")
    page.goto(f"{platform.url}{PORTAL}my-kernels")
    expect(row_of(page, client.kernel_id)).to_have_count(0)
    page.get_by_role("link", name="Everyone's").click()
    row = row_of(page, client.kernel_id)
    expect(row.get_by_role("cell", name="alice", exact=True)).to_be_visible()
    row.get_by_role("link", name=re.compile("^Stop")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It belongs to alice.")
    dialog.get_by_role("button", name="Stop it").click()
    expect(page.get_by_text("The kernel of alice was stopped.")).to_be_visible(timeout=20 * SECONDS)
    wait_for(lambda: not platform.running_applications(client.kernel_id), 20, what="the application's end")


def test_nobody_else_sees_or_stops_a_persons_kernels(platform, logged_in, kernel):
    page = logged_in("bob")
    for path in ("my-kernels", "my-kernels?everyone=1", "live/my-kernels?everyone=1"):
        answer = page.request.get(f"{platform.url}{PORTAL}{path}")
        assert answer.ok
        assert kernel.kernel_id not in answer.text()
    for query in ("", "?owner=alice"):
        answer = page.request.get(f"{platform.url}{PORTAL}my-kernels/{kernel.kernel_id}/stop{query}")
        assert answer.status == 404
    xsrf = page.locator("[hx-headers]").get_attribute("hx-headers").split('"')[3]
    answer = page.request.post(
        f"{platform.url}{PORTAL}my-kernels/{kernel.kernel_id}/stop", form={"_xsrf": xsrf, "owner": "alice"}
    )
    # Asked to stop what is not among bob's own kernels: it is said, and nothing happens.
    assert answer.status == 404
    assert "There is no such kernel, or it is not yours." in answer.text()
    assert "was stopped" not in page.request.get(f"{platform.url}{PORTAL}my-kernels").text()
    assert platform.running_applications(kernel.kernel_id)


def test_a_stop_needs_the_pages_own_token(platform, logged_in, kernel):
    page = logged_in("alice")
    for form in ({}, {"_xsrf": "forged"}):
        answer = page.request.post(f"{platform.url}{PORTAL}my-kernels/{kernel.kernel_id}/stop", form=form)
        assert answer.status == 401
    assert platform.running_applications(kernel.kernel_id)


def test_a_script_without_login_is_told_and_not_sent_around(platform):
    for path in ("live/cluster", "live/my-kernels", ""):
        answer = requests.get(
            f"{platform.url}{PORTAL}{path}", headers={"HX-Request": "true"}, allow_redirects=False, timeout=10
        )
        assert answer.status_code == 401
        assert answer.headers["HX-Redirect"].startswith(PORTAL)
    page = requests.get(platform.url + PORTAL, allow_redirects=False, timeout=10)
    assert page.status_code == 302
    assert "/hub/api/oauth2/authorize" in page.headers["Location"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("nothing-here", 404, "There is no page at this address."),
        ("kernels/no-such", 404, "There is no such kernel"),
        ("kernels/..%2f..%2fetc", 404, "There is no kernel of that name."),
        ("my-kernels/x/stop", 404, "This kernel is not running"),
        ("logo/spark_python/kernel.json", 404, "There is no such picture."),
        ("logo/spark_python/..%2f..%2fx.png", 404, "There is no such picture."),
    ],
)
def test_what_is_not_there_is_said(platform, logged_in, path, status, says):
    page = logged_in("alice")
    answer = page.request.get(f"{platform.url}{PORTAL}{path}")
    assert answer.status == status
    assert says in answer.text()
    assert "Traceback" not in answer.text()


def test_old_numbers_are_marked_and_become_fresh_by_themselves(platform, logged_in):
    page = logged_in("alice")
    total = human_mb(platform.rm("/metrics")["clusterMetrics"]["totalMB"])
    with suspended(platform, "ResourceManager"):
        expect(page.get_by_text("Old numbers")).to_be_visible(timeout=45 * SECONDS)
        expect(page.get_by_role("region", name="Memory", exact=True)).to_contain_text(f"of {total}")
    expect(page.get_by_text("Old numbers")).to_be_hidden(timeout=45 * SECONDS)


def test_each_part_fails_on_its_own(platform, logged_in, kernel):
    page = logged_in("alice")
    with suspended(platform, "hadoop_edge"):
        page.goto(platform.url + PORTAL)
        expect(page.get_by_role("alert").first).to_contain_text(
            "The edge service of the Hadoop cluster does not answer."
        )
        expect(row_of(page, kernel.kernel_id)).to_be_visible()
        expect(page.get_by_role("link", name="Spark (Python)")).to_be_visible()
    with suspended(platform, "hub_gateway"):
        page.goto(platform.url + PORTAL)
        expect(page.get_by_role("alert").first).to_contain_text("The kernel gateway does not answer")
        expect(page.get_by_role("region", name="Memory", exact=True)).to_be_visible()


def test_the_keyboard_is_enough(platform, logged_in, kernel):
    page = logged_in("alice")
    page.goto(f"{platform.url}{PORTAL}my-kernels")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the page")
    expect(skip).to_be_focused()
    assert skip.bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    stop = row_of(page, kernel.kernel_id).get_by_role("link", name=re.compile("^Stop"))
    for _ in range(8):
        page.keyboard.press("Tab")
        if stop.evaluate("element => element === document.activeElement"):
            break
    expect(stop).to_be_focused()
    assert stop.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_every_screen(platform, logged_in, busy_cluster, kernel, theme):
    page = logged_in("alice", color_scheme=theme)
    for one in (busy_cluster[0], kernel):
        expect(row_of(page, one.kernel_id)).to_contain_text("idle", timeout=30 * SECONDS)
    expect(page.get_by_role("region", name="Memory", exact=True)).to_contain_text(
        "you 3.0 GB · others 2.0 GB", timeout=30 * SECONDS
    )
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for name, path in PAGES.items():
            page.goto(f"{platform.url}{PORTAL}{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert page.locator("html").get_attribute("data-bs-theme") == theme
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (name, width)
            take_picture(page, f"{name}-{theme}", width == 1280)


def test_somebody_has_their_last_kernel_start_in_advance(platform, logged_in):
    """By keyboard; and the switch is off again afterwards."""
    page = logged_in("bob")
    page.goto(f"{platform.url}{PORTAL}my-kernels")
    box = page.get_by_role("region", name="Start in advance")
    expect(box).to_contain_text("It counts within your limits")
    box.get_by_role("button", name="Switch it on").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your last kernel starts together with your notebook from now on.")).to_be_visible()
    expect(box).to_contain_text("When your notebook starts")
    take_picture(page, "warm-start", True)
    box.get_by_role("button", name="Switch it off").click()
    expect(box.get_by_role("button", name="Switch it on")).to_be_visible()
