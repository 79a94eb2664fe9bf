"""A notebook and a page that are open while what is behind them is killed."""

import re
import time

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.test_main_job import SECONDS, lab  # noqa: F401 (a fixture)
from tests.integration.test_killed import WORDS
from tests.processes import server_process, service_process
from tests.support import end_kernels, wait_for

OUTPUT = ".jp-Cell-outputArea"
#: Without another question after that time there will be none.
QUIET_SECONDS = 4


@pytest.fixture
def notebook(platform, lab):  # noqa: F811 (a fixture)
    """A notebook whose kernel holds something."""
    end_kernels(platform.person("alice"))
    lab.open_notebook("Python in YARN")
    kept = lab.type_cell("kept = 'still here'; print('kept')")
    expect(kept.locator(OUTPUT)).to_have_text("kept", timeout=60 * SECONDS)
    yield lab
    end_kernels(platform.person("alice"))


def test_an_open_notebook_and_an_open_page_come_back_by_themselves(platform, notebook):
    page = notebook.page.context.new_page()
    page.goto(f"{platform.url}/services/portal/my-kernels")
    row = page.locator('[id^="stop-"]')
    expect(row).to_have_count(1, timeout=30 * SECONDS)
    for name in ("gateway", "Enterprise Gateway", "portal"):
        service_process(platform, WORDS[name]).kill()
        # Run at once, and once: what is run while the connection is away is kept.
        cell = notebook.type_cell("print(kept)")
        expect(cell.locator(OUTPUT)).to_have_text("still here", timeout=90 * SECONDS)
        expect(row).to_have_count(1, timeout=60 * SECONDS)
    page.close()


def test_a_notebook_server_that_is_started_again_finds_its_notebooks_kernel(platform, notebook):
    process = server_process(platform, "alice")
    process.kill()
    # It stays in the list of processes until the Hub asks for it.
    wait_for(lambda: not psutil.pid_exists(process.pid), 60, what="the end of the notebook server")
    platform.person("alice").start_server()

    # The Hub takes the server's tokens with it, the page's among them: the page is loaded anew, without another login.
    notebook.page.reload()
    # Which notebook has which kernel was known to the server alone: JupyterLab asks, and offers the one that runs.
    (kernel,) = platform.person("alice").kernels()
    choose_in_dialog(notebook.page, kernel["id"])
    cell = notebook.type_cell("print(kept)")
    expect(cell.locator(OUTPUT)).to_have_text("still here", timeout=60 * SECONDS)


def choose_in_dialog(page, kernel_id):
    """Choose a kernel as often as JupyterLab asks: now and then once more, when it has restored what was open."""
    dialog = page.get_by_role("dialog")
    running = dialog.locator(f"option[value*='{kernel_id}']")
    expect(running).to_have_count(1, timeout=60 * SECONDS)
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_SECONDS:
        if running.count():
            dialog.locator("select").select_option(running.get_attribute("value"))
            dialog.get_by_role("button", name=re.compile("^Select")).click()
            quiet_since = time.monotonic()
        page.wait_for_timeout(200)
