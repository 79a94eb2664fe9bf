"""Texts that a real ResourceManager and a real Spark 4.3 gave, and what becomes of them."""

import pytest

from jeg_plugin import failures

CLIENT_TEXTS = [
    (
        'Exception in thread "main" java.lang.IllegalArgumentException: Required AM memory (8192+819 MB) is '
        "above the max threshold (4096 MB) of this cluster! Please check the values of "
        "'yarn.scheduler.maximum-allocation-mb'",
        "driver-too-large",
        "The driver needs 8192 MB and 819 MB beside it; the cluster's largest container has 4096 MB.",
    ),
    (
        "java.lang.IllegalArgumentException: Required executor memory (8192 MB), offHeap memory (0) MB, overhead "
        "(819 MB), and PySpark memory (0 MB) is above the max threshold (4096 MB) of this cluster!",
        "executor-too-large",
        "An executor needs 8192 MB and 819 MB beside it; the cluster's largest container has 4096 MB.",
    ),
    (
        "Caused by: ...InvalidResourceRequestException: Invalid resource request! Cannot allocate containers as "
        "requested resource is greater than maximum allowed allocation. Requested resource type=[memory-mb], Requested "
        "resource=<memory:1156, vCores:1>, maximum allowed allocation=<memory:1024, vCores:4>, please note",
        "container-too-large",
        "A container of 1156 MB and 1 cores is larger than this queue allows: 1024 MB and 4 cores.",
    ),
    (
        "org.apache.spark.SparkException: Application application_1_1 submitted by user alice to unknown queue: nosuch",
        "unknown-queue",
        "There is no queue named nosuch.",
    ),
    (
        "org.apache.hadoop.security.AccessControlException: User carol does not have permission to submit "
        "application_1_2 to queue notebooks",
        "queue-not-permitted",
        "carol may not use the queue notebooks.",
    ),
    (
        "java.io.FileNotFoundException: File file:/envs/x.tar.gz does not exist\n\tat org.apache",
        "file-missing",
        "A file that the kernel needs does not exist: file:/envs/x.tar.gz",
    ),
    (
        "User: gateway is not allowed to impersonate alice",
        "impersonation-refused",
        "The cluster does not let gateway act for alice.",
    ),
    (
        "Error: the kernel definition can't be used: type is none of: spark-python, python\n",
        "bad-definition",
        "The kernel's definition can't be used: type is none of: spark-python, python.",
    ),
    (
        "java.net.ConnectException: Connection refused\n\tat x",
        "resource-manager-unreachable",
        "The cluster's ResourceManager does not answer.",
    ),
]


@pytest.mark.parametrize(("stderr", "code", "text"), CLIENT_TEXTS, ids=[code for _, code, _ in CLIENT_TEXTS])
def test_what_the_client_says(stderr, code, text):
    failure = failures.of_client(f"26/11/23 WARN something\n{stderr}\n", 1)
    assert (failure.code, failure.text) == (code, text)


def test_an_unknown_text_gives_its_telling_line():
    stderr = 'WARN x\nException in thread "main" java.lang.IllegalStateException: no luck\n\tat a.b(C.java:1)\n'
    failure = failures.of_client(stderr, 1)
    assert failure.code == "submission-failed"
    assert failure.text.endswith("java.lang.IllegalStateException: no luck")


def test_silence_gives_the_status():
    assert "status 137" in failures.of_client("", 137).text


APPLICATIONS = [
    (
        "FAILED",
        "Application application_1_1 failed 1 times due to AM Container for appattempt exited with exitCode: -104\n"
        "Failing this attempt.Diagnostics: Container [pid=7,containerID=container_1] is running 1158967296B beyond the "
        "'PHYSICAL' memory limit. Current usage: 1.8 GB of 768 MB physical memory used; 5.0 GB of 1.6 GB virtual",
        "driver-out-of-memory",
        "The driver was ended because it used 1.8 GB of its 768 MB memory.",
    ),
    (
        "FAILED",
        'java.io.IOException: Cannot run program "./environment/bin/nopython": error=2, No such file or directory',
        "python-missing",
        "The kernel's Python, ./environment/bin/nopython, does not exist on the node.",
    ),
    (
        "FAILED",
        "Failed to download resource { { file:/e/gone.tar.gz, 1, ARCHIVE, null },pending,[]} java.io."
        "FileNotFoundException: File file:/e/gone.tar.gz does not exist",
        "file-missing",
        "A file that the kernel needs does not exist: file:/e/gone.tar.gz",
    ),
    (
        "KILLED",
        "Application application_1_1 was killed by user admin",
        "application-killed",
        "application_1_1 was ended while it started. Application application_1_1 was killed by user admin",
    ),
    (
        "FINISHED",
        "User application exited with status 1\n\tat a.b(C.java:5)",
        "application-failed",
        "application_1_1 ended while it started: User application exited with status 1",
    ),
    ("FAILED", "", "application-failed", "application_1_1 ended while it started: YARN gives no reason"),
]


@pytest.mark.parametrize(("state", "diagnostics", "code", "text"), APPLICATIONS)
def test_what_yarn_says(state, diagnostics, code, text):
    failure = failures.of_application({"id": "application_1_1", "state": state, "diagnostics": diagnostics})
    assert (failure.code, failure.text) == (code, text)


@pytest.mark.parametrize(
    ("application", "code", "status"),
    [
        (None, "start-timeout", 504),
        ({"id": "application_1_1", "state": "RUNNING"}, "start-timeout", 504),
        (
            {"id": "application_1_1", "state": "ACCEPTED", "diagnostics": "Queue's AM limit\nexceeded"},
            "cluster-busy",
            503,
        ),
    ],
)
def test_what_a_start_waited_for(application, code, status):
    failure = failures.of_timeout(30.0, application)
    assert (failure.code, failure.status) == (code, status)
    assert "within 30 seconds" in failure.text
    assert "\n" not in failure.text


def test_every_text_is_one_line_of_bounded_length():
    long = "x\x00\x1b[31m\r\ny " * 1000
    for failure in (
        failures.of_client(f"Exception: {long}", 1),
        failures.of_application({"id": "application_1_1", "state": "FAILED", "diagnostics": long}),
        failures.unreachable(long),
        failures.refused(long),
        failures.unknown_node(long),
        failures.bad_definition(long),
    ):
        assert len(failure.text) < 900
        assert failure.text.isprintable()


def test_hostile_braces_in_a_text_do_no_harm():
    failure = failures.of_client("Error: the kernel definition can't be used: {0.__class__} {x}", 2)
    assert "{0.__class__}" in failure.text
