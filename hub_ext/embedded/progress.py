"""Shows how far a long preparation step is: what it is for, and how much of the expected size is written.

Only the standard library: this runs on the system's Python, before anything is installed.
"""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

BAR_WIDTH = 24
#: Seconds between two drawings on a terminal, and between two lines in a log.
REDRAW_S = 0.5
LINE_S = 10.0


def line(what_for: str, done_mb: float, expected_mb: int, seconds: float) -> str:
    """Return one line of progress.

    Expected sizes are measured, not announced by the other side, so a step may pass its expectation; the bar
    then stays full until the step ends.
    """
    if not expected_mb:
        return f"  {what_for}: {done_mb:.0f} MB, {duration(seconds)}"
    filled = round(BAR_WIDTH * min(1.0, done_mb / expected_mb))
    bar = "█" * filled + "·" * (BAR_WIDTH - filled)
    return f"  {what_for} [{bar}] {done_mb:.0f} of about {expected_mb} MB written, {duration(seconds)}"


def duration(seconds: float) -> str:
    """Return seconds as a person writes them."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


@dataclass
class Report:
    """Writes the progress of one step: redrawn in place on a terminal, otherwise a line now and then."""

    what_for: str
    expected_mb: int
    stream: TextIO = field(default_factory=lambda: sys.stdout)
    _began: float = field(default_factory=time.monotonic)
    _written: float = 0.0

    def update(self, done_mb: float) -> None:
        """Show `done_mb` if it is time to."""
        now = time.monotonic()
        pause = REDRAW_S if self.stream.isatty() else LINE_S
        if now - max(self._written, self._began) < pause:
            return
        self._written = now
        text = line(self.what_for, done_mb, self.expected_mb, now - self._began)
        self.stream.write(f"\r\x1b[2K{text}" if self.stream.isatty() else f"{text}\n")
        self.stream.flush()

    def end(self, outcome: str) -> None:
        """Replace the bar by the step's outcome."""
        start = "\r\x1b[2K" if self.stream.isatty() else ""
        took = duration(time.monotonic() - self._began)
        self.stream.write(f"{start}  {self.what_for}: {outcome} ({took})\n")
        self.stream.flush()


@dataclass
class WriteMeter:
    """Measures what a process and its children have written, in MB of 10^6 bytes.

    The kernel counts the bytes given to write calls of each process (``wchar`` in /proc/PID/io). That is what
    grows on disk, wherever the tool keeps its cache, without walking folders of ten thousands of files.
    """

    pid: int
    _bytes: dict[int, int] = field(default_factory=dict)

    def written_mb(self) -> float:
        """Return the sum so far; processes that have ended keep their last known count."""
        for pid in tree(self.pid):
            written = _written_bytes(pid)
            if written is not None:
                self._bytes[pid] = written
        return sum(self._bytes.values()) / 1e6


def tree(pid: int) -> list[int]:
    """Return a process and everything below it; each thread has its own list of children."""
    children: list[str] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += thread.read_text().split()
        except OSError:  # ended meanwhile
            continue
    return [pid, *(each for child in children for each in tree(int(child)))]


def _written_bytes(pid: int) -> int | None:
    try:
        counters = Path(f"/proc/{pid}/io").read_text()
    except OSError:
        return None
    return next((int(row.split()[1]) for row in counters.splitlines() if row.startswith("wchar:")), None)
