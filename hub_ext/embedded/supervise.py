"""Runs the parts under supervisord (https://supervisord.org): starts them, restarts what dies, stops in order."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]  # it ships no types

from .layout import Layout
from .parts import STOP_ORDER, Part, write_part, write_private

#: Length of a unix socket's path that every Linux takes (sun_path, unix(7)), less what supervisord appends.
_SOCKET_PATH_BYTES = 90
_CONFIGURATION = "supervisord.ini"
_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class State:
    """What supervisord says of a part.

    Attributes
    ----------
    name
        The part's.
    state
        supervisord's word: STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL, STOPPED.
    pid
        0 while it does not run.
    said
        Why it does not run, in supervisord's words.
    """

    name: str
    state: str
    pid: int
    said: str


def render(layout: Layout, parts: Sequence[Part], socket: Path) -> str:
    """Return supervisord's configuration.

    Secrets are not in it: each program reads its own file. ``%`` begins an expansion in this format and is
    doubled; ``;`` after a space would begin a comment, `shlex.quote` keeps one out of the paths' way.
    """
    sections = [_daemon(layout, socket)]
    for part in parts:
        sections.append(_program(layout, part, layout.run / "parts" / f"{part.name}.json"))
    # supervisord starts by rising priority and stops by falling priority.
    for priority, group in enumerate(reversed(STOP_ORDER), start=1):
        members = ",".join(part.name for part in parts if part.group == group)
        if members:
            sections.append({f"group:{group}": {"programs": members, "priority": str(priority)}})
    return "\n".join(_section(name, rows) for section in sections for name, rows in section.items())


def _daemon(layout: Layout, socket: Path) -> dict[str, dict[str, str]]:
    return {
        "unix_http_server": {"file": _plain(socket), "chmod": "0700"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        "supervisord": {
            "logfile": _plain(layout.logs / "supervisord.log"),
            "logfile_maxbytes": "1MB",
            "logfile_backups": "1",
            "pidfile": _plain(layout.run / "supervisord.pid"),
            "childlogdir": _plain(layout.logs),
            "nodaemon": "true",
            "silent": "true",
            # Said openly, so that it does not warn of running as whoever started it.
            "user": str(os.geteuid()),
        },
    }


def _program(layout: Layout, part: Part, file: Path) -> dict[str, dict[str, str]]:
    argv = [sys.executable, "-I", "-S", str(_LAUNCH), str(file)]
    rows = {
        "command": _plain(" ".join(shlex.quote(each) for each in argv)),
        "autostart": "true",
        "autorestart": "true",
        # A part that does not stay up for two seconds is tried again after 1, 2, 3, … seconds.
        "startsecs": "2",
        "startretries": "4",
        "stopsignal": "TERM",
        "stopwaitsecs": str(part.stop_seconds),
        "stopasgroup": "false",
        "killasgroup": "true",
        "redirect_stderr": "true",
        # Relative to the supervisor's folder, which is that of the logs: this value alone is expanded twice.
        "stdout_logfile": log_file(layout, part.name).name,
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "3",
    }
    return {f"program:{part.name}": rows}


def _section(name: str, rows: dict[str, str]) -> str:
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in rows.items()), ""])


def _plain(value: object) -> str:
    return str(value).replace("%", "%%")


def log_file(layout: Layout, name: str) -> Path:
    """Return where a part's output goes."""
    return layout.logs / f"{name}.log"


def socket_path(layout: Layout) -> Path:
    """Return where supervisord's control socket is: in the run folder, or in a short one if that is too long."""
    path = layout.run / "supervisor.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
        return path
    return Path(tempfile.mkdtemp(prefix="hub-ext-")) / "supervisor.sock"


def earlier_supervisor(layout: Layout) -> psutil.Process | None:
    """Return the supervisor of a killed demo while it still stops what it had started."""
    try:
        process = psutil.Process(int((layout.run / "supervisord.pid").read_text()))
        return process if str(layout.run / _CONFIGURATION) in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


class Supervisor:
    """One supervisord and the parts under it. Only the owner of its socket's folder can control it."""

    def __init__(self, layout: Layout, parts: Sequence[Part]) -> None:
        self.parts = list(parts)
        self._layout = layout
        self._socket = socket_path(layout)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start supervisord, which starts the parts."""
        for part in self.parts:
            write_part(self._layout, part)
        configuration = self._layout.run / _CONFIGURATION
        write_private(configuration, render(self._layout, self.parts, self._socket))
        daemon = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
        program = {"argv": daemon, "environment": _supervisor_environment(), "cwd": str(self._layout.logs)}
        file = self._layout.run / "parts" / "supervisord.json"
        write_private(file, json.dumps(program))
        # A session of its own, so that Ctrl-C at the terminal reaches the demo alone, which then stops in order.
        self._process = subprocess.Popen(  # noqa: S603 (an argument list of our own)
            [sys.executable, "-I", "-S", str(_LAUNCH), str(file)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """supervisord's process id, 0 before `start`."""
        return self._process.pid if self._process else 0

    def is_alive(self) -> bool:
        """Tell whether supervisord runs."""
        return self._process is not None and self._process.poll() is None

    def states(self) -> list[State]:
        """Ask supervisord for every part's state; an empty list while it does not answer."""
        try:
            answer: Any = self._server().supervisor.getAllProcessInfo()
        except (OSError, xmlrpc.client.Error):
            return []
        return [State(each["name"], each["statename"], each["pid"], each["spawnerr"]) for each in answer]

    def try_again(self, name: str) -> None:
        """Start a part that supervisord gave up on; whether it stays up shows in `states`."""
        group = next(part.group for part in self.parts if part.name == name)
        self._server().supervisor.startProcess(f"{group}:{name}", False)

    def ask_to_stop(self) -> None:
        """Ask supervisord to stop the parts in order, then itself; returns at once."""
        if self.is_alive() and self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def remove_socket(self) -> None:
        """Remove what is left of the control socket after the end."""
        self._socket.unlink(missing_ok=True)
        if self._socket.parent != self._layout.run:
            self._socket.parent.rmdir()

    def _server(self) -> xmlrpc.client.ServerProxy:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)


def _supervisor_environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
