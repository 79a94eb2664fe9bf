"""Kernel traffic through the gateway, beside other proxies: ``python -m bench.traffic [ROUNDS [SECONDS]]``.

Every way gets its turn in every round, in alternating order, and is compared with nginx's turn of the same round.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from tests import traffic_client

from .traffic_ways import GATEWAY, NGINX, Way, nginx_version, ways

ROUNDS, SECONDS = 9, 1.0
SOCKETS = 500
MEGABYTE = 1024 * 1024
MESSAGES_GOAL, MEGABYTES_GOAL = 1.0, 1.2


@dataclass(frozen=True)
class Load:
    """What passes; `in_flight` messages of each connection are answered, 0: the kernel sends without being asked."""

    name: str
    size: int
    connections: int
    in_flight: int

    @property
    def in_megabytes(self) -> bool:
        return self.size >= MEGABYTE

    @property
    def goal(self) -> float:
        return MEGABYTES_GOAL if self.in_megabytes else MESSAGES_GOAL

    @property
    def session_id(self) -> str:
        return f"echo_{self.size}_" if self.in_flight else f"flood_{self.size}_0_"


LOADS = (
    Load("600 B there and back, one at a time on each of 20 connections", 600, 20, 1),
    Load("600 B there and back, 16 at a time on each of 20 connections", 600, 20, 16),
    Load("output of 600 B messages on 20 connections", 600, 20, 0),
    Load("output of 1 MB messages on 20 connections", MEGABYTE, 20, 0),
    Load("output of 1 MB messages on one connection", MEGABYTE, 1, 0),
)


@dataclass(frozen=True)
class Turn:
    """How much passed in a second, messages or MB, and the proxy's processor time for one message, in microseconds."""

    rate: float
    cpu_us: float


Found = dict[tuple[Load, str], list[Turn]]


def take_turn(way: Way, load: Load, seconds: float) -> Turn:
    socks = [way.connect(f"{load.session_id}{number}") for number in range(load.connections)]
    try:
        before = way.cpu_seconds
        warm_up = 0.2
        passed = traffic_client.measure(socks, load.size, seconds, in_flight=load.in_flight, warm_up=warm_up)
        cpu = (way.cpu_seconds - before) * seconds / (seconds + warm_up)
    finally:
        for sock in socks:
            sock.close()
    time.sleep(0.05)  # what was under way is over
    rate = passed.mb_per_second if load.in_megabytes else passed.per_second
    return Turn(rate, 1e6 * cpu / max(1, passed.messages))


def take_turns(all_ways: list[Way], rounds: int, seconds: float) -> Found:
    found: Found = {}
    for number in range(rounds):
        order = all_ways if number % 2 == 0 else all_ways[::-1]
        for load in LOADS:
            for way in order:
                found.setdefault((load, way.name), []).append(take_turn(way, load, seconds))
        print(f"round {number + 1} of {rounds}", flush=True)
    return found


def rows(found: Found) -> list[str]:
    """Write the table's rows."""
    lines = []
    for (load, name), turns in found.items():
        rates = [turn.rate for turn in turns]
        of_nginx = [turn.rate for turn in found.get((load, NGINX), [])]
        ratio = statistics.median(a / b for a, b in zip(rates, of_nginx, strict=True)) if of_nginx else 0
        kept = ("yes" if ratio >= load.goal else "**no**") if of_nginx and name == GATEWAY else ""
        unit = "MB/s" if load.in_megabytes else "messages/s"
        cpu = statistics.median(turn.cpu_us for turn in turns)
        lines.append(
            f"| {load.name} | {name} | {statistics.median(rates):,.0f} {unit} | {min(rates):,.0f} to {max(rates):,.0f} "
            f"| {f'{ratio:.2f}' if of_nginx else ''} | {f'{cpu:,.1f}' if cpu else ''} | {kept} |"
        )
    return lines


def memory_rows(all_ways: list[Way]) -> list[str]:
    """Open many sockets through each proxy, let one message pass on each, and see what it keeps for them."""
    lines = []
    for way in all_ways:
        if way.process is None:
            continue
        before, socks = way.memory, []
        try:
            socks += [way.connect(f"echo_600_{number}") for number in range(SOCKETS)]
            traffic_client.measure(socks, 600, 0.5, in_flight=1)
            each = (way.memory - before) / SOCKETS / 1024
        finally:
            for sock in socks:
                sock.close()
        lines.append(f"| {way.name} | {before / MEGABYTE:.0f} | {each:.0f} |")
    return lines


def report(rounds: int = ROUNDS, seconds: float = SECONDS) -> list[str]:
    """Measure and write the section of the results."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ways(Path(folder)) as all_ways:
        memory = memory_rows(all_ways)
        found = take_turns(all_ways, rounds, seconds)
    version = nginx_version()
    loop = f"uvloop {metadata.version('uvloop')}" if find_spec("uvloop") else "asyncio's own loop"
    nginx = (
        f"nginx {version}, one worker, as shipped and with larger buffers"
        if version
        else "**nginx is not on this machine** (Debian: `apt-get install nginx-light`), so nothing is compared with it"
    )
    return [
        "## Kernel traffic",
        "",
        f"Medians of {rounds} turns of {seconds:g} s, interleaved; client, proxy and upstream are processes of their "
        f"own on the same machine. {nginx}. The upstream stands in for Enterprise Gateway and for the Hub that the "
        f"gateway asks; all else of the gateway is real, on {loop}. Processor time is the proxy's. Goals: at least "
        f"{MESSAGES_GOAL:.1f} times nginx as shipped in messages/s, {MEGABYTES_GOAL:.1f} times in MB/s; the ratio "
        "is the median of the rounds' own.",
        "",
        "| what passes | through | median | lowest to highest | of nginx | µs each message | goal kept |",
        "|---|---|---|---|---|---|---|",
        *rows(found),
        "",
        f"Memory with {SOCKETS} open sockets, on each of which messages have passed:",
        "",
        "| through | MiB before | KiB each socket |",
        "|---|---|---|",
        *memory,
        "",
    ]


if __name__ == "__main__":
    arguments = [float(word) for word in sys.argv[1:]]
    print("\n".join(report(int(arguments[0]) if arguments else ROUNDS, *arguments[1:2])))
