"""The supervisor under the embedded platform runs, restarts and stops small programs in the place of its parts."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from hub_ext.embedded.layout import Layout
from hub_ext.embedded.supervise import Supervisor
from tests.unit.test_embedded_supervise import PARTS, layout, part

__all__ = ["layout"]  # a fixture


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


NOTE = """
import json, os, signal, sys, time
def stop(*_):
    open('stopped', 'a').write(sys.argv[0] + NAME + '\\n')
    sys.exit()
signal.signal(signal.SIGTERM, stop)
open(NAME, 'w').write(json.dumps(dict(os.environ)))
while True: time.sleep(1)
"""


@pytest.fixture
def supervisor(layout: Layout) -> Iterator[Supervisor]:
    parts = [part(name, group, f"NAME = {name!r}\n{NOTE}", layout) for name, group in PARTS]
    made = Supervisor(layout, parts)
    made.start()
    try:
        yield made
    finally:
        made.ask_to_stop()
        eventually(lambda: not made.is_alive())
        made.remove_socket()


def pids(supervisor: Supervisor) -> dict[str, int]:
    return {state.name: state.pid for state in supervisor.states() if state.state == "RUNNING"}


def test_parts_run_with_exactly_their_environment(supervisor: Supervisor, layout: Layout) -> None:
    eventually(lambda: (layout.data / "hub").exists() and (layout.data / "hub").read_text() != "")

    environment = json.loads((layout.data / "hub").read_text())
    assert environment.pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"  # Python's own addition
    assert environment == dict(supervisor.parts[2].environment)


def test_what_dies_comes_back_and_all_stop_in_order(supervisor: Supervisor, layout: Layout) -> None:
    eventually(lambda: len(pids(supervisor)) == 3)
    before = pids(supervisor)

    os.kill(before["rm"], signal.SIGKILL)
    eventually(lambda: pids(supervisor).get("rm", before["rm"]) != before["rm"])
    running = pids(supervisor)
    assert running["hub"] == before["hub"]

    supervisor.ask_to_stop()
    eventually(lambda: not supervisor.is_alive())
    assert (layout.data / "stopped").read_text().split() == ["-chub", "-cedge", "-crm"]
    assert [pid for pid in running.values() if psutil.pid_exists(pid)] == []


def test_a_killed_supervisor_leaves_no_part(supervisor: Supervisor) -> None:
    eventually(lambda: len(pids(supervisor)) == 3)
    running = pids(supervisor)

    os.kill(supervisor.pid, signal.SIGKILL)

    eventually(lambda: not supervisor.is_alive() and not any(map(psutil.pid_exists, running.values())))


def test_a_part_that_does_not_stay_up_is_told(layout: Layout) -> None:
    made = Supervisor(layout, [part("broken", "hub", "print('the cause'); raise SystemExit(4)", layout)])
    made.start()
    try:
        eventually(lambda: any(state.state == "BACKOFF" for state in made.states()))
        assert "the cause" in (layout.logs / "broken.log").read_text()
    finally:
        made.ask_to_stop()
        eventually(lambda: not made.is_alive())
