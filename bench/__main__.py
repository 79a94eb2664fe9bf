"""Measure everything and write RESULTS.md."""

import asyncio
import os
import platform
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import sqlalchemy

from tests import postgres

from . import admission, table, traffic, world
from .timing import Times

RESULTS = Path(__file__).parent / "RESULTS.md"
DECISIONS_PER_SECOND, DECISION_MS, TABLE_MS = 200, 50, 200
#: Processes, what each one does at a time, and how many come each second (0: as many as are possible).
ADMISSION = ((1, 1, 0), (1, 8, 0), (1, 32, 0), (2, 8, 0), (1, 0, 200), (2, 0, 200))


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """Give the addresses of both databases, built; PostgreSQL writes to the disk as it would on a site."""
    postgres.SETTINGS.update(fsync="on", synchronous_commit="on", full_page_writes="on")
    server = postgres.Postgres()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            server.start()
            urls = {"SQLite": f"sqlite:///{folder}/bench.sqlite", "PostgreSQL": server.url(server.create())}
            for url in urls.values():
                asyncio.run(world.build(url))
            yield urls
        finally:
            server.stop()


def admission_rows(urls: dict[str, str]) -> list[str]:
    rows = []
    for name, url in urls.items():
        for processes, at_a_time, rate in ADMISSION:
            found = admission.in_processes(url, processes, at_a_time, rate)
            how = f"{rate} come each second" if rate else f"{at_a_time} at a time each"
            # The rate is a matter of what is possible, the waiting one of what comes. Alone there is no crowd.
            kept = found.percentile(99) < DECISION_MS if rate else found.rate >= DECISIONS_PER_SECOND
            rows.append(
                _row(name, processes, how, f"{found.rate:.0f}", *_times(found), "" if at_a_time == 1 else _yes(kept))
            )
            print(rows[-1], flush=True)
    return rows


def table_rows(urls: dict[str, str]) -> list[str]:
    rows = []
    for name, url in urls.items():
        for question, found in table.measure(url).items():
            rows.append(_row(name, question, *_times(found), _yes(found.percentile(99) < TABLE_MS)))
            print(rows[-1], flush=True)
    return rows


def _times(found: Times) -> list[str]:
    return [f"{found.percentile(50):.1f}", f"{found.percentile(99):.1f}", f"{found.longest:.1f}"]


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _yes(kept: bool) -> str:
    return "yes" if kept else "**no**"


def report(admitted: list[str], tables: list[str], passed: list[str], load: tuple[float, float, float]) -> str:
    """Write the page."""
    lines = [
        "# Measured",
        "",
        "Written by `make bench`; run it again after a change that could matter.",
        "",
        f"- {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores ({_processor()}), "
        f"load before: {load[0]:.1f}, after: {os.getloadavg()[0]:.1f}",
        f"- Python {platform.python_version()}, SQLAlchemy {sqlalchemy.__version__}, "
        f"SQLite {sqlite3.sqlite_version} (WAL), PostgreSQL 18 (fsync on) on the same machine",
        f"- {world.USERS:,} users, {world.GROUPS} groups, {world.USERS_WITH_VALUES:,} users with own values, "
        f"{world.RUNNING} running kernels, {world.ENDED:,} that have ended",
        "",
        "## Decisions about kernel starts",
        "",
        "`Admission.reserve` for different users, each followed by a release, which counts in the rate and not in the "
        f"times. Goal: at least {DECISIONS_PER_SECOND} a second where as many are made as are possible, and 99 of 100 "
        f"in less than {DECISION_MS} ms where {DECISIONS_PER_SECOND} come each second.",
        "",
        _row("database", "processes", "how many", "decisions/s", "p50 ms", "p99 ms", "longest ms", "goal kept"),
        "|---|---|---|---|---|---|---|---|",
        *admitted,
        "",
        "## The table of users",
        "",
        f"One page over HTTP, Hub token checked, from the process's own cache of the Hub's answer; {table.TIMES} times "
        f"each. Goal: less than {TABLE_MS} ms.",
        "",
        _row("database", "question", "p50 ms", "p99 ms", "longest ms", "goal kept"),
        "|---|---|---|---|---|---|",
        *tables,
        "",
        *passed,
    ]
    return "\n".join(lines)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    load = os.getloadavg()
    with databases() as urls:
        admitted = admission_rows(urls)
        tables = table_rows(urls)
    passed = traffic.report()
    RESULTS.write_text(report(admitted, tables, passed, load))
    print(f"Written to {RESULTS.relative_to(Path.cwd())}.")


if __name__ == "__main__":
    main()
