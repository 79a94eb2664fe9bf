import logging
import resource

import pytest

from hub_gateway import loop


@pytest.fixture
def limits():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_gateway_allows_itself_as_many_open_files_as_the_system_lets(limits):
    _, most = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, most), most))
    loop.open_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)


@pytest.mark.parametrize("refusal", [PermissionError(1, "Operation not permitted"), ValueError("not allowed to raise")])
def test_where_the_system_refuses_that_the_gateway_runs_with_what_it_has_and_says_so(
    limits, monkeypatch, caplog, refusal
):
    def refuse(*_):
        raise refusal

    with monkeypatch.context() as patch:
        # A sandbox; this process may raise its own.
        patch.setattr(resource, "setrlimit", refuse)
        loop.open_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"{limits[0]} open files" in record.getMessage()
    assert str(refusal) in record.getMessage()
