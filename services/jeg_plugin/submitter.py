"""Keeps the submitter running: a JVM beside Enterprise Gateway that submits applications without starting anew.

It is started with the gateway, asked every few seconds whether it works, and replaced when it has ended or does not
answer. It ends with the gateway, however that ends. Without it kernels start by Spark's own client, as they do where
this machine was not prepared.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import metrics
from .command import OPENED, PASSED_ON, class_path_options, java_of
from .driver_files import DRIVER, PACKED
from .java_options import SMALL_HEAP
from .node import NODE, SUBMITTER_CLASS, Node, node_of
from .submitting import SOCKET, ping
from .threads import in_thread

#: ``false`` switches the submitter off.
SWITCH = "REMOTE_KERNELS_USE_SUBMITTER"
#: What only the submitter gets, of the gateway's environment.
KERBEROS = ("REMOTE_KERNELS_PRINCIPAL", "REMOTE_KERNELS_KEYTAB")
HEAP_MB = 256
PING_SECONDS, PING_TIMEOUT, PINGS_MISSED = 3.0, 5.0, 2
#: A JVM that has not opened its socket by then hangs.
START_SECONDS = 90.0
#: One that prepares a single application for longer hangs, too.
PREPARING_SECONDS = 120
#: Between a submitter's end and the next one's start; doubles while they end early.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: One that lived so long was no failed start.
LONG_LIFE = 60.0
#: Paths of unix sockets end there (unix(7)).
LONGEST_PATH = 100


class Submitter:
    """The JVM of one gateway.

    Parameters
    ----------
    folder : str
        Where it has a folder for its socket, into which only this account may look: the socket itself is everybody's
        until its mode is set.
    environ : mapping
        The gateway's environment.
    log : logging.Logger
        The gateway's.
    """

    def __init__(self, folder: str, environ: Mapping[str, str], log: Any) -> None:
        self.path = str(Path(folder) / "submitter" / "socket")
        self._environ = environ
        self._log = log
        self._node = node_of(environ)
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The JVM's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def prepared(self) -> bool:
        """Tell, also in the log, whether this machine is prepared for one."""
        why = self._why_not()
        if why:
            self._log.info("Kernels are submitted by Spark's own client: %s.", why)
        return not why

    def start(self) -> None:
        """Begin to keep it running, on a machine that is prepared."""
        self._task = asyncio.ensure_future(self._keep())

    def _why_not(self) -> str:
        if self._environ.get(SWITCH, "").lower() == "false":
            return f"{SWITCH} is false"
        if self._node is None or not Path(self._node.jar).exists():
            return f"there is no submitter in {self._environ.get(NODE) or NODE}; see hub-ext edge prepare-node"
        if len(os.fsencode(self.path)) > LONGEST_PATH:
            return "the path of its socket is too long"
        if shutil.which(java_of(self._environ)) is None:
            return "there is no Java"
        return ""

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._run()
            except OSError as error:
                self._log.warning("The submitter can't be started: %s", error)
            pause = FIRST_PAUSE if loop.time() - began > LONG_LIFE else min(pause * 2, LONGEST_PAUSE)
            self._log.warning("The submitter is started again in %.0f s.", pause)
            metrics.SUBMITTER_RESTARTS.inc()
            await asyncio.sleep(pause)

    async def _run(self) -> None:
        """Run one JVM until it ends or hangs; it is gone afterwards."""
        if self._node is None:
            raise FileNotFoundError("nothing is prepared")
        own = Path(self.path).parent
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        own.chmod(0o700)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        # Its standard input stays open as long as this process lives.
        self._process = process = await asyncio.create_subprocess_exec(
            *command(self._environ, self._node, self.path),
            env=environment(self._environ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        self._log.info("The submitter is started: pid=%d", process.pid)
        watch = asyncio.ensure_future(self._watch())
        try:
            ended = asyncio.ensure_future(process.wait())
            await asyncio.wait({watch, ended}, return_when=asyncio.FIRST_COMPLETED)
            self._log.warning("The submitter %s.", watch.result() if watch.done() else "has ended")
        finally:
            watch.cancel()
            metrics.SUBMITTER_UP.set(0)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _watch(self) -> str:
        """Return what is wrong with it as soon as something is."""
        loop = asyncio.get_running_loop()
        began, missed, worked = loop.time(), 0, False
        while True:
            try:
                oldest = await in_thread(ping, self.path, PING_TIMEOUT)
            except (OSError, ValueError):
                missed += worked
            else:
                if not worked:
                    self._log.info("The submitter is ready after %.1f s.", loop.time() - began)
                missed, worked = 0, True
                if oldest > PREPARING_SECONDS:
                    return f"has been preparing an application for {oldest} s"
            metrics.SUBMITTER_UP.set(int(worked and not missed))
            if missed >= PINGS_MISSED:
                return "does not answer"
            if not worked and loop.time() - began > START_SECONDS:
                return f"was not ready after {START_SECONDS:.0f} s"
            await asyncio.sleep(PING_SECONDS if worked else 0.2)


def command(environ: Mapping[str, str], node: Node, path: str) -> list[str]:
    """Return the JVM's argument list."""
    return [
        java_of(environ),
        f"-Xmx{HEAP_MB}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        *OPENED,
        *_class_path(environ, node),
        SUBMITTER_CLASS,
        path,
        DRIVER.as_uri(),
    ]


def _class_path(environ: Mapping[str, str], node: Node) -> list[str]:
    options = class_path_options(environ, node)
    # Without an archive our own classes are not on it.
    return options if node.archive else [*options[:-1], f"{options[-1]}:{node.jar}"]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the JVM's whole environment: where things are, and with Kerberos where its own key is."""
    return {name: environ[name] for name in (*PASSED_ON, *KERBEROS) if name in environ}


def for_launcher(given: Mapping[str, str], submitter: Submitter | None) -> dict[str, str]:
    """Return the launching program's environment: how this gateway submits, in which a request has no say."""
    own = {name: os.environ[name] for name in (NODE, SMALL_HEAP, PACKED) if name in os.environ}
    if submitter is not None:
        own[SOCKET] = submitter.path
    return {name: value for name, value in given.items() if not name.startswith("REMOTE_KERNELS_")} | own
