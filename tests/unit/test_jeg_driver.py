import importlib
import subprocess
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
    helpers = ("channel", "requests", "spark", "app", "interrupts")
    names = ("driver", *(f"remote_kernel_{helper}" for helper in helpers))
    module = importlib.import_module("driver")
    yield module
    for name in names:
        sys.modules.pop(name, None)


class Session:
    sparkContext = "the context"  # noqa: N815 - Spark's own name
    sql = "the function"


VALUES = {"spark": Session, "sc": "the context", "sql": "the function"}


@pytest.mark.parametrize("name", ["spark", "sc", "sql"])
def test_a_name_that_the_user_has_taken_stays_theirs_and_the_others_are_ready(driver, name):
    namespace = {}
    spark = driver.Spark(0, visible=True)
    spark.attach(namespace)
    mine = Table()
    namespace[name] = mine
    spark._publish(Session)
    assert namespace.pop(name) is mine
    assert namespace == {other: value for other, value in VALUES.items() if other != name}


def test_a_name_that_the_user_has_deleted_does_not_come_back(driver):
    namespace = {}
    spark = driver.Spark(0, visible=True)
    spark.attach(namespace)
    del namespace["sql"]
    spark._publish(Session)
    assert namespace == {"spark": Session, "sc": "the context"}


def test_spark_unseen_leaves_the_names_alone(driver):
    namespace = {"spark": "mine"}
    spark = driver.Spark(0, visible=False)
    spark.attach(namespace)
    spark._publish(Session)
    assert namespace == {"spark": "mine"}


def test_a_spark_that_is_ready_before_the_notebook_is_put_there_at_once(driver):
    spark, namespace = driver.Spark(0, visible=True), {}
    spark._session = Session
    spark.attach(namespace)
    assert namespace == VALUES


def test_a_driver_ends_with_its_parent_whoever_takes_it_over():
    """Spark's application master may end without a word; process 1 is not the only one that adopts."""
    folder = str(Path(jeg_plugin.__file__).parent)
    driver = (
        f"import sys, time; sys.path.insert(0, {folder!r}); from remote_kernel_app import end_with\n"
        "end_with(int(sys.argv[1])); time.sleep(60)"
    )
    parent = (
        "import os, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {driver!r}, str(os.getpid())])\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    code = (
        "import ctypes, os, subprocess, sys\n"
        "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
        f"made = subprocess.Popen([sys.executable, '-c', {parent!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "pid = int(made.stdout.readline())\n"
        "made.kill(); made.wait()\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout.strip() == "1"
