from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.limits import ResolvedLimit
from hub_gateway.activity import activity_of
from hub_gateway.culling import Notices, Watched, field_of, human_seconds, next_step

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
NOTICE = timedelta(minutes=10)


def minutes(count):
    return timedelta(minutes=count)


def limits(idle="unlimited", life="unlimited", source="group analytics"):
    values = {"idle_timeout": idle, "lifetime": life}
    return {name: ResolvedLimit(value, source) for name, value in values.items()}


LIFETIME_NOTICE = "runs since 2026-05-04 10:00 UTC; the limit is 1 h"


def kernel(idle=None, age=600, stop_in=None, told="idle since 10:00 UTC; the limit is 2 h"):
    return Watched(
        "k",
        NOW - minutes(age),
        None if idle is None else NOW - minutes(idle),
        None if stop_in is None else NOW + minutes(stop_in),
        "" if stop_in is None else told,
    )


def step(watched, given):
    found = next_step(watched, given, NOW, NOTICE)
    return None if found is None else (found.deed, None if found.at is None else (found.at - NOW) / minutes(1))


@pytest.mark.parametrize(
    ("watched", "given", "expected"),
    [
        # (kernel, limits, (deed, minutes from now))
        (kernel(idle=19), limits(idle=1800), None),
        # Notice is always given in full: a round that came a minute late makes the stop a minute later.
        (kernel(idle=21), limits(idle=1800), ("notice", 10)),
        (kernel(idle=600), limits(), None),
        (kernel(idle=None), limits(idle=1800), None),
        # Due unseen: the full notice counts from now.
        (kernel(idle=300), limits(idle=1800), ("notice", 10)),
        # A limit of 4 minutes has 2 minutes of notice.
        (kernel(idle=1), limits(idle=240), None),
        (kernel(idle=2), limits(idle=240), ("notice", 2)),
        (kernel(idle=5), limits(idle=240), ("notice", 2)),
        # Notice was given: kept, moved, withdrawn, carried out.
        (kernel(idle=25, stop_in=5), limits(idle=1800), None),
        (kernel(idle=24, stop_in=3), limits(idle=1800), ("notice", 6)),
        (kernel(idle=2, stop_in=3), limits(idle=1800), ("withdraw", None)),
        (kernel(idle=None, stop_in=3), limits(idle=1800), ("withdraw", None)),
        (kernel(idle=25, stop_in=3), limits(idle=36000), ("withdraw", None)),
        (kernel(idle=25, stop_in=3), limits(), ("withdraw", None)),
        (kernel(idle=35, stop_in=0), limits(idle=1800), ("stop", None)),
        (kernel(idle=35, stop_in=4), limits(idle=1800), None),
        (kernel(idle=None, stop_in=-1), limits(idle=1800), ("withdraw", None)),
        # Lifetime counts busy or not.
        (kernel(idle=None, age=55), limits(life=3600), ("notice", 10)),
        (kernel(idle=None, age=61, stop_in=0, told=LIFETIME_NOTICE), limits(life=3600), ("stop", None)),
        # Who was told to run something was not told that this would not help: the whole notice, anew.
        (kernel(idle=None, age=300, stop_in=0), limits(idle=1800, life=14400), ("notice", 10)),
        (kernel(idle=2, age=300, stop_in=2), limits(idle=1800, life=14400), ("notice", 10)),
        (kernel(idle=40, age=50, stop_in=0, told=LIFETIME_NOTICE), limits(idle=1800, life=36000), ("notice", 10)),
        (kernel(idle=21, age=59), limits(idle=1800, life=3600), ("notice", 10)),
        # 0 is no time at all, which is not the same as no limit.
        (kernel(idle=0), limits(idle=0), ("notice", 0)),
        (kernel(idle=0, stop_in=0), limits(idle=0), ("stop", None)),
    ],
)
def test_notice_comes_first_and_a_stop_only_while_it_is_still_due(watched, given, expected):
    assert step(watched, given) == expected


@pytest.mark.parametrize(
    ("watched", "given", "text"),
    [
        (
            kernel(idle=35, stop_in=0),
            limits(idle=1800),
            "stopped: idle for 35 min, the limit is 30 min (group analytics)",
        ),
        (
            kernel(idle=35, stop_in=0),
            limits(idle=1800, source="user"),
            "stopped: idle for 35 min, the limit is 30 min (set for you)",
        ),
        (
            kernel(age=725, stop_in=0, told=LIFETIME_NOTICE),
            limits(life=43200),
            "stopped: ran for 12 h 5 min, the limit is 12 h (group analytics)",
        ),
        (kernel(idle=25), limits(idle=1800, source="default"), "idle since 11:35 UTC; the limit is 30 min (default)"),
    ],
)
def test_the_reason_has_the_numbers_and_where_the_limit_comes_from(watched, given, text):
    assert next_step(watched, given, NOW, NOTICE).reason == text


@pytest.mark.parametrize(
    ("watched", "given", "field"),
    [
        (kernel(idle=25), limits(idle=1800), "idle_timeout"),
        (kernel(age=716), limits(life=43200), "lifetime"),
    ],
)
def test_a_notice_tells_which_limit_it_is_about(watched, given, field):
    found = next_step(watched, given, NOW, NOTICE)
    assert found.deed == "notice"
    assert field_of(found.reason) == field
    assert field_of("") == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (5400, "1 h 30 min"),
        (3600, "1 h"),
        (273600, "3 d 4 h"),
        (86400, "1 d"),
    ],
)
def test_durations_are_written_for_people(seconds, text):
    assert human_seconds(seconds) == text


@pytest.mark.parametrize(
    ("state", "last", "idle", "known"),
    [
        ("idle", "2026-03-01T11:40:00.123456Z", 20, True),
        ("busy", "2026-03-01T11:40:00.123456Z", None, True),
        # Never used, or Enterprise Gateway was restarted.
        ("starting", "2026-03-01T11:40:00Z", None, False),
        ("dead", "2026-03-01T11:40:00Z", None, False),
        ("idle", None, None, False),
        ("idle", "yesterday", None, False),
    ],
)
def test_a_kernel_whose_state_is_not_known_is_not_idle(state, last, idle, known):
    found = activity_of({"execution_state": state, "last_activity": last})
    assert found.known is known
    assert (found.idle_since is None) == (idle is None)
    if idle is not None:
        assert round((NOW - found.idle_since) / minutes(1)) == idle


def test_a_clock_that_is_set_forward_shortens_no_notice():
    notices, stop_at = Notices(), NOW + timedelta(seconds=600)
    assert not notices.are_over("a", stop_at, NOW, 100.0)
    assert not notices.are_over("a", stop_at, NOW + timedelta(hours=1), 102.0)
    assert notices.are_over("a", stop_at, NOW + timedelta(hours=1), 700.0)


def test_a_notice_of_an_earlier_gateway_is_over_at_its_time_and_another_notice_counts_anew():
    notices = Notices()
    assert notices.are_over("a", NOW, NOW, 100.0)
    assert not notices.are_over("a", NOW + timedelta(seconds=5), NOW, 100.0)
    assert not notices.are_over("a", None, NOW, 100.0)
    notices.forget_all_but(())
    assert notices.are_over("a", NOW, NOW, 100.0)
