import json
import re

import pytest
from tornado.simple_httpclient import HTTPTimeoutError

from hub_gateway.failures import CAUSES, of_answer, shortened, unreachable


def answer(text, status=500, path="/api/kernels", reason=""):
    body = {"message": text, "reason": reason, "traceback": "File secret.py"}
    return of_answer(status, json.dumps(body).encode(), path)


@pytest.mark.parametrize("code", sorted(CAUSES))
def test_a_cause_that_the_plugin_names_keeps_its_sentence_and_gets_a_way_out(code):
    error = answer("A container of 9000 MB is too large.", reason=code)
    assert error.code == code
    assert error.message == "A container of 9000 MB is too large."
    assert error.remedy
    assert error.status == CAUSES[code][0]


def test_the_plugins_causes_are_all_known_here():
    """Both sides of the protocol, held against each other: the codes that the plugin can send."""
    from pathlib import Path

    source = (Path(__file__).parents[2] / "services/jeg_plugin/failures.py").read_text()
    sent = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)",', source))
    assert len(sent) > 10
    assert sent <= set(CAUSES)


def test_an_unknown_cause_shows_its_own_first_line():
    error = answer("something new\nTraceback")
    assert error.code == "kernel-start-failed"
    assert "something new" in str(error)
    assert "Traceback" not in str(error)
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
