from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.errors import CASES, DIALOG_COLUMNS, dialog_text
from hub_ext.limits import ResolvedLimit
from hub_ext.limits.decide import limit_refusal, physical_refusal
from hub_ext.limits.physical_refusals import cluster_unreachable
from hub_ext.limits.text import parse_time
from hub_ext.limits.words import source_words
from hub_ext.sizes import UNBOUNDED_EXECUTORS, KernelSize

from .limits_support import NODE, ask, cluster, held, limits, sizes, some_held, some_limits

GROUP = "group analytics"
SPARK = KernelSize(1664, 1, 2, 3712, 2)
MORE = "ask for more on the My limits page"


def refused(size=SPARK, has=(), queue="notebooks", **given_limits):
    return limit_refusal(ask(size, queue), limits(**given_limits), held(*has))


def test_over_a_total_limit_says_everything():
    refusal = refused(memory_mb=(8192, GROUP), has=[("python_yarn", 2048, 1)])
    assert refusal.lines() == [
        "Spark big can't start: it takes 10.0 GB in YARN, and your limit leaves 6.0 GB.",
        "It asks for a driver of 2.0 GB and 2 executors of 4.0 GB each.",
        "Your limit for all kernels together is 8.0 GB (from group analytics); 2.0 GB are in use.",
        "You have 1 kernel: python_yarn 2.0 GB.",
        f"Choose a kernel that takes at most 6.0 GB; or {MORE}.",
    ]
    assert refusal.status == 403
    assert refusal.numbers == {
        "field": "memory_mb",
        "asked": 10240,
        "limit": 8192,
        "source": GROUP,
        "used": 2048,
        "free": 6144,
        "largest": 6144,
        "unit": "MiB",
        "fields": ["memory_mb"],
    }


@pytest.mark.parametrize(
    ("has", "remedy"),
    [
        # the smallest kernel whose end is enough
        (
            [("a", 8192, 1), ("b", 3072, 1), ("c", 1024, 1)],
            "Stop b on the My kernels page, which frees 3.0 GB; or choose a kernel that takes at most 8.0 GB; or "
            f"{MORE}.",
        ),
        (
            [("a", 6400, 1), ("b", 6400, 1), ("c", 1024, 1)],
            "Stop a on the My kernels page, which frees 6.25 GB; or choose a kernel that takes at most 6.5 GB; or "
            f"{MORE}.",
        ),
        (
            [("a", 2048, 1)] * 10,
            f"Stop kernels on the My kernels page that hold 10.0 GB together; or {MORE}.",
        ),
    ],
)
def test_what_would_work_names_a_kernel_to_stop(has, remedy):
    assert refused(memory_mb=20480, has=has).remedy == remedy


def test_an_owner_over_the_limit_is_told_plainly():
    lines = refused(KernelSize(640), memory_mb=(4096, "default"), has=[("a", 5120, 1)]).lines()
    assert "Spark big can't start: it takes 1.0 GB in YARN, and your limit leaves nothing." in lines
    assert (
        "You are 1.0 GB over this limit: it has become smaller since your kernels started. They go on; new ones have "
        "to wait until you are below it." in lines
    )


def test_everything_too_large_about_one_kernel_is_named_at_once():
    refusal = refused(driver_memory_mb=(1024, GROUP), executors=0, executor_cores=(1, "user"))
    assert refusal.details == (
        "Driver memory: it asks for 1664 MB, your limit is 1.0 GB (from group analytics).",
        "Executors: it asks for 2, you may have none (the default).",
        "Cores of each executor: it asks for 2, your limit is 1 (set for you by an administrator).",
    )
    assert refusal.numbers["field"] == "driver_memory_mb"
    assert refusal.numbers["fields"] == ["driver_memory_mb", "executors", "executor_cores"]


