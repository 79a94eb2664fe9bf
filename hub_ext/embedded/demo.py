"""``python -m hub_ext.embedded.demo``: the whole platform on this machine, until Ctrl-C.

Needs a prepared checkout: ``make demo`` sees to that first.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from . import hadoop
from .checks import MEMORY_NEEDED_MB, memory_problem, node_memory_mb
from .kernelspecs import write_kernelspecs
from .layout import LOOPBACK, Layout, Ports
from .only_one import CannotStart, OnlyOne
from .parts import make_folders, make_tokens, parts, ports_file
from .probe import memory_available_mb
from .processes import adopt_orphans, end_descendants, port_problem, reap
from .ready import Wait, waits
from .supervise import Supervisor, earlier_supervisor, log_file

#: Seconds until the last part must be ready; a slow machine under load needs about a minute.
START_PATIENCE_S = 240
#: Seconds for the parts' own orderly end, then for whatever they leave behind.
STOP_PATIENCE_S = 60
LEFTOVER_PATIENCE_S = 5
#: Seconds in which two signals count as one wish.
SAME_REQUEST_S = 0.5
#: Seconds between two attempts to bring back a part that did not stay up.
TRY_AGAIN_S = 30
#: How often a part may start before the platform is ready; supervisord itself counts only quick deaths.
STARTS_ALLOWED = 4
LOG_LINES_SHOWN = 15
PASSWORD_VARIABLE = "HUB_EXT_DEMO_PASSWORD"  # noqa: S105 (the variable's name)


class Stopped(Exception):  # noqa: N818 (not an error)
    """The person asked to stop."""


class Demo:
    """One run of the platform."""

    def __init__(self, layout: Layout, port: int) -> None:
        self.layout = layout
        self.port = port
        self.stop_requests = 0
        self._last_request = -SAME_REQUEST_S
        self._pids: dict[str, set[int]] = {}
        self._tried_again: dict[str, float] = {}

    def run(self) -> int:
        """Start, wait until asked to stop, stop; return the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._request_stop)
        adopt_orphans()
        began = time.monotonic()
        make_folders(self.layout)
        with OnlyOne(self.layout):
            ports, tokens, node_mb = self._set_up()
            supervisor = Supervisor(self.layout, parts(self.layout, ports, tokens, os.environ))
            try:
                supervisor.start()
                self._wait_until_ready(supervisor, waits(ports, tokens))
                _say(self._welcome(time.monotonic() - began, node_mb))
                self._watch(supervisor)
            except Stopped:
                return 0
            finally:
                self._stop(supervisor)
        return 1

    def _request_stop(self, *_: Any) -> None:
        # One wish may arrive twice, for example from make and from the terminal.
        if time.monotonic() - self._last_request > SAME_REQUEST_S:
            self.stop_requests += 1
        self._last_request = time.monotonic()

    def _set_up(self) -> tuple[Ports, dict[str, str], int]:
        earlier = earlier_supervisor(self.layout)
        if earlier is not None:
            _say("An earlier platform in this folder is still stopping: waiting for its end.")
            self._wait_for_end(earlier)
        available = memory_available_mb()
        if available < MEMORY_NEEDED_MB:
            problem = memory_problem(available)
            raise CannotStart(f"{problem.text} {problem.fix.capitalize()}.")
        taken = port_problem(self.port)
        if taken:
            raise CannotStart(taken)
        ports = Ports.choose(self.port)
        ports.save(ports_file(self.layout))
        node_mb = node_memory_mb(available)
        hadoop.write_configuration(self.layout, ports, node_mb)
        write_kernelspecs(self.layout)
        return ports, make_tokens(self.layout), node_mb

    def _wait_for_end(self, earlier: psutil.Process) -> None:
        deadline = time.monotonic() + STOP_PATIENCE_S
        while earlier.is_running() and not self.stop_requests:
            if time.monotonic() > deadline:
                text = f"An earlier platform in this folder does not end. End it first: kill -9 {earlier.pid}"
                raise CannotStart(text)
            time.sleep(0.1)

    def _wait_until_ready(self, supervisor: Supervisor, pending: Sequence[Wait]) -> None:
        _say("Starting the platform. First its parts, one line for each when it is ready:")
        began = time.monotonic()
        left = list(pending)
        while left:
            self._pause(supervisor)
            waited_for = {each.name for each in left}
            for wait in [each for each in left if each.after not in waited_for and each.is_ready()]:
                _say(f"  {wait.name}: ready ({time.monotonic() - began:.0f} s)")
                left.remove(wait)
            for state in supervisor.states():
                self._pids.setdefault(state.name, set()).add(state.pid)
                if state.state == "FATAL" or len(self._pids[state.name] - {0}) > STARTS_ALLOWED:
                    raise CannotStart(self._failure(state.name, "does not stay up"))
            if left and time.monotonic() - began > START_PATIENCE_S:
                raise CannotStart(self._failure(left[0].parts[0], f"is not ready after {START_PATIENCE_S} s"))

    def _watch(self, supervisor: Supervisor) -> None:
        while True:
            self._pause(supervisor)
            for state in supervisor.states():
                last = self._tried_again.get(state.name, 0.0)
                if state.state == "FATAL" and time.monotonic() - last > TRY_AGAIN_S:
                    self._tried_again[state.name] = time.monotonic()
                    _say(f"{self._failure(state.name, 'does not stay up')}\nIt is started again.")
                    supervisor.try_again(state.name)

    def _pause(self, supervisor: Supervisor) -> None:
        """Wait a moment, see to orphans, and notice the two ways in which it all ends."""
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            if self.stop_requests:
                raise Stopped
            time.sleep(0.1)
        reap(supervisor.pid)
        if not supervisor.is_alive():
            log = self.layout.logs / "supervisord.log"
            raise CannotStart(f"The supervisor has ended, so the platform ends too.\n{_tail(log)}\n  Log: {log}")

    def _stop(self, supervisor: Supervisor) -> None:
        if supervisor.is_alive():
            _say("\nStopping (Ctrl-C again hurries) …")
        already = self.stop_requests
        supervisor.ask_to_stop()
        deadline = time.monotonic() + STOP_PATIENCE_S
        while supervisor.is_alive() and time.monotonic() < deadline and self.stop_requests <= max(1, already):
            time.sleep(0.05)
            reap(supervisor.pid)
        end_descendants(LEFTOVER_PATIENCE_S, lambda: self.stop_requests > max(1, already))
        supervisor.remove_socket()
        _say("The platform is stopped.")

    def _failure(self, part: str, what: str) -> str:
        log = log_file(self.layout, part)
        return f"{part} {what}. The end of its log:\n{_tail(log)}\n  Log: {log}"

    def _welcome(self, seconds: float, node_mb: int) -> str:
        own = bool(os.environ.get(PASSWORD_VARIABLE))
        password = f"the password from {PASSWORD_VARIABLE}" if own else "password demo"
        return "\n".join(
            [
                "",
                f"The platform is ready: http://{LOOPBACK}:{self.port}   ({seconds:.0f} s)",
                "",
                f"  1. Open that address and log in as alice, {password} (bob and admin are there too).",
                "  2. Look at the cluster, then start your notebook server.",
                '  3. In the launcher pick "Spark (Python)" and run a cell: it runs in YARN.',
                "",
                f"  YARN has {len(hadoop.NODE_ADDRESSES)} nodes of {node_mb} MB. Logs: {self.layout.logs}",
                "  Ctrl-C stops everything.",
            ]
        )


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    except OSError:
        return "    (no log)"
    return "\n".join(f"    {line}" for line in lines)


def _say(text: str) -> None:
    print(text, flush=True)


def chosen_port(value: str) -> int:
    """Return the port that ``PORT`` asks for.

    Raises
    ------
    CannotStart
        It is no port number.
    """
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 65535:
        raise CannotStart(f"PORT={value} is no port. Give a number from 1 to 65535, for example PORT=8001 make demo")
    return int(value)


def main() -> int:
    """Run the platform and return the exit code: 0 stopped by the person, 1 could not run."""
    root = Path(__file__).resolve().parents[2]
    try:
        return Demo(Layout.of(root), chosen_port(os.environ.get("PORT") or "8000")).run()
    except CannotStart as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
