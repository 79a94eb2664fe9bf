"""How long a Spark kernel takes to start, ours beside stock Enterprise Gateway: ``python -m bench.kernel_start``.

All on one cluster, with the demo's default settings and the same sizes. In every round each way starts one kernel, in
alternating order. ``--cpu MINUTES`` measures instead what the options for small kernels cost a job that computes.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hub_ext.embedded.layout import Ports
from tests.integration.kernel_client import KernelClient
from tests.integration.yarn_stack import Stack, wait_for

from .stock import KERNELSPEC, USERS, Stock, sources, user_name

RESULTS = Path(__file__).parent / "RESULTS-kernel-start.md"
ROUNDS, ROUNDS_UPLOADING, ROUNDS_OF_FIVE = 7, 7, 7
ANSWER = "spark.range(1000).count()"
#: What is measured of each start, in seconds since it was asked for; the last two have goals.
PHASES = ("submitted", "accepted", "driver", "connected", "idle", "spark_ready", "first_answer")
GOALS = (
    # What is compared, with what, which phase, and the largest ratio of the medians.
    ("ours", "stock", "idle", 0.30),
    ("ours", "stock", "first_answer", 0.30),
    ("ours", "stock-uploads", "idle", 0.25),
    ("ours", "stock-uploads", "first_answer", 0.25),
    ("ours, five at once", "stock, five at once", "idle", 0.65),
    ("ours, five at once", "stock, five at once", "first_answer", 0.65),
)
#: A job of one task that the compilers decide about: a hash over a range, in generated code, all on one core.
CPU_JOB = "spark.range(0, {rows}, 1, 1).selectExpr('max(xxhash64(id, id * 7, cast(id as string)))').collect()"


@dataclass
class Way:
    """One way to start a kernel, and what was measured of it."""

    name: str
    client: Callable[[], KernelClient]
    kernelspec: Callable[[int], str]
    starts: list[dict[str, float]] = field(default_factory=list)
    failed: int = 0


def start(way: Way, stack: Stack, user: int) -> dict[str, float]:
    """Start a kernel, ask Spark something, stop it; return when each phase was reached."""
    client = way.client()
    asked, began = time.time(), time.monotonic()
    times: dict[str, float] = {}
    client.start(way.kernelspec(user), {"KERNEL_USERNAME": user_name(user), "KERNEL_LAUNCH_TIMEOUT": "180"})
    times["connected"] = time.monotonic() - began
    try:
        client.wait_idle(120)
        times["idle"] = time.monotonic() - began
        client.run(ANSWER, timeout=240)
        times["first_answer"] = time.monotonic() - began
        return {**_told(client, stack, asked), **times}
    finally:
        client.delete()


def _told(client: KernelClient, stack: Stack, asked: float) -> dict[str, float]:
    """Return the phases that the ResourceManager tells of any application, and those that our gateway tells."""
    mine = [app for app in stack.applications() if client.kernel_id in app["name"] + app.get("applicationTags", "")]
    found = {}
    if mine:
        found["submitted"] = mine[-1]["startedTime"] / 1000 - asked
        found["accepted"] = mine[-1]["launchTime"] / 1000 - asked
    model = client.request("GET", f"kernels/{client.kernel_id}").json()
    return found | {
        name: when - asked for name, when in model.get("start_phases", {}).items() if name in ("driver", "spark_ready")
    }


def one_at_a_time(ways: Sequence[Way], stack: Stack, number: int) -> None:
    """Start one kernel each way; every other round begins at the other end."""
    for way in ways if number % 2 == 0 else reversed(ways):
        _keep(way, lambda way=way: [start(way, stack, number % USERS)])


def at_once(ways: Sequence[Way], stack: Stack, number: int) -> None:
    """Start as many kernels at once as there are users, each way."""
    for way in ways if number % 2 == 0 else reversed(ways):
        with ThreadPoolExecutor(USERS) as pool:
            _keep(way, lambda way=way, pool=pool: list(pool.map(lambda user: start(way, stack, user), range(USERS))))


def _keep(way: Way, measure: Callable[[], list[dict[str, float]]]) -> None:
    try:
        found = measure()
    except Exception as error:  # a start that fails is a result, too
        way.failed += 1
        print(f"{way.name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
        return
    way.starts += found
    for times in found:
        print(way.name, {phase: round(times[phase], 2) for phase in PHASES if phase in times}, flush=True)


def compare(options: argparse.Namespace) -> None:
    """Measure every way and write the results."""
    load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stack = Stack(Path(folder) / "p")
        stock, uploads = (Stock(stack, uploads, *_two_ports()) for uploads in (False, True))
        try:
            stack.start_all()
            wait_for(lambda: "The submitter is ready" in stack.log("gateway"), 120, "the submitter")
            ours = Way("ours", stack.client, lambda _: "spark_python")
            ways = [ours, Way("stock", stock.client, _stock_kernelspec)]
            all_ways = [*ways, Way("stock-uploads", uploads.client, _stock_kernelspec)]
            crowds = [Way(f"{way.name}, five at once", way.client, way.kernelspec) for way in ways]
            source = sources(stack.layout.tools)
            stock.start(source)
            uploads.start(source)
            for way in all_ways:
                # Caches of the machine are warm for everyone.
                _keep(
                    Way(f"(not counted) {way.name}", way.client, way.kernelspec), lambda way=way: [start(way, stack, 0)]
                )
            for number in range(max(options.rounds, options.rounds_uploading)):
                taking = [way for way in all_ways if number < _rounds_of(way, options)]
                one_at_a_time(taking, stack, number)
            for number in range(options.rounds_of_five):
                at_once(crowds, stack, number)
        finally:
            stack.stop_all()
    text = report([*all_ways, *crowds], load)
    print(text)
    if options.write:
        RESULTS.write_text(text)
        print(f"Written to {RESULTS.relative_to(Path.cwd())}.")


def _rounds_of(way: Way, options: argparse.Namespace) -> int:
    return int(options.rounds_uploading if way.name == "stock-uploads" else options.rounds)


def _stock_kernelspec(user: int) -> str:
    return f"{KERNELSPEC}_{user}"


def _two_ports() -> tuple[int, int]:
    ports = Ports.choose(0)
    return ports.gateway, ports.portal


def report(ways: Sequence[Way], load: tuple[float, float, float]) -> str:
    """Write the page."""
    lines = [
        "# Kernel start, measured",
        "",
        "Written by `python -m bench.kernel_start --write`, on an idle machine. See docs/kernel-start.md.",
        "",
        f"- {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, "
        f"load before: {load[0]:.1f}, after: {os.getloadavg()[0]:.1f}, Python {platform.python_version()}",
        "- One ResourceManager, two NodeManagers, heartbeats of 200 ms; drivers and executors of 640 MiB and one core",
        "- stock: Enterprise Gateway 3.3.0 with its own kernelspec, launcher and settings, Spark's jars on every node; "
        "stock-uploads: the same without that setting, so that every start uploads them. One line of its launcher is "
        "changed, without which it does not start with this Spark",
        "- ours: Enterprise Gateway with this project's kernelspec and plugin, asked directly; what the gateway in "
        "front adds is measured with the decisions about starts",
        "",
        "Seconds since the kernel was asked for: median (shortest to longest).",
        "",
        _row("way", "n", "failed", *PHASES),
        "|---|---|---|" + "---|" * len(PHASES),
    ]
    lines += [_row(way.name, len(way.starts), way.failed, *(_cell(way, phase) for phase in PHASES)) for way in ways]
    lines += [
        "",
        "Ratios of the medians, beside the goals.",
        "",
        _row("what", "ratio", "goal", "kept"),
        "|---|---|---|---|",
    ]
    lines += [_goal(ways, *goal) for goal in GOALS]
    return "\n".join([*lines, ""])


def _goal(ways: Sequence[Way], name: str, other: str, phase: str, goal: float) -> str:
    medians = {way.name: _median(way, phase) for way in ways}
    mine, theirs = medians[name], medians[other]
    if mine is None or theirs is None:
        return _row(f"{name} / {other}, {phase}", "not measured", f"≤ {goal:.2f}", "")
    kept = "yes" if mine / theirs <= goal else "**no**"
    return _row(f"{name} / {other}, {phase}", f"{mine / theirs:.2f}", f"≤ {goal:.2f}", kept)


def _values(way: Way, phase: str) -> list[float]:
    return [times[phase] for times in way.starts if phase in times]


def _median(way: Way, phase: str) -> float | None:
    values = _values(way, phase)
    return statistics.median(values) if values else None


def _cell(way: Way, phase: str) -> str:
    values = _values(way, phase)
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})" if values else ""


def _row(*cells: Any) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


# -- what the options for small kernels cost -----------------------------------------------------------


def compute(options: argparse.Namespace) -> None:
    """Run the same computation with and without the options for small kernels, in turns."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stack = Stack(Path(folder) / "p")
        found: dict[str, list[float]] = {"small": [], "plain": []}
        try:
            stack.start_yarn()
            rows = 0
            for number in range(options.rounds):
                for name in ("small", "plain") if number % 2 == 0 else ("plain", "small"):
                    stack.start_gateway(REMOTE_KERNELS_SMALL_HEAP_MB="1024" if name == "small" else "0")
                    rows = rows or _rows_for(stack, options.cpu * 60)
                    found[name].append(_computed(stack, rows))
                    stack.stop("gateway")
                    print(name, f"{found[name][-1]:.1f} s for {rows:,} rows", flush=True)
        finally:
            stack.stop_all()
    medians = {name: statistics.median(times) for name, times in found.items()}
    print(_row("options", "n", "median s", "all"), "|---|---|---|---|", sep="\n")
    for name, times in found.items():
        print(_row(name, len(times), f"{medians[name]:.1f}", ", ".join(f"{each:.1f}" for each in times)))
    print(f"small / plain: {medians['small'] / medians['plain']:.2f}")


def _rows_for(stack: Stack, seconds: float) -> int:
    """Find how many rows take about so long."""
    sample = 20_000_000
    return int(sample * seconds / _computed(stack, sample))


def _computed(stack: Stack, rows: int) -> float:
    kernel = stack.start_kernel("spark_python", timeout=180)
    try:
        kernel.run(ANSWER, 240)
        began = time.monotonic()
        kernel.run(CPU_JOB.format(rows=rows), 3600)
        return time.monotonic() - began
    finally:
        kernel.delete()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rounds-uploading", type=int, default=ROUNDS_UPLOADING, help="of stock as shipped")
    parser.add_argument("--rounds-of-five", type=int, default=ROUNDS_OF_FIVE)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--cpu", type=float, metavar="MINUTES", help="measure a computation of about so long instead")
    options = parser.parse_args()
    compute(options) if options.cpu else compare(options)


if __name__ == "__main__":
    main()
