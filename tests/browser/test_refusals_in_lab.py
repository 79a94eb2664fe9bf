"""A kernel over a limit, as a person sees it refused in JupyterLab: with our server extension and without it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

from hub_ext.spawner import gateway_environment
from tests.browser.test_main_job import SECONDS, lab  # noqa: F401 (a fixture)
from tests.conftest import free_port
from tests.integration.test_refusals import NO_LIMITS, limited
from tests.support import wait_for

LINES = (
    "Large Spark can't start: it takes 3.0 GB in YARN, and your limit leaves 2.5 GB.",
    "It asks for a driver of 2.0 GB and an executor of 1.0 GB.",
    "Your limit for all kernels together is 2.5 GB (set for you by an administrator);",
    "Choose a kernel that takes at most 2.5 GB; or ask for more on the My limits",
)


@pytest.fixture
def too_large(platform):
    """A kernelspec that asks for more than alice has left."""
    spec = platform.add_kernelspec("too_large_for_alice", "Large Spark", driver_memory_mb=1664)
    with limited(platform, **{**NO_LIMITS, "memory_mb": 2560}):
        yield "Large Spark"
    spec.remove()


def refused(page, kernel, picture):
    """Ask for a notebook with this kernel and return what the dialog says."""
    card = page.locator(f'.jp-LauncherCard[data-category="Notebook"][title="{kernel}"]')
    expect(card).to_be_visible(timeout=60 * SECONDS)
    card.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Error Starting Kernel", timeout=60 * SECONDS)
    page.wait_for_timeout(500)
    folder = os.environ.get("HUB_EXT_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / picture)
    text = dialog.inner_text()
    pre = dialog.locator("pre").first
    cut = pre.evaluate("one => one.scrollWidth > one.parentElement.clientWidth + 1")
    dialog.get_by_role("button").last.click()
    return text.splitlines(), cut


def test_with_the_extension_the_dialog_holds_the_refusal_alone(platform, lab, too_large):  # noqa: F811 (a fixture)
    lab.page.goto(f"{platform.url}/user/alice/lab?reset")
    lines, cut = refused(lab.page, too_large, "lab-refusal-extension.png")
    assert lines[0] == "Error Starting Kernel"
    assert next(line for line in lines[1:] if line) == LINES[0]
    assert [line for line in lines if line in LINES] == list(LINES)
    assert "Error from Gateway" not in "".join(lines)
    assert not cut


#: By the name of their picture: limits of alice, the kernel that she asks for, words that the dialog has to have.
OTHERS = {
    "too-many": ({"kernels": 0}, "Python in YARN", "you may have no kernels"),
    "container": ({}, "Huge Spark", "gives has 6.0 GB"),
}


@pytest.fixture
def huge(platform):
    """A kernelspec whose driver is larger than the largest container."""
    spec = platform.add_kernelspec("huge", "Huge Spark", driver_memory_mb=16384)
    yield
    spec.remove()


def each_refusal(platform, page, lab_url, kind):
    """Meet each of the other refusals."""
    for name, (values, kernel, words) in OTHERS.items():
        with limited(platform, **{**NO_LIMITS, **values}):
            page.goto(lab_url)
            lines, _ = refused(page, kernel, f"lab-refusal-{name}-{kind}.png")
        assert words in " ".join(lines), name
        assert "Traceback" not in "".join(lines)


def test_with_the_extension_the_other_refusals_are_read_too_and_stand_on_my_limits_afterwards(
    platform,
    lab,  # noqa: F811 (a fixture)
    huge,
):
    page = lab.page
    each_refusal(platform, page, f"{platform.url}/user/alice/lab?reset", "extension")
    page.goto(f"{platform.url}/services/portal/my-limits")
    section = page.get_by_role("region", name="Refused in the last day")
    for _, _, words in OTHERS.values():
        expect(section).to_contain_text(words, timeout=30 * SECONDS)
    folder = os.environ.get("HUB_EXT_SCREENSHOTS")
    if folder:
        section.screenshot(path=Path(folder) / "my-limits-refused.png")


def test_home_says_the_largest_kernel_once_it_is_known(platform, logged_in):
    page = logged_in("alice")
    largest = page.locator("[data-remote-kernels-largest]")

    def said():
        page.goto(f"{platform.url}/hub/home")
        expect(largest).to_be_visible(timeout=30 * SECONDS)
        return "vcores" in largest.inner_text()

    wait_for(said, 90, every=1, what="the largest kernel")
    expect(page.get_by_text("The largest kernel you could start now:")).to_be_visible()


@pytest.fixture
def plain_server(platform, tmp_path):
    """A notebook server of alice without our extension: what an image has that lacks this package."""
    port = free_port()
    alice = platform.person("alice")
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ,
        **gateway_environment(f"{platform.gateway}/user/alice", alice.token()[0], 600),
        "HOME": str(home),
    }
    log = (tmp_path / "lab.log").open("w")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
            "--IdentityProvider.token=letmein",
            f"--LabApp.app_settings_dir={Path(__file__).parents[2] / 'hub_ext/embedded/lab-settings'}",
        ],
        cwd=home,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: is_up(url), 60, what="the plain notebook server")
    yield url
    process.terminate()
    process.wait(30)


def is_up(url):
    try:
        return requests.get(f"{url}/api", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_without_the_extension_every_line_can_still_be_read(page, plain_server, too_large):
    page.goto(f"{plain_server}/lab?reset&token=letmein")
    lines, _ = refused(page, too_large, "lab-refusal-plain.png")
    assert [line for line in lines if line in LINES] == list(LINES)
    assert max(len(line) for line in lines if line in LINES) <= 80
    assert any("Error from Gateway" in line for line in lines)


def test_without_the_extension_the_other_refusals_are_read_too(platform, page, plain_server, huge):
    each_refusal(platform, page, f"{plain_server}/lab?reset&token=letmein", "plain")
