import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from jeg_plugin.resource_manager import (
    RefusedError,
    ResourceManager,
    UnreachableError,
    age_of,
    applications_in,
    newest,
)

ONE, TWO = {"id": "application_5_0001"}, {"id": "application_5_0002"}


def test_ages_are_numbers():
    assert age_of("application_5_9999") < age_of("application_5_10000") < age_of("application_6_0001")
    assert age_of("nonsense") == (0, 0)


@pytest.mark.parametrize(
    ("applications", "known", "expected"),
    [
        ([], (), None),
        ([ONE], (), ONE),
        ([TWO, ONE], (), TWO),
        ([ONE], ("application_5_0001",), None),
        ([TWO, ONE], ("application_5_0001",), TWO),
        ([{"id": "application_5_9999"}, {"id": "application_5_10000"}], (), {"id": "application_5_10000"}),
    ],
)
def test_the_newest_that_is_not_known(applications, known, expected):
    assert newest(applications, known) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"apps": None}, []),
        ({"apps": {}}, []),
        ({"apps": {"app": []}}, []),
        ({"apps": {"app": [ONE, TWO]}}, [ONE, TWO]),
        ({"apps": {"app": ONE}}, [ONE]),
        ({"apps": {"app": [ONE, None, "x"]}}, [ONE]),
    ],
)
def test_every_form_of_a_list(answer, expected):
    assert applications_in(answer) == expected


@pytest.mark.parametrize("answer", [{}, [], None, "x", {"apps": "x"}, {"apps": {"app": "x"}}, {"apps": 7}])
def test_what_is_no_list_says_nothing_about_applications(answer):
    with pytest.raises(UnreachableError):
        applications_in(answer)


class Node:
    """A small HTTP server that plays one ResourceManager: states that a real cluster shows only for moments."""

    def __init__(self, answer):
        asked = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                asked.append((self.command, self.path))
                status, body, headers = answer(self.command, self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = _answer  # noqa: N815 - the names that http.server calls

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def node():
    made = []

    def make(answer):
        made.append(Node(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ok(content):
    return 200, json.dumps(content).encode(), {}


def test_a_standby_is_passed_over_and_its_redirect_not_followed(node):
    active = node(lambda *_: ok({"apps": {"app": [ONE]}}))
    elsewhere = node(lambda *_: ok({"apps": {"app": [TWO]}}))
    standby = node(lambda *_: (307, b"This is standby RM", {"Location": elsewhere.url + "/ws/v1/cluster/apps"}))
    manager = ResourceManager([standby.url, active.url], "alice", "yarn")
    assert manager.applications("tag") == [ONE]
    assert manager.applications("tag") == [ONE]
    assert elsewhere.asked == []
    assert len(standby.asked) == 1, "the active one is remembered"


@pytest.mark.parametrize("answer", [(200, b"There is no active RM right now.", {}), (503, b"", {}), (200, b"[]", {})])
def test_an_answer_that_is_none(node, answer):
    with pytest.raises(UnreachableError):
        ResourceManager([node(lambda *_: answer).url], "alice", "yarn").applications("tag")


def test_nobody_there():
    with pytest.raises(UnreachableError, match="ConnectionError"):
        ResourceManager(["http://127.0.0.1:9"], "alice", "yarn").applications("tag")
    with pytest.raises(UnreachableError, match="EG_YARN_ENDPOINT"):
        ResourceManager([], "alice", "yarn").applications("tag")


def test_the_question_is_filtered_and_names_the_user(node):
    one = node(lambda *_: ok({"apps": {}}))
    ResourceManager([one.url + "/"], "alice", "yarn").applications("the-tag")
    assert one.asked == [("GET", "/ws/v1/cluster/apps?applicationTags=the-tag&user.name=alice")]


def test_a_forgotten_application(node):
    active = ok({"clusterInfo": {"haState": "ACTIVE"}})
    one = node(lambda _, path: active if "/info" in path else (404, b"{}", {}))
    manager = ResourceManager([one.url], "alice", "yarn")
    assert manager.application("application_1_1") is None
    manager.kill("application_1_1")


def test_a_resource_manager_that_starts_has_not_forgotten_an_application(node):
    """It answers before it has read what it remembers; being asked about itself, it says so."""
    states = iter(["INITIALIZING", "ACTIVE"])
    known = iter([False, False, True])

    def answer(_, path):
        if "/info" in path:
            return ok({"clusterInfo": {"haState": next(states)}})
        return ok({"app": ONE}) if next(known) else (404, b"{}", {})

    manager = ResourceManager([node(answer).url], "alice", "yarn")
    with pytest.raises(UnreachableError, match="the ResourceManager is INITIALIZING"):
        manager.application("application_5_0001")
    assert manager.application("application_5_0001") == ONE


def test_no_application_before_a_start_is_believed_of_an_active_one_alone(node):
    states = iter(["INITIALIZING", "ACTIVE"])
    known = iter([[], [], [ONE]])

    def answer(_, path):
        return ok({"clusterInfo": {"haState": next(states)}} if "/info" in path else {"apps": {"app": next(known)}})

    manager = ResourceManager([node(answer).url], "alice", "yarn")
    with pytest.raises(UnreachableError, match="the ResourceManager is INITIALIZING"):
        manager.all_applications("tag")
    assert manager.all_applications("tag") == [ONE]


def test_a_refused_kill_is_tried_as_the_gateway(node):
    one = node(lambda _, path: ok({"state": "KILLED"}) if "=yarn" in path else (403, b"Unauthorized attempt", {}))
    ResourceManager([one.url], "alice", "yarn").kill("application_1_1")
    assert [path.rpartition("=")[2] for _, path in one.asked] == ["alice", "yarn"]
    with pytest.raises(RefusedError):
        ResourceManager([one.url], "alice", "alice").kill("application_1_1")
