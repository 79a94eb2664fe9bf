from datetime import datetime, timezone

import pytest

from hub_ext.cluster import ClusterState, Queue
from hub_ext.limits import UNLIMITED, resolve
from hub_ext.limits.fields import FIELDS
from hub_ext.limits.sense import findings

CLUSTER = ClusterState(
    as_of=datetime(2026, 1, 1, tzinfo=timezone.utc),
    stale=False,
    memory_total_mb=65536,
    vcores_total=32,
    minimum_allocation_mb=1024,
    maximum_allocation_mb=16384,
    maximum_allocation_vcores=8,
    queues=(
        Queue(name="etl", path="root.etl", state="RUNNING"),
        Queue(name="adhoc", path="root.adhoc", state="RUNNING"),
    ),
)


def said(cluster=CLUSTER, group=None, **values):
    limits = resolve({}, {"g": group or {}}, values)
    return [(one.field, one.text) for one in findings(limits, cluster)]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"driver_memory_mb": 16384, "memory_mb": 16384, "cores": 8, "driver_cores": 8},
        {"kernels": 3, "memory_mb": UNLIMITED, "cores": UNLIMITED},
        {"kernels": 0, "memory_mb": 0, "cores": 0},
        {"queues": ["etl", "root.adhoc"]},
        {"queues": UNLIMITED},
        {"idle_timeout": 60, "lifetime": 60},
        {"idle_timeout": 3600, "lifetime": UNLIMITED},
        {"memory_mb": 65536, "cores": 32},
        {"memory_mb": 1024},
    ],
)
def test_limits_that_make_sense_are_not_commented_on(values):
    assert said(**values) == []


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"driver_memory_mb": 8192, "memory_mb": 4096}, "driver_memory_mb", ["8 GB", "4 GB", "user", "above"]),
        ({"executor_memory_mb": 8192, "memory_mb": 4096}, "executor_memory_mb", ["8 GB", "4 GB"]),
        ({"driver_cores": 4, "cores": 2}, "driver_cores", ["4 cores", "2 vcores"]),
        ({"executor_cores": 4, "cores": 2}, "executor_cores", ["4 cores", "2 vcores"]),
        ({"kernels": 0, "memory_mb": 4096}, "kernels", ["0 kernels", "4 GB", "nothing can be started"]),
        ({"memory_mb": 0, "kernels": 2}, "memory_mb", ["0 MB", "nothing can be started"]),
        ({"memory_mb": 512}, "memory_mb", ["512 MB", "1 GB", "smallest kernel"]),
        ({"driver_memory_mb": 32768}, "driver_memory_mb", ["32 GB", "largest container", "16 GB"]),
        ({"executor_cores": 9}, "executor_cores", ["9 cores", "largest container", "8"]),
        ({"memory_mb": 131072}, "memory_mb", ["128 GB", "whole cluster", "64 GB"]),
        ({"cores": 33}, "cores", ["33 vcores", "whole cluster", "32"]),
        ({"queues": ["etl", "nightly"]}, "queues", ["nightly", "adhoc, etl"]),
        ({"queues": []}, "queues", ["none", "nothing can be started"]),
        ({"idle_timeout": 7200, "lifetime": 3600}, "idle_timeout", ["2 h", "1 h"]),
        ({"idle_timeout": 30}, "idle_timeout", ["30 s", "1 min"]),
        ({"lifetime": 0}, "lifetime", ["0 s", "1 min"]),
    ],
)
def test_what_is_odd_is_said_with_both_numbers(values, field, words):
    ((found, text),) = said(**values)
    assert found == field
    assert all(word in text for word in words), text


def test_where_a_number_comes_from_is_said():
    ((_, text),) = said(group={"memory_mb": 4096}, driver_memory_mb=8192)
    assert "Driver memory (8 GB, user)" in text
    assert "memory, total (4 GB, group g)" in text


@pytest.mark.parametrize("cluster", [None, ClusterState()])
def test_without_a_cluster_only_the_limits_themselves_are_looked_at(cluster):
    assert said(cluster, memory_mb=10**9, queues=["nightly"]) == []
    assert len(said(cluster, driver_cores=4, cores=2)) == 1


def test_findings_use_the_names_that_people_read():
    odd = {"memory_mb": 900 * 1024, "driver_memory_mb": 901 * 1024, "kernels": 0, "idle_timeout": 5, "lifetime": 1}
    texts = [text for _, text in said(**odd, queues=["nowhere"])]
    assert "Memory, total (900 GB, user) is more than the whole cluster has (64 GB)." in texts
    assert "Driver memory (901 GB, user) is above memory, total (900 GB, user): that much is never reached." in texts
    assert len(texts) > 5
    assert not any(name in text for name in FIELDS if "_" in name for text in texts)
