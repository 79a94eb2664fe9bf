"""The local process that submits an application, and the end of what it says."""

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable

from .story import TELLS
from .submitting import UNKNOWN

MAXIMUM_LINES = 200
MAXIMUM_LINE = 2000
#: How long an application may take to appear that was perhaps submitted.
UNKNOWN_SECONDS = 5.0


class Launcher:
    """Keeps the last lines of the process's standard error, and ends it with everything it started.

    Parameters
    ----------
    process : subprocess.Popen
        Started in a session of its own, with a pipe as its standard error.
    told : callable
        Gets what it tells of the submission, in a thread.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", told: Callable[[str], None] = lambda line: None) -> None:
        self._process = process
        self._told = told
        self._lines: deque[str] = deque(maxlen=MAXIMUM_LINES)
        self._unknown_since: float | None = None
        self._reader = threading.Thread(target=self._read, name="launcher-output", daemon=True)
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    def has_failed(self, unseen: str = "") -> bool:
        """Say whether it ended without an application that is yet to be seen.

        Parameters
        ----------
        unseen : str
            Why nobody can look for the application at the moment, if so.
        """
        if self.exit_code != UNKNOWN:
            return bool(self.exit_code)
        if self._unknown_since is None or unseen:
            self._unknown_since = time.monotonic()
        return time.monotonic() - self._unknown_since >= UNKNOWN_SECONDS

    def output(self) -> str:
        """Return the last lines; waits shortly for those of a process that has just ended."""
        self._reader.join(timeout=1.0)
        return "\n".join(self._lines)

    def end(self, grace: float = 2.0) -> None:
        """End the process and its group, politely first; blocks for at most `grace` and a second."""
        if self._process.poll() is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(1.0)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def _read(self) -> None:
        stream = self._process.stderr
        if stream is None:
            return
        with stream:
            while line := stream.readline(MAXIMUM_LINE):
                self._note(line.decode(errors="replace").rstrip())
        # Nobody else waits for a launcher that did its work.
        self._process.wait()

    def _note(self, line: str) -> None:
        if line.startswith(TELLS) and line.isprintable():
            self._told(line.removeprefix(TELLS))
        else:
            self._lines.append(line)
