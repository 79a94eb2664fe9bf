from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.cluster import Application
from hub_ext.database import Kernel
from hub_gateway.reconciler import View, plan
from hub_gateway.repairs import runs_in_yarn

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
GRACE = timedelta(seconds=45)
ID = "f9ed359d-07f3-45e0-a3f6-b7f676625dd8"
VALID, OVER = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)


def row(state, leased_until=None):
    counted = {"memory_mb": 0, "cores": 0, "cluster_user": "alice_c"}
    return Kernel(id=ID, owner="alice", kernelspec="spark", state=state, leased_until=leased_until, **counted)


def application(state="RUNNING", user="alice_c", tag=ID):
    return Application(id="application_1_1", user=user, state=state, tags=(tag,))


THERE, GONE, UNKNOWN = {ID: "spark"}, {}, None
LIVES, ENDED, NOTHING, UNASKED = [application()], [application("KILLED")], [], None


def planned(rows, kernels, applications, seen=None, in_yarn=("spark",), lapsed=None):
    if lapsed is None:
        lapsed = {one.id: one.leased_until for one in rows if one.leased_until in (None, OVER)}
    view = View(kernels, applications, frozenset(in_yarn), {"alice_c": "alice"}, lapsed)
    return plan(rows, view, NOW, seen or {}, GRACE)


CASES = [
    (row("starting", VALID), THERE, LIVES, None),
    (row("starting", VALID), GONE, NOTHING, None),
    (row("restarting", VALID), GONE, NOTHING, None),
    (row("starting", OVER), THERE, LIVES, ("half-started", "confirm")),
    (row("starting", OVER), THERE, UNASKED, ("half-started", "confirm")),
    (row("starting", OVER), GONE, LIVES, ("abandoned-start-in-yarn", "end-and-release")),
    (row("starting", OVER), GONE, ENDED, ("abandoned-start", "release")),
    (row("starting", OVER), GONE, NOTHING, ("abandoned-start", "release")),
    (row("starting", None), GONE, NOTHING, ("abandoned-start", "release")),
    (row("starting", OVER), GONE, UNASKED, None),
    (row("starting", OVER), UNKNOWN, NOTHING, None),
    (row("restarting", OVER), THERE, LIVES, ("half-restarted", "confirm")),
    (row("restarting", OVER), GONE, LIVES, ("abandoned-restart-in-yarn", "end-and-release")),
    (row("restarting", OVER), GONE, NOTHING, ("abandoned-restart", "release")),
    (row("ending", VALID), THERE, LIVES, None),
    (row("ending", VALID), GONE, NOTHING, None),
    (row("ending", OVER), THERE, LIVES, ("unfinished-end", "delete-and-release")),
    (row("ending", None), THERE, UNASKED, ("unfinished-end", "delete-and-release")),
    (row("ending", OVER), GONE, LIVES, ("unfinished-end", "end-and-release")),
    (row("ending", OVER), GONE, NOTHING, ("unfinished-end", "release")),
    (row("ending", OVER), GONE, UNASKED, None),
    (row("ending", OVER), UNKNOWN, LIVES, None),
    (row("running"), THERE, LIVES, None),
    (row("running"), UNKNOWN, NOTHING, None),
    (row("running"), THERE, UNASKED, None),
    (row("ended"), THERE, LIVES, ("ended-but-there", "delete")),
    (row("ended"), THERE, UNASKED, ("ended-but-there", "delete")),
    (row("ended"), GONE, LIVES, ("late-application", "end")),
    (row("ended"), UNKNOWN, LIVES, ("late-application", "end")),
    (row("ended"), GONE, ENDED, None),
]


@pytest.mark.parametrize(("reservation", "kernels", "applications", "expected"), CASES)
def test_each_mismatch_has_its_repair(reservation, kernels, applications, expected):
    found = planned([reservation], kernels, applications).actions
    assert [(one.case, one.deed) for one in found] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("kernels", "applications", "expected"),
    [
        (GONE, LIVES, ("vanished", "end-and-release")),
        (GONE, NOTHING, ("vanished", "end-and-release")),
        (GONE, UNASKED, ("vanished", "end-and-release")),
        (THERE, NOTHING, ("dead-in-yarn", "delete-and-release")),
        (THERE, ENDED, ("dead-in-yarn", "delete-and-release")),
    ],
)
def test_a_running_kernel_has_to_be_missing_for_the_grace_time(kernels, applications, expected):
    first = planned([row("running")], kernels, applications)
    assert first.actions == []
    key = (expected[0], ID)
    assert first.seen == {key: NOW}
    assert planned([row("running")], kernels, applications, {key: NOW - GRACE / 2}).actions == []
    (action,) = planned([row("running")], kernels, applications, {key: NOW - GRACE}).actions
    assert (action.case, action.deed) == expected
    assert planned([row("running")], THERE, LIVES, {key: NOW - GRACE}).seen == {}


