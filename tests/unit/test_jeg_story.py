import sys

import pytest

from jeg_plugin import launch
from jeg_plugin.command import Start, argv_of
from jeg_plugin.definition import Definition, Size
from jeg_plugin.failures import Failure
from jeg_plugin.start_failures import KernelStartError, outcome_of, seconds_of
from jeg_plugin.story import Story, request_id_of

KERNEL_ID = "074a5e12-ffe3-423e-8d13-a6c2289ef55a"
ENVIRON = {"KERNEL_ID": KERNEL_ID, "KERNEL_USERNAME": "alice"}


@pytest.mark.parametrize("good", ["a", "-", "Abc_9-x", "x" * 64])
def test_a_request_id_is_kept(good):
    assert request_id_of(good) == good


@pytest.mark.parametrize("bad", [None, "", "x" * 65, "a b", "a\nkernel=other", "a\r", "é", "a;b", "a=b", "\x1b[2J"])
def test_a_request_id_that_could_forge_a_log_line_is_not(bad):
    assert request_id_of(bad) == "-"


def test_every_line_of_a_kernel_ends_the_same_way():
    assert str(Story(KERNEL_ID, "alice", "r1")) == f"kernel={KERNEL_ID} user=alice request=r1"
    assert str(Story(KERNEL_ID, "")) == f"kernel={KERNEL_ID} user=- request=-"


def test_the_launcher_tells_whose_start_it_submits():
    assert str(launch.story_of({**ENVIRON, "KERNEL_REQUEST_ID": "r1"})).endswith("user=alice request=r1")
    assert str(launch.story_of({**ENVIRON, "KERNEL_REQUEST_ID": "r1\nuser=root"})).endswith("user=alice request=-")


def test_the_driver_gets_the_request_even_one_that_begins_with_a_dash(monkeypatch):
    start = Start(KERNEL_ID, "alice", "10.0.0.5:8877", "MIGf" + "A" * 200, request="--kernel-id")
    argv = argv_of(Definition("python", Size(640)), start, {"SPARK_HOME": "/opt/spark"})
    position = next(n for n, part in enumerate(argv) if part.endswith("/driver.py"))
    monkeypatch.syspath_prepend(str(launch.Path(launch.__file__).parent))
    monkeypatch.setattr(sys, "argv", argv[position:])
    import driver  # as it stands in a container

    try:
        parsed = driver.parsed()
    finally:
        for name in ("driver", "remote_kernel_channel", "remote_kernel_requests"):
            sys.modules.pop(name, None)
    assert (parsed.kernel_id, parsed.user, parsed.request_id) == (KERNEL_ID, "alice", "--kernel-id")


def test_a_failed_start_is_counted_under_its_code():
    assert outcome_of(KernelStartError(Failure("queue-full", "100% full", 409))) == "queue-full"
    assert outcome_of(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize(("given", "seconds"), [("5", 5.0), (0, 1.0), ("inf", 3600.0), (99999, 3600.0)])
def test_a_launch_timeout_is_kept_within_bounds(given, seconds):
    assert seconds_of(given) == seconds
