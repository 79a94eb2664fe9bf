import json

import pytest
from tornado.simple_httpclient import HTTPTimeoutError

from hub_gateway.failures import of_answer, shortened, unreachable


def answer(text, status=500, path="/api/kernels"):
    return of_answer(status, json.dumps({"message": text, "reason": "", "traceback": "File secret.py"}).encode(), path)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("Application application_1_2 submitted by user alice to unknown queue: nosuch", "queue-unknown", "'nosuch'"),
        (
            "User carol does not have permission to submit application_1_2 to queue notebooks",
            "queue-not-permitted",
            "carol may not use the queue 'notebooks'",
        ),
        (
            "Required AM memory (8192+819 MB) is above the max threshold (4096 MB) of this cluster!",
            "larger-than-container",
            "4096 MB",
        ),
        (
            "Required executor memory (8192 MB), offHeap memory (0) MB, overhead (819 MB), and PySpark memory (0 MB) is "
            "above the max threshold (4096 MB)",
            "larger-than-container",
            "4096 MB",
        ),
        (
            "InvalidResourceRequestException: x Requested resource=<memory:1156, vCores:1>, maximum allowed "
            "allocation=<memory:1024, vCores:4>, y",
            "larger-than-container",
            "memory:1024",
        ),
        (
            "Container [pid=1] is running beyond the 'PHYSICAL' memory limit. Current usage: 1.8 GB of 768 MB physical",
            "driver-killed-for-memory",
            "1.8 GB of 768 MB",
        ),
        ('Cannot run program "./environment/bin/python": error=2', "environment-missing", "./environment/bin/python"),
        ("YARN resources unavailable after 300.0 seconds for app application_1_2", "kernel-start-timeout", "300"),
        ("No active RMs found", "cluster-unreachable", "ResourceManager"),
        ("something new", "kernel-start-failed", "something new"),
    ],
)
def test_a_failed_start_names_its_cause(text, code, words):
    error = answer(text)
    assert error.code == code
    assert words in str(error)
    assert "secret.py" not in str(error)


def test_an_unknown_kernel_is_404_and_not_a_start_failure():
    assert answer("Kernel does not exist", 404, "/api/kernels/x").code == "no-such-kernel"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"message": null}', b"\xff"])
def test_a_body_that_is_no_json_object_is_survived(body):
    assert of_answer(500, body, "/api/kernels").code == "kernel-start-failed"


def test_tokens_do_not_reach_the_person():
    assert "abc123" not in shortened("refused: Authorization: abc123 and token=abc123 x")


def test_a_long_text_is_cut_to_its_first_line():
    assert shortened("first\nsecond") == "first"
    assert len(shortened("x" * 5000)) <= 600


def test_slow_and_absent_are_told_apart():
    assert unreachable(HTTPTimeoutError("x")).status == 504
    assert unreachable(OSError()).status == 503
