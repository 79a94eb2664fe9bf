"""One platform in a folder at a time."""

import fcntl
import os
from typing import TextIO

from .layout import Layout


class CannotStart(Exception):  # noqa: N818 (named for what happened, as the message shows it)
    """The platform cannot run; the text is for the person at the terminal."""


class OnlyOne:
    """Holds the platform's folder: two platforms cannot share one.

    The lock is the kernel's, so nothing stale is left by a platform that was killed.
    """

    def __init__(self, layout: Layout) -> None:
        self._file = layout.run / "demo.lock"
        self._held: TextIO | None = None

    def __enter__(self) -> None:
        self._held = self._file.open("a+")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._held.seek(0)
            pid = self._held.read().strip()
            text = f"A platform already runs in {self._file.parents[1]} (process {pid}). Stop it first: kill {pid}"
            raise CannotStart(text) from None
        self._held.truncate(0)
        self._held.write(str(os.getpid()))
        self._held.flush()

    def __exit__(self, *_: object) -> None:
        if self._held:
            self._held.close()
