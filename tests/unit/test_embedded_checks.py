"""What is said of a machine that lacks something."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hub_ext.embedded import probe
from hub_ext.embedded.checks import (
    DISK_NEEDED_FOR_UNIT_MB,
    DISK_NEEDED_MB,
    MEMORY_NEEDED_MB,
    Machine,
    node_memory_mb,
    problems,
)

PREPARE = Path(probe.__file__).with_name("prepare.py")
GOOD = Machine(
    system="Linux",
    python=(3, 11),
    has_venv=True,
    java=17,
    has_maven=True,
    node=20,
    has_npm=True,
    has_setpriv=True,
    browser="/usr/bin/chromium",
    is_root=False,
    memory_available_mb=MEMORY_NEEDED_MB,
    disk_free_mb=DISK_NEEDED_MB,
)


@pytest.mark.parametrize("purpose", ["demo", "test", "unit"])
def test_a_machine_with_everything_has_no_problem(purpose: str) -> None:
    assert problems(GOOD, purpose) == []


@pytest.mark.parametrize(
    ("change", "says", "fix"),
    [
        ({"python": (3, 9)}, "Python 3.10 or newer is needed; python3 is 3.9", "apt-get install -y python3.11"),
        ({"has_venv": False}, "virtual environments", "apt-get install -y python3-venv"),
        ({"java": None}, "No Java was found", "apt-get install -y openjdk-17-jdk-headless"),
        ({"java": 11}, "this machine's is 11", "apt-get install -y openjdk-17-jdk-headless"),
        ({"java": 26}, "this machine's is 26", "JAVA_HOME"),
        ({"has_maven": False}, "No Maven", "apt-get install -y maven"),
        ({"node": None}, "No Node", "apt-get install -y nodejs npm"),
        ({"node": 18}, "this machine's is 18", "sudo n 22"),
        ({"has_npm": False}, "No npm", "apt-get install -y npm"),
        ({"has_setpriv": False}, "No setpriv", "apt-get install -y util-linux"),
        ({"system": "Darwin"}, "this is Darwin", "Debian or Ubuntu"),
        ({"memory_available_mb": 900}, f"needs {MEMORY_NEEDED_MB} MB of free memory; this machine has 900", "8 GB"),
        ({"disk_free_mb": 100}, f"{DISK_NEEDED_MB} MB of disk are needed here; 100 MB", "free some space"),
    ],
)
def test_each_missing_thing_is_named_with_its_cure(change: dict[str, object], says: str, fix: str) -> None:
    (problem,) = problems(replace(GOOD, **change), "demo")

    assert says in problem.text
    assert fix in problem.fix


def test_everything_missing_is_told_at_once() -> None:
    bare = replace(GOOD, java=None, has_maven=False, node=None, has_npm=False, memory_available_mb=10)

    assert [problem.text.split(":")[0] for problem in problems(bare, "demo")] == [
        "No Java was found",
        "No Maven (mvn) was found",
        "No Node was found",
        f"The platform needs {MEMORY_NEEDED_MB} MB of free memory; this machine has 10 MB free.",
    ]


def test_fast_tests_need_python_alone() -> None:
    bare = replace(GOOD, java=None, has_maven=False, node=None, memory_available_mb=10, browser=None)

    assert problems(replace(bare, disk_free_mb=DISK_NEEDED_FOR_UNIT_MB), "unit") == []


@pytest.mark.parametrize(
    ("purpose", "is_root", "told"),
    [("demo", False, 0), ("test", False, 1), ("test", True, 0)],
)
def test_a_browser_is_asked_for_only_where_it_cannot_be_installed(purpose: str, is_root: bool, told: int) -> None:
    assert len(problems(replace(GOOD, browser=None, is_root=is_root), purpose)) == told


@pytest.mark.parametrize(("available", "expected"), [(3584, 3072), (16383, 3072), (16384, 6144), (90000, 6144)])
def test_nodes_are_as_large_as_the_machine_allows(available: int, expected: int) -> None:
    assert node_memory_mb(available) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)', 17),
        ('openjdk version "21" 2023-09-19 LTS', 21),
        ('java version "1.8.0_402"', 8),
        ("v20.20.2\n", 20),
        ("v9.1.0", 9),
        ("", None),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_versions_are_read_from_what_programs_print(text: str, expected: int | None) -> None:
    assert probe.major_version(text) == expected


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max\n", None), (f"{8 * 2**30}\n", 8 * 1024 - 2048 + 512), (f"{2 * 2**30}\n", 512)],
)
def test_a_control_groups_limit_counts_less_what_is_used(tmp_path: Path, limit: str, expected: int | None) -> None:
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(f"{2 * 2**30}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {512 * 2**20}\nactive_file 7\n")

    assert probe.left_in_cgroup_mb(tmp_path) == expected


def test_without_a_control_group_nothing_is_subtracted(tmp_path: Path) -> None:
    assert probe.left_in_cgroup_mb(tmp_path) is None


def test_this_machine_can_be_looked_at() -> None:
    machine = probe.probe(PREPARE.parent)

    assert machine.python == sys.version_info[:2]
    assert machine.memory_available_mb > 0
    assert problems(machine, "unit") == []


def test_preparation_without_java_names_it_and_ends_with_two(tmp_path: Path) -> None:
    # A path where nothing is: also a shim that a version manager left behind counts as missing.
    shim = tmp_path / "java"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}

    done = subprocess.run(
        [sys.executable, str(PREPARE), "--for", "demo"],
        env={**environment, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert "No Java was found: Hadoop and Spark need Java 17 or 21.\n      sudo apt-get install" in done.stderr
    for other in ("No Maven", "No Node", "No setpriv"):
        assert other in done.stderr
    assert "Traceback" not in done.stderr