@pytest.mark.parametrize(
    ("most", "has", "message", "remedy"),
    [
        (2, 2, "at most 2 kernels at the same time", "Stop one of them"),
        (1, 1, "at most 1 kernel at the same time", "Stop one of them"),
        (2, 4, "at most 2 kernels at the same time", "Stop 3 of them"),
        (0, 0, "you may have no kernels", "Ask for more"),
    ],
)
def test_too_many_kernels(most, has, message, remedy):
    refusal = refused(kernels=(most, GROUP), has=[("a", 1024, 1)] * has)
    assert message in refusal.message
    assert "from group analytics" in refusal.message
    assert refusal.remedy.startswith(remedy)


def test_many_kernels_are_not_all_listed():
    refusal = refused(kernels=7, has=[(f"k{number}", 1024 * number, 1) for number in range(1, 8)])
    assert refusal.details == ("You have 7 kernels: k7 7.0 GB, k6 6.0 GB, k5 5.0 GB, k4 4.0 GB, k3 3.0 GB and 2 more.",)


def test_cores_are_told_as_vcores():
    refusal = refused(cores=(4, "user"), has=[("a", 1024, 1)])
    assert "it takes 5 vcores in YARN, and your limit leaves 3 vcores" in refusal.message
    assert "In vcores that is 1 for the driver and 2 for each executor." in refusal.details
    assert "You have 1 kernel: a 1 vcore." in refusal.details


def test_a_queue_that_is_not_allowed():
    refusal = refused(queues=(("default", "small"), GROUP))
    assert refusal.lines() == [
        "Spark big runs in queue notebooks, which you may not use.",
        "You may use: default, small (from group analytics).",
        f"Choose a kernel in one of these queues, or {MORE}.",
    ]
    assert "names no queue and so runs in queue default" in refused(queue=None, queues=((), GROUP)).message


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (ResolvedLimit(1, "default"), "the default"),
        (ResolvedLimit(1, "user"), "set for you by an administrator"),
        (ResolvedLimit(1, "user", configured=True), "set for you in the Hub's configuration"),
        (ResolvedLimit(1, "group a"), "from group a"),
        (ResolvedLimit(1, "group a, b"), "from groups a, b"),
        # What ends with a day is stored as the beginning of the next one.
        (ResolvedLimit(1, "user", until=parse_time("2026-12-31")), "set for you by an administrator until 31 Dec 2026"),
        (
            ResolvedLimit(1, "user", until=datetime(2026, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
            "set for you by an administrator until 31 Dec 2026",
        ),
        (
            ResolvedLimit(1, "user", until=datetime(2026, 12, 1, 18, tzinfo=timezone.utc)),
            "set for you by an administrator until 1 Dec 2026, 18:00 UTC",
        ),
    ],
)
def test_where_a_limit_comes_from(limit, words):
    assert source_words(limit) == words


UNBOUNDED = KernelSize(640, executor_memory_mb=640, executors_max=UNBOUNDED_EXECUTORS)
DYNAMIC = KernelSize(640, executors=1, executor_memory_mb=640, executors_max=1)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (KernelSize(640), "a driver of 1.0 GB."),
        (KernelSize(640, executors=1, executor_memory_mb=640), "a driver of 1.0 GB and an executor of 1.0 GB."),
        (DYNAMIC, "a driver of 1.0 GB and up to 1 executor of 1.0 GB."),
        (replace(DYNAMIC, executors_max=9), "a driver of 1.0 GB and up to 9 executors of 1.0 GB each."),
        (UNBOUNDED, "a driver of 1.0 GB and any number of executors of 1.0 GB."),
    ],
)
def test_the_shape_of_a_kernel_in_words(size, shape):
    assert refused(size, memory_mb=0).details[0] == f"It asks for {shape}"


def physical(size, queue="notebooks", **changes):
    return physical_refusal(ask(size, queue), cluster(**changes))


SMALL_NODE = {"nodes": (NODE.model_copy(update={"memory_total_mb": 3072, "vcores_total": 6}),)}


