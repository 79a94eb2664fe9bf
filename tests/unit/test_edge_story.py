import logging

import pytest

from hadoop_edge import story
from hub_ext.cluster import Application

KERNEL = "f9ed359d-07f3-45e0-a3f6-b7f676625dd8"


def application(number, state="RUNNING", tags=(KERNEL,)):
    return Application(id=f"application_1_{number}", user="alice", state=state, tags=tags)


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "hadoop_edge.story")

    def lines():
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return found

    return lines


def test_an_applications_way_is_told_once_a_step(told):
    told_by = story.Story()
    told_by.look([application(1)])
    assert told() == []
    who = f"application=application_1_2 kernel={KERNEL} user=alice"
    for state in ("ACCEPTED", "RUNNING"):
        told_by.look([application(1), application(2, state)])
        assert told() == [f"Application in YARN is {state}: {who}"]
        told_by.look([application(1), application(2, state)])
        assert told() == []
    told_by.look([application(1)])
    assert told() == [f"Application in YARN has ended: {who}"]


def test_what_is_no_kernel_is_not_told(told):
    told_by = story.Story()
    told_by.look([])
    told_by.look([application(1, tags=("etl",))])
    assert told() == []


def test_a_flood_is_one_line_more(told, monkeypatch):
    monkeypatch.setattr(story, "MAXIMUM_LINES", 3)
    told_by = story.Story()
    told_by.look([])
    told_by.look([application(number) for number in range(10)])
    assert len(lines := told()) == 4
    assert lines[-1].startswith("7 more")
