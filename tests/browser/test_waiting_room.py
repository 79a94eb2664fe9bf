"""A kernel that has to wait, or can't start, as a person sees it in JupyterLab."""

import os
import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.test_main_job import SECONDS, lab  # noqa: F401 (a fixture)
from tests.integration.test_gateway_faults import stopped_queue
from tests.integration.test_waiting_room import full_cluster
from tests.support import end_kernels, wait_for

OUTPUT = ".jp-Cell-outputArea"


def open_notebook(lab, kernel):  # noqa: F811 (a fixture)
    """Open a notebook without waiting for its kernel."""
    lab.page.goto(re.sub(r"/lab.*", "/lab?reset", lab.page.url))
    card = lab.page.locator(f'.jp-LauncherCard[data-category="Notebook"][title="{kernel}"]')
    expect(card).to_be_visible(timeout=60 * SECONDS)
    card.click()
    expect(lab.notebook.locator(".jp-CodeCell").first).to_be_visible(timeout=60 * SECONDS)
    # Before it has a session, JupyterLab runs one cell and drops the next ones.
    expect(lab.page.locator("#jp-main-statusbar")).to_contain_text(re.compile(r"\| (Starting|Idle|Busy)"))


def picture(lab, name):  # noqa: F811 (a fixture)
    folder = os.environ.get("HUB_EXT_SCREENSHOTS")
    if folder:
        lab.page.set_viewport_size({"width": 1100, "height": 520})
        lab.page.wait_for_timeout(500)
        lab.page.screenshot(path=Path(folder) / f"{name}.png")
        lab.page.set_viewport_size({"width": 1280, "height": 900})


def test_the_notebook_says_what_its_kernel_waits_for_and_goes_on_by_itself(platform, lab):  # noqa: F811 (a fixture)
    end_kernels(platform.person("alice"))
    with full_cluster(platform) as give_room:
        open_notebook(lab, "Python in YARN")
        first = lab.type_cell("print(6 * 7)")
        second = lab.type_cell("print('then', _ih[-2])")
        expect(first.locator(OUTPUT)).to_contain_text("accepted in queue notebooks", timeout=60 * SECONDS)
        expect(first.locator(OUTPUT)).to_contain_text("nobody ahead of you")
        expect(first.locator(".jp-OutputArea-output")).to_have_count(1)
        expect(first.locator(".jp-InputPrompt")).to_contain_text("*")
        expect(second.locator(".jp-OutputArea-output")).to_have_count(0)
        picture(lab, "lab-waiting-room")
        kernels = lab.page.context.new_page()
        kernels.goto(f"{platform.url}/services/portal/my-kernels")
        expect(kernels.get_by_text("accepted in queue notebooks")).to_be_visible()
        kernels.close()
        give_room()
        expect(first.locator(OUTPUT)).to_contain_text("42", timeout=120 * SECONDS)
    expect(second.locator(OUTPUT)).to_contain_text("then print(6 * 7)", timeout=30 * SECONDS)
    expect(first.locator(OUTPUT)).not_to_contain_text("Starting in YARN")
    lab.wait_idle()
    lab.kernel_menu("shutdown")
    wait_for(lambda: not platform.running_applications(), 30, what="the application's end")


def test_an_interrupt_cancels_the_start_and_a_failed_one_says_why_and_can_be_restarted(platform, lab):  # noqa: F811 (a fixture)
    spec = platform.add_kernelspec("opens_later", "Opens later", queue="default", executors=0)
    try:
        with stopped_queue(platform, "root.default"):
            open_notebook(lab, "Opens later")
            cell = lab.type_cell("print(6 * 7)")
            expect(cell.locator(OUTPUT)).to_contain_text("This kernel could not start.", timeout=60 * SECONDS)
            expect(cell.locator(OUTPUT)).to_contain_text("default is stopped and takes no applications.")
            expect(cell.locator(OUTPUT)).not_to_contain_text("Starting in YARN")
            picture(lab, "lab-start-failed")
        lab.kernel_menu("restart")
        lab.page.locator(".jp-Dialog .jp-mod-accept").click()
        again = lab.type_cell("print(6 * 8)")
        expect(again.locator(OUTPUT)).to_contain_text("48", timeout=120 * SECONDS)
        lab.kernel_menu("shutdown")
        wait_for(lambda: not platform.running_applications(), 30, what="the application's end")
    finally:
        spec.remove()
    open_notebook(lab, "Python in YARN")
    cell = lab.type_cell("print('never')")
    expect(cell.locator(OUTPUT)).to_contain_text("Starting in YARN", timeout=30 * SECONDS)
    lab.page.get_by_title(re.compile("Interrupt the kernel")).locator("visible=true").click()
    expect(cell.locator(OUTPUT)).to_contain_text("interrupted while it was starting", timeout=30 * SECONDS)
    wait_for(lambda: not platform.running_applications(), 30, what="the application's end")
    lab.kernel_menu("shutdown")
    wait_for(lambda: platform.person("alice").kernels() == [], 30, what="the end of what could not start")
