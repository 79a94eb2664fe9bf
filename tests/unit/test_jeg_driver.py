import importlib
import sys
from pathlib import Path

import pytest

import jeg_plugin


class Table:
    """Compares element by element, as arrays and DataFrames do, so that the answer is neither true nor false."""

    def __eq__(self, other):
        return Table()

    __hash__ = None

    def __bool__(self):
        raise ValueError("The truth value is ambiguous.")


@pytest.fixture
def driver(monkeypatch):
    """The driver as it stands in a container: a module beside its helpers."""
    monkeypatch.syspath_prepend(str(Path(jeg_plugin.__file__).parent))
    names = ("driver", "remote_kernel_channel", "remote_kernel_requests")
    module = importlib.import_module("driver")
    yield module
    for name in names:
        sys.modules.pop(name, None)


VALUES = {"spark": "the session", "sc": "the context", "sql": "the function"}


@pytest.mark.parametrize("name", ["spark", "sc", "sql"])
def test_a_name_that_the_user_has_taken_stays_theirs_and_the_others_are_ready(driver, name):
    namespace = {}
    spark = driver.Spark(namespace, 0, visible=True)
    mine = Table()
    namespace[name] = mine
    spark._publish(VALUES)
    assert namespace.pop(name) is mine
    assert namespace == {other: value for other, value in VALUES.items() if other != name}


def test_a_name_that_the_user_has_deleted_does_not_come_back(driver):
    namespace = {}
    spark = driver.Spark(namespace, 0, visible=True)
    del namespace["sql"]
    spark._publish(VALUES)
    assert namespace == {"spark": "the session", "sc": "the context"}


def test_spark_unseen_leaves_the_names_alone(driver):
    namespace = {"spark": "mine"}
    spark = driver.Spark(namespace, 0, visible=False)
    spark._publish(VALUES)
    assert namespace == {"spark": "mine"}
