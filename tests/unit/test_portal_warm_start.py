"""What My kernels says about kernels that start in advance."""

from datetime import datetime, timedelta, timezone

import pytest

from hub_portal.gateway import read_kernels
from hub_portal.models import RunningKernel, WarmStart
from hub_portal.views.running import kernel_rows
from hub_portal.views.warm_start import unused_words, warm_start_box

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=timezone.utc)
TITLES = {"spark": "Spark (Python)"}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (WarmStart(), None),
        (WarmStart(policy="something new", on=True), None),
        (WarmStart("chosen", False, "spark", 600.0), (False, True, "Spark (Python)", "10 min")),
        (WarmStart("chosen", True, "", 45.0), (True, True, "", "45 s")),
        (WarmStart("always", True, "not theirs any more", 600.0), (True, False, "", "10 min")),
    ],
)
def test_the_box(found, expected):
    box = warm_start_box(found, TITLES)
    assert (box and (box.on, box.choice, box.kernel, box.lasts)) == expected


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (None, ""),
        (570, "started in advance; ends in 9 min unless you use it"),
        (0, "started in advance"),
        (-5, "started in advance"),
    ],
)
def test_the_words_about_one_that_waits(left, words):
    until = None if left is None else NOW + timedelta(seconds=left)
    kernel = RunningKernel(id="k", kernelspec="spark", owner="alice", state="idle", warm_until=until)
    assert unused_words(kernel, NOW) == words
    (row,) = kernel_rows([kernel], None, TITLES, NOW)
    assert row.note == words


def test_the_gateways_answer_is_read():
    model = {"id": "k", "name": "spark", "remote_kernel": {"warm_until": "2026-05-04T12:10:00+00:00"}}
    (kernel,) = read_kernels([model])
    assert kernel.warm_until == NOW + timedelta(minutes=10)
