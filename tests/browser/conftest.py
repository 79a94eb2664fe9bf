"""A real browser."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect, sync_playwright

SECONDS = 1000

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def browser():
    # Not for the whole session: while it runs, no other test could have an event loop.
    executable = shutil.which("chromium")
    assert executable, "No chromium on PATH: make test installs it, or apt-get install chromium."
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=QUIET)
        yield running
        running.close()


@pytest.fixture
def page(browser):
    """A page of somebody who is not logged in yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    opened = context.new_page()
    yield opened
    context.close()


@pytest.fixture
def logged_in(platform, browser):
    """Return a function that opens a page for somebody; its console has to stay empty."""
    contexts, complaints = [], []

    def open_for(name, **more):
        options = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **more}
        context = browser.new_context(**{**options, "java_script_enabled": True})
        page = context.new_page()
        page.goto(platform.url)
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(platform.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Cluster", level=1)).to_be_visible()
        if more.get("java_script_enabled") is False:
            state = context.storage_state()
            context.close()
            context = browser.new_context(**options, storage_state=state)
            page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        contexts.append(context)
        return page

    yield open_for
    for context in contexts:
        context.close()
    assert complaints == []


def take_picture(page, name, wanted):
    folder = os.environ.get("HUB_EXT_SCREENSHOTS")
    if folder and wanted:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@contextmanager
def suspended(platform, word):
    """Let a part of the platform hang."""
    family = psutil.Process(platform.process.pid).children(recursive=True)
    (found,) = [one for one in family if any(part.endswith(word) for part in one.cmdline())]
    found.suspend()
    try:
        yield
    finally:
        found.resume()
