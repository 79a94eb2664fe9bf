import pytest

from jeg_plugin.activity import Doings


def told(doings, *messages):
    """Tell of messages written as ``status kind request``; return whether the last one was a sign of use."""
    used = False
    for message in messages:
        status, kind, request = message.split()
        parent = {"msg_type": kind, "msg_id": request} if kind != "-" else {}
        used = doings.hears(parent, None if status == "-" else status)
    return used


CELL = ("busy execute_request a", "- execute_request a")


@pytest.mark.parametrize(
    "beside",
    [
        ("busy debug_request b", "idle debug_request b"),
        ("busy kernel_info_request b", "idle kernel_info_request b"),
        ("busy usage_request b", "- usage_request b", "idle usage_request b"),
        ("busy comm_msg b", "idle comm_msg b"),
        ("busy complete_request b", "idle complete_request b"),
    ],
)
def test_what_is_answered_beside_a_cell_does_not_make_a_kernel_idle(beside):
    doings = Doings()
    assert told(doings, *CELL, *beside)
    assert doings.state == "busy"
    told(doings, "idle execute_request a")
    assert doings.state == "idle"


def test_a_cell_that_began_before_the_gateways_own_question_was_answered_goes_on():
    doings = Doings()
    told(
        doings,
        "busy kernel_info_request a",
        "idle kernel_info_request a",
        "busy execute_request b",
        "busy kernel_info_request c",
        "idle kernel_info_request c",
    )
    assert doings.state == "busy"


@pytest.mark.parametrize(
    ("messages", "state"),
    [
        ((), "starting"),
        (("starting - -",), "starting"),
        (("busy kernel_info_request a",), "starting"),
        (("busy kernel_info_request a", "idle kernel_info_request a"), "idle"),
        (("busy debug_request a", "idle debug_request a"), "starting"),
        (("idle execute_request a",), "idle"),
        (("busy comm_msg a", "idle comm_msg a"), "idle"),
        (("busy execute_request a", "starting - -"), "starting"),
    ],
)
def test_what_a_kernel_does_is_known_from_what_it_answers_after_its_cell(messages, state):
    doings = Doings()
    told(doings, *messages)
    assert doings.state == state


def test_an_end_that_was_not_heard_is_over_with_the_next_cell():
    doings = Doings()
    told(doings, *CELL, "busy execute_request b", "idle execute_request b")
    assert doings.state == "idle"


def test_a_cell_in_a_subshell_runs_beside_another():
    doings = Doings()
    told(doings, *CELL)
    doings.hears({"msg_type": "execute_request", "msg_id": "b", "subshell_id": "one"}, "busy")
    doings.hears({"msg_type": "execute_request", "msg_id": "b", "subshell_id": "one"}, "idle")
    assert doings.state == "busy"


@pytest.mark.parametrize(
    ("message", "used"),
    [
        ("idle kernel_info_request z", False),
        ("- usage_request z", False),
        ("idle debug_request z", False),
        ("- execute_request z", True),
        ("idle complete_request z", True),
        ("- - -", True),
    ],
)
def test_what_programs_ask_by_themselves_is_no_use(message, used):
    doings = Doings()
    told(doings, *CELL, "idle execute_request a")
    assert told(doings, message) is used
