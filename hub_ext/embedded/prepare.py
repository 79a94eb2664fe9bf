"""``python3 hub_ext/embedded/prepare.py [--for demo|test|unit]``: makes a checkout ready to run.

Run by the system's Python, before anything is installed: it and all that it imports use the standard library
only. A second run finds everything done.
"""

import argparse
import fcntl
import os
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if not __package__:
    # The package's __init__ needs packages that are not there yet: this stands in for it.
    sys.path[0] = str(ROOT)
    stand_in = types.ModuleType("hub_ext")
    stand_in.__path__ = [str(ROOT / "hub_ext")]
    sys.modules["hub_ext"] = stand_in

# Only after the lines above can these be found.
from hub_ext.embedded import downloads, environments  # noqa: E402 (see above)
from hub_ext.embedded.checks import Problem, problems  # noqa: E402 (see above)
from hub_ext.embedded.layout import Layout  # noqa: E402 (see above)
from hub_ext.embedded.probe import probe  # noqa: E402 (see above)
from hub_ext.embedded.steps import Step, StepFailed, is_done, run_steps  # noqa: E402 (see above)

EXIT_FAILED, EXIT_MACHINE, EXIT_INTERRUPTED = 1, 2, 130
PURPOSES = ("demo", "test", "unit")


def steps_for(layout: Layout, purpose: str) -> list[Step]:
    """Return what `purpose` needs, in order."""
    with_tests = purpose != "demo" or environments.has_test_tools(layout)
    hub = environments.HUB_FOR_TESTS if with_tests else environments.HUB
    steps = [environments.uv_step(layout), environments.environment_step(layout, hub)]
    if purpose == "unit":
        return steps
    for environment in (environments.ENTERPRISE_GATEWAY, environments.SPARK):
        steps.append(environments.environment_step(layout, environment))
    steps.append(environments.prepared_node_step(layout))
    steps += [downloads.hadoop_step(layout), downloads.node_step(layout)]
    if purpose == "test":
        steps.append(environments.environment_step(layout, environments.OLDER_HUB))
        steps.append(downloads.browser_step(layout))
    return steps


def report(found: Sequence[Problem]) -> str:
    """Return the text for a machine that lacks something: all of it at once, each with its cure."""
    rows = [f"  - {problem.text}\n      {problem.fix}" for problem in found]
    count = "One thing is" if len(found) == 1 else f"{len(found)} things are"
    return "\n".join([f"{count} missing on this machine:", *rows])


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare and return the exit code: 0 ready, 1 a step failed, 2 the machine lacks something."""
    parser = argparse.ArgumentParser(description="Make this checkout ready to run.")
    parser.add_argument("--for", dest="purpose", choices=PURPOSES, default="demo", help="what it is to run")
    purpose = parser.parse_args(arguments).purpose
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # However it is ended, the tool that runs at that moment ends with it.
        signal.signal(number, signal.default_int_handler)
    layout = Layout.of(ROOT)
    found = problems(probe(ROOT), purpose)
    if found:
        print(report(found), file=sys.stderr)
        return EXIT_MACHINE
    steps = steps_for(layout, purpose)
    if all(is_done(step, layout.tools / "stamps") for step in steps):
        return 0
    try:
        with _alone(layout.tools):
            run_steps(steps, layout.tools, ROOT)
    except StepFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("\nInterrupted. What is done is kept: run the same command again to go on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


@contextmanager
def _alone(tools: Path) -> Iterator[None]:
    """Hold the right to prepare; wait for another preparation of the same checkout."""
    tools.mkdir(parents=True, exist_ok=True)
    lock = os.open(tools / "preparing.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another preparation of this folder is under way: waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


if __name__ == "__main__":
    sys.exit(main())
