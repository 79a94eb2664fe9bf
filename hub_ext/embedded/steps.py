"""Runs preparation steps: each once, again only when what it was made from has changed.

A step's stamp is written last, so an interrupted preparation goes on where it was. Only the standard library.
"""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hub_ext.embedded.progress import Report, WriteMeter

#: What tools print when the network, not the project, is at fault.
_NETWORK_SIGNS = (
    "failed to lookup address",
    "Temporary failure in name resolution",
    "Temporary failure resolving",
    "Name or service not known",
    "Could not transfer artifact",
    "Unknown host",
    "EAI_AGAIN",
    "ENOTFOUND",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "error sending request",
    "Connection refused",
    "Network is unreachable",
    "No matching distribution found for uv",
)
LOG_LINES_SHOWN = 12


class StepFailed(Exception):  # noqa: N818 (named for what happened, as the message shows it)
    """A step did not succeed; the text is for the person at the terminal."""


@dataclass(frozen=True)
class Step:
    """One thing to prepare.

    Attributes
    ----------
    name
        File name of its stamp and its log.
    what_for
        Shown while it runs: what is fetched and who needs it.
    download_mb
        What it downloads on a machine with empty caches, in MB.
    expected_mb
        What its tools write then, in MB: archives, their contents and what is built from them.
    made_from
        Everything whose change makes the step run again.
    proof
        A file that exists when the step's result does.
    run
        Does it.
    """

    name: str
    what_for: str
    download_mb: int
    expected_mb: int
    made_from: tuple[str, ...]
    proof: Path
    run: Callable[["Tool"], None]


@dataclass
class Tool:
    """Runs the programs of one step: output into its log, progress on the terminal."""

    log: Path
    report: Report
    cwd: Path
    _written_mb: float = field(default=0.0)

    def __call__(self, argv: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        """Run `argv` to its end.

        Raises
        ------
        StepFailed
            With the last lines of the log when the program fails.
        """
        with self.log.open("ab") as log:
            log.write(f"$ {' '.join(map(str, argv))}\n".encode())
            log.flush()
            # Argument lists of the preparation itself; no shell.
            try:
                process = subprocess.Popen(  # noqa: S603 (see above)
                    [str(each) for each in argv],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.cwd,
                    env={**os.environ, **(environment or {})},
                )
            except OSError as error:
                raise StepFailed(f"{argv[0]} cannot be run: {error.strerror}.") from error
            try:
                self._wait(process)
            finally:
                _end(process)
        if process.returncode:
            program = argv[2] if argv[1] == "-m" else Path(argv[0]).name
            raise StepFailed(failure_text(str(program), process.returncode, self.log))

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        meter = WriteMeter(process.pid)
        written = 0.0
        while process.poll() is None:
            written = meter.written_mb()
            self.report.update(self._written_mb + written)
            try:
                process.wait(timeout=0.25)
            except subprocess.TimeoutExpired:
                continue
        self._written_mb += written

    def note(self, text: str) -> None:
        """Write a line into the log."""
        with self.log.open("a") as log:
            log.write(f"{text}\n")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def failure_text(program: str, code: int, log: Path) -> str:
    """Return what to tell about a failed program: the cause if it is the network, the log's end and its path."""
    output = log.read_text(errors="replace")
    this_run = output[output.rfind("\n$ ") + 1 :].partition("\n")[2]
    tail = "\n".join(f"    {each}" for each in this_run.splitlines()[-LOG_LINES_SHOWN:])
    if any(sign in this_run for sign in _NETWORK_SIGNS):
        cause = f"{program} could not download: the network or the package registry does not answer."
    else:
        cause = f"{program} failed with code {code}."
    return f"{cause}\n{tail}\n  Whole log: {log}\n  What is already there is kept: run the same command again to go on."


def text_of(path: Path) -> str:
    """Return a file's text, or nothing where there is no file."""
    return path.read_text() if path.exists() else ""


def fingerprint(parts: tuple[str, ...]) -> str:
    """Return the hash that stands in a stamp."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def is_done(step: Step, stamps: Path) -> bool:
    """Tell whether the step's result is there and made from the present inputs."""
    try:
        stamp = (stamps / step.name).read_text()
    except OSError:
        return False
    return stamp == fingerprint(step.made_from) and step.proof.exists()


def run_steps(steps: Sequence[Step], tools: Path, root: Path) -> int:
    """Run every step that is not done; return how many ran.

    Raises
    ------
    StepFailed
        At the first step that fails.
    """
    stamps, logs = tools / "stamps", tools / "log"
    for folder in (stamps, logs):
        folder.mkdir(parents=True, exist_ok=True)
    todo = [step for step in steps if not is_done(step, stamps)]
    if todo:
        size = sum(step.download_mb for step in todo)
        print(f"Preparing {len(todo)} of {len(steps)} parts: up to {size} MB to download, once.", flush=True)
    for step in todo:
        (stamps / step.name).unlink(missing_ok=True)
        log = logs / f"{step.name}.log"
        what_for = f"{step.what_for} ({step.download_mb} MB)"
        log.unlink(missing_ok=True)
        report = Report(what_for, step.expected_mb, stream=sys.stdout)
        try:
            step.run(Tool(log=log, report=report, cwd=root))
        except BaseException:
            report.end("not finished")
            raise
        if not step.proof.exists():
            raise StepFailed(f"{step.what_for}: {step.proof} is missing although every program succeeded.")
        (stamps / step.name).write_text(fingerprint(step.made_from))
        report.end("ready")
    return len(todo)
