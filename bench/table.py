"""The table of users over HTTP, as the administration page asks for it."""

import asyncio
import subprocess
import sys
import time
from urllib.parse import quote

import requests

from hub_ext.database import Database
from hub_ext.limits.store import LimitStore
from hub_ext.web.memory import settle
from tests.limits_api_server import Server

from .timing import Times
from .world import CLUSTER, user

TIMES = 40
HEADERS = {"Authorization": "token root"}
#: What is asked, under the words of the results.
QUESTIONS = {
    "first page": "",
    "200 users": "per_page=200",
    "last page": "page=200",
    "by memory limit": "sort=memory_mb&order=desc",
    "by use": "sort=used&order=desc",
    "by last kernel": "sort=last_kernel&order=desc",
    "search": "search=GROUP-1",
    "search for one": "search=user09999",
    "over limit": "filter=over",
    "own values, by cores": "filter=own&sort=cores&page=7",
}


def measure(url: str) -> dict[str, Times]:
    """Ask a server in a process of its own."""
    server = subprocess.Popen(  # noqa: S603  (this very module)
        [sys.executable, "-m", "bench.table", url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None  # noqa: S101  (it is a pipe)
        base = server.stdout.readline().strip()
        client = requests.Session()
        client.headers.update(HEADERS)
        _ask(client, f"{base}/users")
        found = {name: _many(client, f"{base}/users?{query}") for name, query in QUESTIONS.items()}
        return {**found, "right after a change": _after_changes(client, base)}
    finally:
        server.terminate()
        server.wait(10)


def _many(client: requests.Session, address: str) -> Times:
    began = time.perf_counter()
    each = [_ask(client, address) for _ in range(TIMES)]
    return Times(each, time.perf_counter() - began)


def _after_changes(client: requests.Session, base: str) -> Times:
    """Ask each time after somebody's limit was changed, so that nothing that was read before can serve."""
    began, each = time.perf_counter(), list[float]()
    for number in range(TIMES):
        body = {"values": {"kernels": 20 + number}, "confirmed": True}
        client.patch(f"{base}/users/{quote(user(number), safe='')}", json=body, timeout=30).raise_for_status()
        each.append(_ask(client, f"{base}/users?sort=memory_mb"))
    return Times(each, time.perf_counter() - began)


def _ask(client: requests.Session, address: str) -> float:
    began = time.perf_counter()
    answer = client.get(address, timeout=30)
    took = time.perf_counter() - began
    answer.raise_for_status()
    return took


async def _serve(url: str) -> None:
    database = Database(url)
    server = Server(database, LimitStore(database))
    server.cluster = CLUSTER
    settle()
    print(server.base, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
