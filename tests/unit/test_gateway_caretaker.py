from datetime import datetime, timedelta, timezone

from hub_ext.database import Kernel
from hub_gateway.caretaker import still_missing, vanished
from hub_gateway.registry import RUNNING, STARTING


def kernel(kernel_id, owner="alice", server=""):
    return Kernel(id=kernel_id, owner=owner, server=server, started_at=datetime.now(timezone.utc))


def test_the_clock_starts_when_a_server_is_first_missing_and_stops_when_it_is_back():
    kernels = [kernel("a"), kernel("b", server="named"), kernel("c", owner="bob")]
    servers = {("alice", "")}
    first = still_missing(kernels, servers, {}, 100.0)
    assert first == {"b": 100.0, "c": 100.0}
    later = still_missing(kernels, {("alice", ""), ("bob", "")}, first, 130.0)
    assert later == {"b": 100.0}


NOW = datetime.now(timezone.utc)


def test_a_running_kernel_that_is_missing_has_vanished_and_a_start_only_when_its_time_is_up():
    rows = [
        Kernel(id="runs", state=RUNNING, started_at=NOW - timedelta(hours=1)),
        Kernel(id="gone", state=RUNNING, started_at=NOW),
        Kernel(id="starting", state=STARTING, started_at=NOW),
        Kernel(id="half-started", state=STARTING, started_at=NOW - timedelta(hours=1)),
    ]
    assert vanished(rows, {"runs"}, NOW - timedelta(minutes=5)) == {"gone", "half-started"}
