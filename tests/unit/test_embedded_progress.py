"""What a person sees while something long is prepared."""

import io
import subprocess
import sys
import time

import pytest

from hub_ext.embedded import progress


@pytest.mark.parametrize(
    ("done", "expected", "seconds", "says"),
    [
        (0, 100, 0, "  X [························] 0 of about 100 MB written, 0 s"),
        (50.4, 100, 61, "  X [████████████············] 50 of about 100 MB written, 1 min 01 s"),
        (130, 100, 5, "  X [████████████████████████] 130 of about 100 MB written, 5 s"),
        (3.2, 0, 5, "  X: 3 MB, 5 s"),
    ],
)
def test_a_line_tells_size_and_time(done: float, expected: int, seconds: float, says: str) -> None:
    assert progress.line("X", done, expected, seconds) == says


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_redrawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "REDRAW_S", 0.0)
    terminal = Terminal()
    report = progress.Report("Java", 10, stream=terminal)

    report.update(1)
    report.update(2)
    report.end("ready")

    assert "\n" not in terminal.getvalue()[:-1]
    assert terminal.getvalue().count("\r\x1b[2K") == 3
    assert terminal.getvalue().endswith("\r\x1b[2K  Java: ready (0 s)\n")


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.2)
    log = io.StringIO()
    report = progress.Report("Java", 10, stream=log)

    report.update(1)  # too early
    time.sleep(0.25)
    report.update(5)
    report.update(6)  # too early again
    report.end("ready")

    assert log.getvalue() == ("  Java [████████████············] 5 of about 10 MB written, 0 s\n  Java: ready (0 s)\n")


def test_what_a_process_and_its_child_write_is_measured() -> None:
    writer = "import sys, time\nopen('/dev/null', 'wb', buffering=0).write(bytes(20_000_000))\nprint(flush=True)\n"
    parent = f"import subprocess, sys\n{writer}subprocess.run([sys.executable, '-c', {writer + 'time.sleep(60)'!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        meter = progress.WriteMeter(process.pid)
        process.stdout.readline()
        process.stdout.readline()
        assert meter.written_mb() == pytest.approx(40, abs=1)
        (child,) = progress.tree(process.pid)[1:]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        subprocess.run(["kill", str(child)], check=True)
    assert meter.written_mb() == pytest.approx(40, abs=1)