def test_another_mismatch_begins_its_own_grace_time():
    seen = {("dead-in-yarn", ID): NOW - GRACE}
    assert planned([row("running")], GONE, NOTHING, seen).actions == []


def test_a_kernel_outside_yarn_needs_no_application():
    seen = {("dead-in-yarn", ID): NOW - GRACE}
    assert planned([row("running")], THERE, NOTHING, seen, in_yarn=()).actions == []


def test_a_kernel_without_reservation_goes_to_the_person_who_owns_its_application():
    found = planned([], THERE, LIVES)
    (action,) = found.actions
    assert (action.deed, action.kernel_id, action.application) == ("adopt", ID, LIVES[0])
    assert (action.owner, action.kernelspec) == ("alice", "spark")
    assert not found.unowned_kernels
    assert not found.unknown_applications


@pytest.mark.parametrize("applications", [NOTHING, ENDED, [application(user="somebody")]])
def test_a_kernel_that_nobody_owns_is_left_alone_and_counted(applications):
    found = planned([], THERE, applications)
    assert found.actions == []
    assert found.unowned_kernels == {ID}


def test_an_application_with_a_kernels_tag_and_no_reservation_is_left_alone_and_counted():
    found = planned([], GONE, [application(), application(tag="livy")])
    assert found.actions == []
    assert found.unknown_applications == {"application_1_1"}
    assert planned([], UNKNOWN, LIVES).unknown_applications == frozenset()
    assert planned([], THERE, UNASKED).unowned_kernels == frozenset()


def test_a_lease_that_was_renewed_since_it_was_found_to_be_over_is_left_alone():
    assert planned([row("starting", VALID)], GONE, LIVES, lapsed={ID: OVER}).actions == []
    assert planned([row("starting", OVER)], GONE, LIVES, lapsed={}).actions == []


@pytest.mark.parametrize(
    ("tags", "name", "found"),
    [
        ((ID,), "anything", True),
        (("livy",), ID, True),
        ((), f"hand-written-{ID}", True),
        ((), "hand-written", False),
        ((), f"{ID}0", False),
    ],
)
def test_a_kernels_application_is_known_by_tag_or_by_name(tags, name, found):
    application = Application(id="application_1_1", user="alice_c", state="RUNNING", tags=tags, name=name)
    seen = {("dead-in-yarn", ID): NOW - GRACE}
    assert (planned([row("running")], THERE, [application], seen).actions == []) == found


@pytest.mark.parametrize(
    ("process_proxy", "certain"),
    [
        ("jeg_plugin.process_proxy.YarnKernelProxy", True),
        # Enterprise Gateway's own finds its application by whatever its options say.
        ("enterprise_gateway.services.processproxies.yarn.YarnClusterProcessProxy", False),
        ("enterprise_gateway.services.processproxies.processproxy.LocalProcessProxy", False),
        (None, False),
    ],
)
def test_only_kernels_of_our_process_proxy_are_in_yarn_for_certain(process_proxy, certain):
    metadata = {"process_proxy": {"class_name": process_proxy}} if process_proxy else {}
    assert runs_in_yarn({"spec": {"metadata": metadata}}) == certain


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        ({"memory_mb": 2048, "vcores": 2}, None),
        ({"memory_mb": 1024, "vcores": 1}, None),
        ({"memory_mb": 5120, "vcores": 4}, (5120, 4)),
        ({"memory_mb": 1024, "vcores": 3}, (2048, 3)),
        # Of somebody else, who uses the kernel's id.
        ({"memory_mb": 5120, "vcores": 4, "user": "mallory"}, None),
        # The ResourceManager withholds it.
        ({"memory_mb": 5120, "vcores": 4, "started_at": None}, None),
    ],
)
def test_what_a_kernel_holds_beyond_what_was_counted_is_counted_after_the_grace_time(holds, expected):
    counted = row("running")
    counted.memory_mb, counted.cores = 2048, 2
    given = {"id": "application_1_2", "user": "alice_c", "state": "RUNNING", "tags": (ID,), "started_at": NOW, **holds}
    # The earlier one of a restart, which takes a moment to end.
    before = Application(**{**given, "id": "application_1_1", "memory_mb": 9999})
    assert planned([counted], THERE, [Application(**given), before]).actions == []
    found = planned([counted], THERE, [Application(**given), before], {("grown", ID): NOW - GRACE}).actions
    assert [(one.memory_mb, one.cores) for one in found] == ([expected] if expected else [])
    assert {(one.case, one.deed) for one in found} <= {("grown", "grow")}