@pytest.mark.parametrize(
    ("refusal", "message", "remedy"),
    [
        (
            physical(KernelSize(640, executors=1, executor_memory_mb=9000)),
            "Spark big asks for executors of 9.75 GB, and the largest container that this cluster gives has 6.0 GB.",
            "Choose a kernel with executors of at most 6.0 GB, or ask your Hadoop administrator about "
            "yarn.scheduler.maximum-allocation-mb.",
        ),
        (
            physical(KernelSize(1400), "small"),
            "Spark big asks for a driver of 1.75 GB, and the largest container that queue small gives has 1.5 GB.",
            "Choose a kernel with a driver of at most 1.5 GB, or ask your Hadoop administrator about "
            "yarn.scheduler.maximum-allocation-mb.",
        ),
        (
            physical(KernelSize(640, 9)),
            "Spark big asks for a driver of 9 vcores, and the largest container that this cluster gives has 8 vcores.",
            "Choose a kernel with a driver of at most 8 vcores, or ask your Hadoop administrator about "
            "yarn.scheduler.maximum-allocation-vcores.",
        ),
        (
            physical(KernelSize(3000), **SMALL_NODE),
            "Spark big asks for a driver of 3.5 GB, and the largest working node has 3.0 GB.",
            "Choose a kernel with a driver of at most 3.0 GB, or ask your Hadoop administrator whether larger nodes "
            "come back.",
        ),
        (
            physical(KernelSize(640, 8), **SMALL_NODE),
            "Spark big asks for a driver of 8 vcores beside 1.0 GB, and the largest working node has 6 vcores.",
            "Choose a kernel with a driver of at most 6 vcores, or ask your Hadoop administrator whether larger nodes "
            "come back.",
        ),
        (
            physical(KernelSize(640, executors=12, executor_memory_mb=640)),
            "Spark big takes 13.0 GB in YARN, and queue notebooks can hold at most 12.0 GB, even when nothing else "
            "runs.",
            "Choose a kernel of at most 12.0 GB, or ask your Hadoop administrator for more or for another queue.",
        ),
        (
            physical(KernelSize(640), "nowhere"),
            "Spark big runs in queue nowhere, which this cluster does not have.",
            "Choose another kernel, and tell this one's owner or your Hub administrator.",
        ),
    ],
)
def test_what_the_cluster_can_not_do_in_words(refusal, message, remedy):
    assert (refusal.message, refusal.remedy) == (message, remedy)


def test_a_cluster_that_does_not_answer_is_told_with_its_age():
    state = cluster(as_of=datetime(2026, 11, 23, 14, 3, tzinfo=timezone.utc), error="The connection was refused.")
    refusal = cluster_unreachable(state)
    assert refusal.status == 503
    assert refusal.details == (
        "Running kernels go on.",
        "It was last seen at 2026-11-23 14:03:00 UTC.",
        "The connection was refused.",
    )
    assert refusal.numbers == {"as_of": "2026-11-23T14:03:00+00:00"}
    assert cluster_unreachable().numbers == {"as_of": None}


@given(sizes, some_limits, some_held)
def test_every_refusal_is_a_known_case_and_fits_labs_dialog(size, chosen, has):
    for refusal in (limit_refusal(ask(size), chosen, has), physical_refusal(ask(size, "small"), cluster())):
        if refusal is None:
            continue
        assert refusal.code in CASES
        assert all(len(line) <= DIALOG_COLUMNS for line in dialog_text(refusal).splitlines())
        assert refusal.remedy
        assert "None" not in str(refusal)


@given(sizes, some_limits, some_held, st.sampled_from([None, "notebooks", "small", "nowhere"]))
def test_no_refusal_has_a_sign_that_jupyter_server_doubles(size, some, others, queue):
    """A per cent sign in a name of somebody else's is theirs."""
    for refusal in (limit_refusal(ask(size, queue), some, others), physical_refusal(ask(size, queue), cluster())):
        assert refusal is None or "%" not in str(refusal)
