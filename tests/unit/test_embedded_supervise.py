"""The supervisor under the embedded platform, with small programs in the place of its parts."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from supervisor.options import ServerOptions

from hub_ext.embedded import launch
from hub_ext.embedded.demo import CannotStart, chosen_port
from hub_ext.embedded.layout import Layout, Ports
from hub_ext.embedded.parts import Part, make_folders, make_tokens, platform_environment, write_part
from hub_ext.embedded.processes import port_problem
from hub_ext.embedded.ready import running_nodes
from hub_ext.embedded.supervise import Supervisor, render, socket_path

SECRET = "a-secret-value"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    # Names that a configuration format can stumble over.
    made = Layout(root=tmp_path, platform=tmp_path / "50% of; it's")
    make_folders(made)
    return made


def part(name: str, group: str, code: str, layout: Layout) -> Part:
    environment = {"PATH": os.environ["PATH"], "TOKEN": SECRET, "LITERAL": '%(here)s "quoted" \'\n'}
    return Part(name, group, (sys.executable, "-c", code), environment, layout.data, stop_seconds=5)


def eventually(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


SLEEP = "import time\nwhile True: time.sleep(1)"
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


PARTS = [("rm", "scheduler"), ("edge", "services"), ("hub", "hub")]


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


def test_the_configuration_is_read_back_as_meant_and_holds_no_secret(layout: Layout) -> None:
    parts = [part(name, group, SLEEP, layout) for name, group in PARTS]
    text = render(layout, parts, socket_path(layout))
    path = layout.run / "supervisord.ini"
    path.write_text(text)

    options = ServerOptions()
    options.realize(["-c", str(path)])

    assert SECRET not in text
    programs = {each.name: each for group in options.process_group_configs for each in group.process_configs}
    assert sorted(programs) == ["edge", "hub", "rm"]
    assert programs["hub"].command.startswith(f"{sys.executable} -I -S {launch.__file__} ")
    assert programs["hub"].stdout_logfile == "hub.log"
    assert programs["hub"].autorestart is not False
    priorities = {group.name: group.priority for group in options.process_group_configs}
    assert priorities == {"scheduler": 1, "services": 3, "hub": 4}


def test_files_with_secrets_are_their_owners_alone(layout: Layout) -> None:
    file = write_part(layout, part("hub", "hub", SLEEP, layout))
    tokens = make_tokens(layout)

    assert len(set(tokens.values())) == 3
    for path in (file, *layout.run.glob("*-token")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(layout.run.stat().st_mode) == 0o700
    assert make_tokens(layout) != tokens


def test_a_long_folder_gets_a_short_socket(tmp_path: Path) -> None:
    layout = Layout(root=tmp_path, platform=tmp_path / ("x" * 90))
    path = socket_path(layout)
    try:
        assert len(str(path)) < 90
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        path.parent.rmdir()


def test_programs_do_not_inherit_ignored_signals(tmp_path: Path) -> None:
    program = tmp_path / "program.json"
    code = "import signal; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    program.write_text(json.dumps({"argv": [sys.executable, "-c", code], "environment": {}, "cwd": str(tmp_path)}))

    done = subprocess.run(
        ["sh", "-c", 'trap "" TERM; exec "$@"', "sh", sys.executable, "-I", "-S", launch.__file__, str(program)],
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.stdout == "True\n"


def test_settings_of_other_installations_stay_out(layout: Layout) -> None:
    environment = platform_environment(
        layout, {"PATH": "/usr/bin", "LANG": "C", "SPARK_HOME": "/opt/spark", "PYTHONPATH": "/x", "JUPYTER_PATH": "/y"}
    )

    assert environment["PATH"] == f"{layout.root}/.tools/hub/bin:{layout.root}/node_modules/.bin:/usr/bin"
    assert environment["HUB_EXT_PLATFORM"] == str(layout.platform)
    assert environment["LANG"] == "C"
    assert not {"SPARK_HOME", "PYTHONPATH", "JUPYTER_PATH"} & environment.keys()


def test_a_taken_port_names_the_one_who_has_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = port_problem(port)

    assert text is not None
    assert f"Port {port} is taken by {psutil.Process().name()} (process {os.getpid()})" in text
    assert f"PORT={port + 1} make demo" in text
    assert port_problem(port) is None


@pytest.mark.parametrize("value", ["", "x", "0", "65536", "-1", "80 80", "٨٠٠٠"])
def test_a_port_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(CannotStart, match="is no port"):
        chosen_port(value)


def test_a_port_is_a_number() -> None:
    assert chosen_port("8001") == 8001
    assert Ports.choose(8001).proxy == 8001


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (None, 0),
        (b"", 0),
        (b"[]", 0),
        (b'{"nodes": null}', 0),
        (b'{"nodes": {"node": [{"id": "a"}, {"id": "b"}]}}', 2),
    ],
)
def test_nodes_are_counted_in_what_the_resource_manager_says(body: bytes | None, count: int) -> None:
    assert running_nodes(body) == count
