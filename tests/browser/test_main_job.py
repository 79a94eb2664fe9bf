"""The product's main job, as a person does it in a browser, on the real parts."""

import re

import pytest
from playwright.sync_api import expect

from tests.support import wait_for

SECONDS = 1000
COUNT = "print('rows', spark.range(12345).count(), sc.applicationId)"


class Lab:
    """JupyterLab in a page."""

    def __init__(self, page):
        self.page = page
        self.notebook = page.locator(".jp-NotebookPanel:visible")

    def open_notebook(self, kernel):
        self.page.locator(f'.jp-LauncherCard[data-category="Notebook"][title="{kernel}"]').click()
        self.wait_idle()

    def wait_idle(self, seconds=90):
        # The indicator in the toolbar says idle before there is a kernel; the status bar tells them apart.
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=seconds * SECONDS)

    def type_cell(self, code):
        """Write a new last cell and run it; return its output area."""
        cells = self.notebook.locator(".jp-CodeCell")
        cell = cells.nth(cells.count() - 1)
        cell.locator(".cm-content").click()
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")
        return cell

    def kernel_menu(self, command):
        """Choose an entry of Lab's Kernel menu."""
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        self.page.locator(f'.lm-Menu-item[data-command="kernelmenu:{command}"]').click()


@pytest.fixture
def lab(platform, page):
    """Log in as alice, by the landing page's own steps, up to JupyterLab."""
    wait_for(platform.is_ready, 60, what="the platform")
    page.goto(platform.url)
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill(platform.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Cluster")).to_be_visible()
    for step in ("Look", "Start your notebook", "Pick a kernel"):
        expect(page.get_by_text(step, exact=True)).to_be_visible()
    page.get_by_role("link", name=re.compile("Start my notebook|Open JupyterLab")).first.click()
    page.wait_for_url("**/user/alice/lab**", timeout=60 * SECONDS)
    page.goto(f"{platform.url}/user/alice/lab?reset")
    expect(page.locator(".jp-Launcher")).to_be_visible(timeout=60 * SECONDS)
    return Lab(page)


def test_log_in_start_run_interrupt_restart_shut_down(platform, lab):
    before = {app["id"] for app in platform.applications()}
    lab.open_notebook("Spark (Python)")

    counted = lab.type_cell(COUNT)
    expect(counted.locator(".jp-OutputArea-output")).to_contain_text("rows 12345", timeout=120 * SECONDS)
    printed = counted.locator(".jp-OutputArea-output").inner_text()
    first = re.search(r"application_\d+_\d+", printed).group(0)

    application = next(app for app in platform.running_applications() if app["id"] == first)
    assert first not in before
    assert application["user"] == "alice"
    (kernel,) = [one for one in platform.person("alice").kernels() if one["id"] == application["applicationTags"]]
    assert kernel["remote_kernel"]["kernelspec"] == "spark_python"

    slow = lab.type_cell("spark.range(10**12).selectExpr('sum(hash(id))').collect()")
    expect(slow.locator(".jp-InputPrompt")).to_contain_text("*")
    lab.page.wait_for_timeout(3 * SECONDS)
    lab.page.get_by_title(re.compile("Interrupt the kernel")).locator("visible=true").click()
    expect(slow.locator(".jp-OutputArea-output")).to_contain_text("KeyboardInterrupt", timeout=20 * SECONDS)
    again = lab.type_cell("spark.range(7).count()")
    expect(again.locator(".jp-OutputArea-output")).to_contain_text("7", timeout=60 * SECONDS)

    lab.kernel_menu("restart")
    lab.page.locator(".jp-Dialog .jp-mod-accept").click()
    wait_for(
        lambda: not [a for a in platform.running_applications() if a["id"] == first], 30, what="the old driver's end"
    )
    lab.wait_idle()
    fresh = lab.type_cell("print('counted' in dir(), sc.applicationId)")
    expect(fresh.locator(".jp-OutputArea-output")).to_contain_text("application_", timeout=120 * SECONDS)
    second = re.search(r"application_\d+_\d+", fresh.locator(".jp-OutputArea-output").inner_text()).group(0)
    assert second != first
    (application,) = platform.running_applications(kernel["id"])
    assert (application["id"], application["user"]) == (second, "alice")

    lab.kernel_menu("shutdown")
    wait_for(lambda: not platform.running_applications(kernel["id"]), 20, what="the application's end")
    assert kernel["id"] not in [one["id"] for one in platform.person("alice").kernels()]


def ids(platform):
    return {kernel["id"] for kernel in platform.person("alice").kernels()}


NOTEBOOK = [
    (
        "from pyspark.sql import functions as F\n"
        "people = spark.createDataFrame([('ann', 31), ('ben', 45), ('cem', 28)], ['name', 'age'])\n"
        "people.where('age > 30').orderBy('name').show()",
        "ann",
    ),
    ("people.createOrReplaceTempView('people')\nsql('select avg(age) as a from people').show()", "34.6"),
    (
        "@F.udf('string')\ndef shout(name):\n    return name.upper() + '!'\n"
        "print([row.s for row in people.select(shout('name').alias('s')).collect()])",
        "BEN!",
    ),
    ("import pandas as pd\nframe = people.toPandas()\nprint(type(frame).__name__, len(frame))", "DataFrame 3"),
    ("1 / 0", "ZeroDivisionError"),
    ("print('still here')", "still here"),
]


def test_a_notebook_of_real_cells_runs_to_its_end(platform, lab):
    before = ids(platform)
    lab.open_notebook("Spark (Python)")
    (kernel,) = ids(platform) - before
    for code, expected in NOTEBOOK:
        cell = lab.type_cell(code)
        expect(cell.locator(".jp-Cell-outputArea")).to_contain_text(expected, timeout=120 * SECONDS)
    plot = lab.type_cell("import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);")
    expect(plot.locator(".jp-OutputArea-output img")).to_be_visible(timeout=60 * SECONDS)
    lab.kernel_menu("shutdown")
    wait_for(lambda: kernel not in ids(platform), 20, what="the kernel's end")
    wait_for(lambda: not platform.running_applications(kernel), 20, what="the application's end")


def test_a_refused_start_reads_well_in_labs_dialog(platform, lab):
    """A kernelspec that asks for more than the cluster's largest container."""
    spec = platform.add_kernelspec("too_large", "Too large", driver_memory_mb=500_000)
    try:
        lab.page.goto(f"{platform.url}/user/alice/lab?reset")
        card = lab.page.locator('.jp-LauncherCard[data-category="Notebook"][title="Too large"]')
        expect(card).to_be_visible(timeout=60 * SECONDS)
        card.click()
        dialog = lab.page.get_by_role("dialog")
        expect(dialog).to_contain_text("Error Starting Kernel", timeout=60 * SECONDS)
        text = dialog.inner_text()
        assert "Too large asks for a driver of 537.25 GB" in text
        assert "Choose a kernel with a driver of at most 6.0 GB" in text
        assert "Traceback" not in text
        dialog.get_by_role("button").last.click()
    finally:
        spec.remove()
