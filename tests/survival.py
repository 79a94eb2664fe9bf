"""What tests see while a part of the platform is away, and the table in docs/what-survives.md that they write."""

import contextlib
import html
import json
import os
import re
import threading
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import requests
import websocket

from tests.gateways import rows
from tests.support import wait_for

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "what-survives.md"
#: Set to write the table; see the Makefile.
WRITE = "WRITE_WHAT_SURVIVES"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
COLUMNS = ("Process", "How", "Back after", "Notebooks answer after", "A start under way", "What people see meanwhile")
#: The order of the table; each has a row for kill -9, and the second ones a row for a planned restart.
KILLED = (
    "Hub",
    "proxy",
    "gateway",
    "portal",
    "edge",
    "Enterprise Gateway",
    "ResourceManager",
    "NodeManager",
    "notebook server",
    "database",
)
RESTARTED = KILLED[:6]
KILL, STOP, LOST = "killed", "planned restart", "lost with its machine"


@dataclass(frozen=True)
class Row:
    """One measured row."""

    process: str
    how: str
    back: str
    notebooks: str
    start: str
    seen: str


class Watch:
    """Somebody who has a page of the portal open, and a notebook server that lists kernels, while a block runs.

    Attributes
    ----------
    looks
        Seconds since the beginning, which of the two, status (0: no connection) and the words of an error.
    """

    EVERY_S = 0.25

    def __init__(self, person):
        self._platform = person.platform
        self._page = requests.Session()
        self._page.cookies.update(person.session.cookies)
        self._list = f"{person.platform.url}/services/gateway/user/{person.name}/api/kernels"
        self._token = person.token()[0]
        self._done = threading.Event()
        self._began = 0.0
        self.looks = []

    def __enter__(self):
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._watch, args=(look,)) for look in (self._portal, self._kernels)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, look):
        while not self._done.wait(self.EVERY_S):
            at = time.monotonic() - self._began
            try:
                what, status, words = look()
            except requests.RequestException:
                what, status, words = look.__name__.strip("_"), 0, "no connection"
            self.looks.append((at, what, status, words))

    def _portal(self):
        answer = self._page.get(f"{self._platform.url}/services/portal/live/my-kernels", timeout=20)
        found = re.search(
            r'class="[^"]*(?:problem|note|alert|error)[^"]*"[^>]*>(.*?)</(?:div|p|section)>', answer.text, re.S
        )
        words = found.group(1) if found else ""
        return "portal", answer.status_code, words if answer.ok else words or answer.text

    def _kernels(self):
        answer = requests.get(self._list, headers={"Authorization": f"token {self._token}"}, timeout=20)
        return "kernels", answer.status_code, "" if answer.ok else answer.text

    def said(self):
        """Return in one sentence what was seen that was not as always."""
        return "; ".join(part for part in (self._of("portal", "My kernels"), self._of("kernels", "the list")) if part)

    def _of(self, what, name):
        looks = sorted(look for look in self.looks if look[1] == what)
        odd = [look for look in looks if look[2] != 200 or look[3]]
        if not odd:
            return f"{name}: as always"
        kinds = dict.fromkeys(short(status, words) for _, _, status, words in odd)
        until = next((at for at, *_ in looks if at > odd[-1][0]), odd[-1][0])
        return f"{name}, {until - odd[0][0]:.0f} s: {', '.join(kinds)}"


def short(status, words):
    """Return a status and the first sentence of what came with it, be it JSON or a page."""
    with contextlib.suppress(ValueError, AttributeError):
        answer = json.loads(words)
        words = answer.get("text") or answer.get("message") or words
    text = " ".join(
        html.unescape(re.sub(r"<(style|script|title|noscript).*?</\1>|<[^>]*>", " ", words, flags=re.S)).split()
    )
    sentence = re.split(r"(?<=[.!]) ", text)[0][:90]
    if status == 0:
        return "no connection"
    return f"{status} “{sentence}”" if sentence else str(status)


def answers_again(kernel, expected, seconds=90):
    """Wait until a kernel says what it kept; a socket that was closed is opened again, as JupyterLab does."""

    def says():
        try:
            return kernel.run("print(kept)", timeout=4).strip()
        except TimeoutError:
            return None
        except (OSError, websocket.WebSocketException):
            with contextlib.suppress(OSError, websocket.WebSocketException):
                kernel.close()
            kernel._socket = None
            with contextlib.suppress(requests.RequestException):
                # A notebook server knows the kernels that it has listed; JupyterLab asks for the list all the time.
                kernel.request("GET", "kernels", timeout=10)
            return None

    assert wait_for(says, seconds, every=0.2, what="the kernel's answer") == expected


def in_step(platform):
    """Say whether kernels in the books, at Enterprise Gateway and in YARN are the same ones, each once."""
    try:
        booked = set(rows(platform, "state != 'ended'"))
        tags = sorted(kernel for app in platform.running_applications() for kernel in app["applicationTags"].split(","))
        return platform.kernels_of_enterprise_gateway() == booked == set(tags) and len(tags) == len(booked)
    except requests.RequestException:
        return False


def table(measured):
    """Return rows as a table in Markdown, in the document's order."""
    order = {name: number for number, name in enumerate(KILLED)}
    rows = sorted(measured, key=lambda row: (order[row.process], row.how != KILL))
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(astuple(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def write_table(measured):
    """Put measured rows into the document, if that is wanted; those that were not measured now stay."""
    if not os.environ.get(WRITE):
        return
    text = DOCUMENT.read_text()
    rows = {(row.process, row.how): row for row in [*rows_of_table(text), *measured]}
    before, rest = text.split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table(rows.values())}\n\n{END}{rest.split(END)[1]}")


def rows_of_table(text):
    """Return the rows of the document's table."""
    lines = text.split(BEGIN)[1].split(END)[0].strip().splitlines()[2:]
    return [Row(*(cell.strip() for cell in line.strip("| ").split(" | "))) for line in lines]
