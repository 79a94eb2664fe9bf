"""What the supervisor under the embedded platform is told; tests/integration/test_supervise.py runs it."""

import json
import os
import socket
import stat
import subprocess
import sys
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
from hub_ext.embedded.supervise import render, socket_path

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


SLEEP = "import time\nwhile True: time.sleep(1)"
PARTS = [("rm", "scheduler"), ("edge", "services"), ("hub", "hub")]


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
