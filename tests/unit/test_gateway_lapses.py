from datetime import datetime, timedelta, timezone

import pytest

from hub_gateway.lapses import SLOW, Lapses

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
#: A round every 18 s: a lease of 6 s, renewed every 2 s, is over when it was seen unchanged for 3 s.
INTERVAL, RENEWAL = 18.0, 2.0


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def looks(*seen, skew=0.0):
    """Look at one lease, each time ``(seconds, its end, how long the look took)``; return the last verdict."""
    lapses, over = Lapses(INTERVAL, RENEWAL), frozenset()
    for seconds, until_, took in seen:
        leases = {} if until_ is None else {"k": at(until_)}
        over = lapses.look(leases, at(seconds + skew), seconds, took)
    return over == {"k"}


@pytest.mark.parametrize(
    ("seen", "over"),
    [
        ([(0, 6, 0)], False),
        ([(0, 6, 0), (7, 6, 0)], False),
        ([(7, 6, 0), (9, 6, 0)], False),
        ([(7, 6, 0), (10, 6, 0)], True),
        # Renewed meanwhile.
        ([(7, 6, 0), (10, 14, 0)], False),
        ([(7, 6, 0), (10, 14, 0), (14.5, 14, 0), (16, 14, 0)], False),
        # Had to wait for the database, as the one who renews it had.
        ([(7, 6, 0), (10, 6, SLOW * 2)], False),
        ([(7, 6, 0), (10, 6, SLOW * 2), (12, 6, 0)], False),
        ([(7, 6, 0), (10, 6, SLOW * 2), (13, 6, 0)], True),
        # Gone, and there again.
        ([(7, 6, 0), (9, None, 0), (10, 6, 0)], False),
    ],
)
def test_a_lease_is_over_when_it_ran_out_and_was_not_renewed_for_longer_than_that_takes(seen, over):
    assert looks(*seen) == over


def test_clocks_need_not_agree():
    # Ours is ahead by an hour: every lease seems to have run out, and none that is renewed is over.
    assert not looks(*[(n, n + 4, 0) for n in range(0, 20, 2)], skew=3600)
    # Ours is behind by an hour: what nobody renews is over all the same.
    assert looks((0, 6, 0), (7, 6, 0), (10, 6, 0), skew=-3600)


def pause(lapses, until_, seconds):
    return lapses.pause({} if until_ is None else {"k": at(until_)}, at(seconds), seconds)


def test_a_place_is_given_back_within_the_interval_whenever_its_gateway_died():
    lapses = Lapses(INTERVAL, RENEWAL)
    # Nothing to see: the next look leaves time for the second one.
    assert pause(lapses, None, 0) == INTERVAL - 1.5 * RENEWAL
    # It will have run out.
    assert pause(lapses, 6, 0) == pytest.approx(6, abs=0.1)
    # It has: the second look.
    assert not lapses.look({"k": at(6)}, at(7), 7.0)
    assert pause(lapses, 6, 7) == pytest.approx(1.5 * RENEWAL, abs=0.1)


def test_what_can_not_be_decided_waits_for_the_next_round():
    lapses = Lapses(INTERVAL, RENEWAL)
    lapses.look({"k": at(6)}, at(7), 7.0)
    assert lapses.look({"k": at(6)}, at(10.1), 10.1)
    assert pause(lapses, 6, 10.2) > INTERVAL / 2
    assert lapses.look({"k": at(6)}, at(27), 27.0)
    assert pause(lapses, 6, 27) > INTERVAL / 2
