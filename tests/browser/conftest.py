"""A real browser."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

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
