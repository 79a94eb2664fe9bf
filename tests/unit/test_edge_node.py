import json
import sys
from pathlib import Path

import pytest

from hub_ext import edge_node
from hub_ext.cli import main
from jeg_plugin import node as plugin

#: A Java that says its version, "makes" an archive, and does not take one that is called broken.
JAVA = """
import pathlib, sys
archive = [each.partition("=")[2] for each in sys.argv if each.startswith("-XX:ArchiveClassesAtExit=")]
if archive:
    pathlib.Path(archive[0]).write_text("classes")
shared = [each.partition("=")[2] for each in sys.argv if each.startswith("-XX:SharedArchiveFile=")]
if shared and pathlib.Path(shared[0]).read_text() == "broken":
    sys.exit("An error has occurred while processing the shared archive file.")
print("openjdk version \\"VERSION\\" 2025-04-15")
"""
JAVAC = """
import pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("-d") + 1])
for name in ("Submitter", "Training"):
    (folder / (name + ".class")).write_text("code")
"""


class Machine:
    """A machine with a Spark and a Java, both pretended."""

    def __init__(self, folder: Path) -> None:
        self.spark, self.into, self.bin = folder / "spark", folder / "node", folder / "java" / "bin"
        (self.spark / "jars").mkdir(parents=True)
        (self.spark / "jars" / "spark-yarn_2.13-4.3.0.jar").touch()
        self.bin.mkdir(parents=True)
        self.program("java", JAVA.replace("VERSION", "17.0.15"))
        self.program("javac", JAVAC)

    def program(self, name: str, code: str) -> None:
        path = self.bin / name
        (self.bin / f"{name}.py").write_text(code)
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {self.bin / name}.py "$@"\n')
        path.chmod(0o755)

    def run(self, *more: str) -> int:
        given = ["--spark-home", str(self.spark), "--java", str(self.bin / "java"), "--into", str(self.into)]
        return main(["edge", "prepare-node", *given, *more])


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_a_machine_is_prepared_and_what_is_written_is_what_the_plugin_reads(machine, capsys):
    assert machine.run() == 0
    assert "spark.jsa: loaded classes" in capsys.readouterr().out
    node = plugin.node_of({plugin.NODE: str(machine.into), "SPARK_HOME": str(machine.spark)})
    assert node == plugin.Node(str(machine.spark), f"{machine.into}/remote-kernels.jar", f"{machine.into}/spark.jsa")
    tools = edge_node.Tools(machine.spark, machine.bin / "java", machine.into, Path())
    # Or Java passes the archive over.
    assert node.class_path == tools.class_path
    assert json.loads((machine.into / "node.json").read_text())["java"] == "17.0.15"
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in machine.into.iterdir())
    assert machine.run("--check") == 0
    assert "its archive is used" in capsys.readouterr().out


def test_a_java_without_a_compiler_is_said_and_leaves_things_as_they_are(machine, capsys):
    (machine.bin / "javac").unlink()
    assert machine.run() == 1
    assert "without a compiler (a JRE). Kernels start by Spark's own client, slower." in capsys.readouterr().err
    assert not machine.into.exists()


def test_without_an_archive_there_is_still_a_submitter(machine, capsys):
    machine.program("java", JAVA.replace("VERSION", "21.0.1").replace("if archive:", "if False:"))
    assert machine.run() == 0
    assert "No archive of loaded classes" in capsys.readouterr().out
    node = plugin.node_of({plugin.NODE: str(machine.into), "SPARK_HOME": str(machine.spark)})
    assert node is not None
    assert node.archive is None
    assert machine.run("--check") == 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: (m.spark / "jars" / "spark-yarn_2.13-4.3.0.jar").unlink(), "There is no Spark with YARN"),
        (lambda m: m.program("java", JAVA.replace("VERSION", "11.0.2")), "Java 17 or newer is needed"),
        (lambda m: m.program("java", "raise SystemExit(1)"), "is none"),
        (
            lambda m: m.program("javac", "raise SystemExit('cannot find symbol')"),
            "compiled for this Spark: cannot find",
        ),
        (lambda m: setattr(m, "into", m.into / "a b"), "can't be used: only letters"),
    ],
)
def test_what_can_not_be_prepared_is_said(machine, capsys, change, text):
    change(machine)
    assert machine.run() == 1
    assert text in capsys.readouterr().err
    assert not (machine.into / "node.json").exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: (m.into / "node.json").unlink(), "is not prepared. Run"),
        (lambda m: (m.into / "remote-kernels.jar").unlink(), "remote-kernels.jar is missing"),
        (lambda m: (m.into / "spark.jsa").write_text("broken"), "Java does not take"),
        (lambda m: setattr(m, "spark", m.spark.rename(m.spark.with_name("newer"))), "is prepared for"),
    ],
)
def test_what_would_not_be_used_is_found(machine, capsys, change, text):
    machine.run()
    change(machine)
    assert machine.run("--check") == 1
    assert text in capsys.readouterr().err
