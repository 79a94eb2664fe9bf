import subprocess
import sys
import time

from jeg_plugin import launcher as launcher_module
from jeg_plugin.launcher import MAXIMUM_LINE, MAXIMUM_LINES, Launcher
from jeg_plugin.submitting import UNKNOWN
from tests.support import wait_for


def launched(program, *told):
    return Launcher(
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        ),
        *told,
    )


def ended(launcher):
    deadline = time.monotonic() + 10
    while launcher.exit_code is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return launcher.exit_code


def test_its_last_words_are_kept():
    launcher = launched("import sys; print('why', file=sys.stderr); sys.exit(3)")
    assert ended(launcher) == 3
    assert launcher.output() == "why"


def test_what_it_tells_of_the_submission_is_passed_on_and_is_no_complaint():
    told = []
    lines = ("remote_kernel: submits", "remote_kernel: a\x1b[2J", "why")
    program = f"import sys\nfor line in {lines!r}: print(line, file=sys.stderr)"
    launcher = launched(program, told.append)
    assert ended(launcher) == 0
    assert launcher.output().splitlines()[-1] == "why"
    assert told == ["submits"]


def test_one_that_knows_not_what_it_did_has_failed_when_no_application_is_seen_for_a_while(monkeypatch):
    monkeypatch.setattr(launcher_module, "UNKNOWN_SECONDS", 0.2)
    failed, unknown = launched("raise SystemExit(1)"), launched(f"raise SystemExit({UNKNOWN})")
    assert (ended(failed), ended(unknown)) == (1, UNKNOWN)
    assert failed.has_failed()
    assert not unknown.has_failed()
    time.sleep(0.25)
    # Without anybody who could see it, the while does not pass.
    assert not unknown.has_failed("the ResourceManager does not answer")
    time.sleep(0.25)
    assert unknown.has_failed()


def test_endless_words_are_bounded():
    launcher = launched(
        "import sys\nfor n in range(100000): print(n, 'x' * 50, file=sys.stderr)\nsys.stderr.write('y' * 10**6)"
    )
    assert ended(launcher) == 0
    lines = launcher.output().splitlines()
    assert len(lines) <= MAXIMUM_LINES
    assert all(len(line) <= MAXIMUM_LINE for line in lines)
    assert lines[-1].endswith("y")


def test_its_end_ends_its_children():
    program = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    launcher = launched(program)
    time.sleep(0.3)
    launcher.end()
    assert launcher.exit_code is not None
    # The child held the other end of the pipe.
    assert launcher.output() == ""
    assert not launcher._reader.is_alive()


def test_a_stubborn_one_is_killed():
    told = []
    program = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); "
    program += "print('remote_kernel: ready', file=sys.stderr, flush=True); time.sleep(60)"
    launcher = launched(program, told.append)
    wait_for(lambda: told, 30, every=0.02, what="that it ignores signals")
    began = time.monotonic()
    launcher.end(grace=0.5)
    assert launcher.exit_code == -9
    assert time.monotonic() - began < 30
    launcher.end()
