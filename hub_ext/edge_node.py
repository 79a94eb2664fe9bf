"""Prepares a machine of the cluster so that kernels start fast: ``hub-ext edge prepare-node``.

It compiles the program that submits applications, and has Java write down which classes Spark loads. Kernels start
without either, slower. Only the standard library: a checkout runs this file before anything is installed.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

#: The same names as in jeg_plugin.node, which reads what is written here.
DESCRIPTION, JAR, ARCHIVE = "node.json", "remote-kernels.jar", "spark.jsa"
TRAINING_CLASS = "Training"
#: Beside the sources: what drivers and executors load of Spark, Hadoop and Java beyond what training brings.
CLASSES = "classes.txt"
#: The first Java with all that the submitter uses.
OLDEST_JAVA = 17
COMPILE_SECONDS, TRAINING_SECONDS, CHECK_SECONDS = 180, 600, 60
#: The path becomes part of YARN's own shell script on a node.
_PATH = re.compile(r"(/[A-Za-z0-9_.+=@-]+){1,60}")
#: What Spark asks of Java 17, as in its own JavaModuleOptions.
_OPENED = (
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
)


class NotPreparedError(Exception):
    """This machine can't be prepared, or is not; the text says why and what would help."""


@dataclass(frozen=True)
class Tools:
    """What is prepared for, and with what."""

    spark_home: Path
    java: Path
    into: Path
    sources: Path

    @property
    def javac(self) -> Path:
        return self.java.with_name("javac")

    @property
    def class_path(self) -> str:
        """The class path of the archive: jeg_plugin.node puts the same one first wherever it is used."""
        return f"{self.spark_home}/jars/*:{self.into / JAR}"


def prepare(tools: Tools) -> list[str]:
    """Make what is missing or out of date; return a line for each thing that is there now.

    Raises
    ------
    NotPreparedError
        Nothing could be made.
    """
    _check_tools(tools)
    if not tools.javac.exists():
        text = f"There is no {tools.javac}: this is a Java without a compiler (a JRE)."
        raise NotPreparedError(f"{text} Kernels start by Spark's own client, slower. A JDK here would change that.")
    tools.into.mkdir(parents=True, exist_ok=True)
    tools.into.chmod(0o755)
    (tools.into / DESCRIPTION).unlink(missing_ok=True)
    _make_jar(tools)
    archive = _make_archive(tools)
    described = {
        "spark_home": str(tools.spark_home),
        "jar": JAR,
        "archive": ARCHIVE if archive is None else None,
        "java": _version(tools.java),
    }
    _write(tools.into / DESCRIPTION, json.dumps(described, indent=1).encode() + b"\n")
    lines = [f"{tools.into / JAR}: what submits applications, for Enterprise Gateway on this machine."]
    if archive is not None:
        return [*lines, f"No archive of loaded classes: {archive}"]
    size = (tools.into / ARCHIVE).stat().st_size // 2**20
    return [*lines, f"{tools.into / ARCHIVE}: loaded classes, {size} MB, for drivers and executors on this machine."]


def check(tools: Tools) -> list[str]:
    """Tell whether what was prepared would be used by this Java with this Spark.

    Raises
    ------
    NotPreparedError
        It would not.
    """
    _check_tools(tools)
    again = "Run hub-ext edge prepare-node again."
    try:
        described = json.loads((tools.into / DESCRIPTION).read_text())
    except (OSError, ValueError):
        raise NotPreparedError(f"{tools.into} is not prepared. {again}") from None
    if described.get("spark_home") != str(tools.spark_home):
        raise NotPreparedError(f"{tools.into} is prepared for {described.get('spark_home')}. {again}")
    if not (tools.into / JAR).exists():
        raise NotPreparedError(f"{tools.into / JAR} is missing. {again}")
    if not described.get("archive"):
        return [f"{tools.into} is prepared, without an archive of loaded classes."]
    # "on" instead of "auto": an archive that can't be used is an error.
    shared = ["-Xshare:on", f"-XX:SharedArchiveFile={tools.into / ARCHIVE}", "-cp", tools.class_path]
    done = _run([tools.java, *shared, "-version"], CHECK_SECONDS)
    if done.returncode:
        raise NotPreparedError(f"Java does not take {tools.into / ARCHIVE}: {_end_of(done)} {again}")
    return [f"{tools.into} is prepared and its archive is used."]


def _check_tools(tools: Tools) -> None:
    if not any((tools.spark_home / "jars").glob("spark-yarn_*.jar")):
        raise NotPreparedError(f"There is no Spark with YARN in {tools.spark_home}: no jars/spark-yarn_*.jar.")
    for path in (tools.spark_home, tools.into):
        if not _PATH.fullmatch(str(path)):
            raise NotPreparedError(
                f"The path {path} can't be used: only letters, digits and _ . + = @ - are passed on."
            )
    version = _version(tools.java)
    major = re.match(r"(?:1\.)?(\d+)", version)
    if major is None or int(major[1]) < OLDEST_JAVA:
        raise NotPreparedError(f"Java {OLDEST_JAVA} or newer is needed; {tools.java} is {version or 'none'}.")


def _make_jar(tools: Tools) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sources: list[str | Path] = [*sorted(tools.sources.glob("*.java"))]
        options: list[str | Path] = [
            "-nowarn",
            "-Xlint:none",
            "-proc:none",
            "-d",
            folder,
            "-cp",
            f"{tools.spark_home}/jars/*",
        ]
        done = _run([tools.javac, *options, *sources], COMPILE_SECONDS)
        if done.returncode:
            raise NotPreparedError(f"The submitter can't be compiled for this Spark: {_end_of(done)}")
        # Written anew each time: an archive belongs to the very file that it was made with.
        with zipfile.ZipFile(tools.into / f".{JAR}", "w", zipfile.ZIP_DEFLATED) as jar:
            for path in sorted(Path(folder).glob("*.class")):
                jar.write(path, path.name)
    (tools.into / f".{JAR}").chmod(0o644)
    os.replace(tools.into / f".{JAR}", tools.into / JAR)


def _make_archive(tools: Tools) -> str | None:
    """Make the archive; return what went wrong, if it did."""
    partial = tools.into / f".{ARCHIVE}"
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "spark.master": "local[1]",
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.local.dir": folder,
            "spark.sql.warehouse.dir": f"{folder}/warehouse",
        }
        argv: list[str | Path] = [
            tools.java,
            "-Xmx512m",
            "-XX:+UseSerialGC",
            f"-XX:ArchiveClassesAtExit={partial}",
            *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
            *(f"-D{name}={value}" for name, value in settings.items()),
            "-cp",
            tools.class_path,
            TRAINING_CLASS,
            tools.sources / CLASSES,
        ]
        done = _run(argv, TRAINING_SECONDS, folder)
    if done.returncode or not partial.exists():
        partial.unlink(missing_ok=True)
        (tools.into / ARCHIVE).unlink(missing_ok=True)
        return _end_of(done)
    partial.chmod(0o644)
    os.replace(partial, tools.into / ARCHIVE)
    return None


def _version(java: Path) -> str:
    try:
        done = _run([java, "-version"], CHECK_SECONDS)
    except NotPreparedError:
        return ""
    found = re.search(r'version "([^"]+)"', done.stdout)
    return found[1] if found else ""


def _run(argv: Sequence[str | Path], seconds: int, folder: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "SPARK_LOCAL_IP": "127.0.0.1"}
    try:
        return subprocess.run(  # noqa: S603 (argument lists of our own, no shell)
            [str(each) for each in argv],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except OSError as error:
        raise NotPreparedError(f"{argv[0]} can't be run: {error.strerror}.") from None
    except subprocess.TimeoutExpired:
        raise NotPreparedError(f"{argv[0]} did not end within {seconds} s.") from None


def _end_of(done: "subprocess.CompletedProcess[str]") -> str:
    return " ".join(done.stdout.split())[-600:] or f"status {done.returncode}"


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(content)
    partial.chmod(0o644)
    os.replace(partial, path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--spark-home", type=Path, default=os.environ.get("SPARK_HOME"), help="default: SPARK_HOME")
    parser.add_argument("--java", type=Path, help="the java program that YARN runs; default: JAVA_HOME's, or PATH's")
    parser.add_argument("--into", type=Path, required=True, help="the folder to fill; the same path on every node")
    parser.add_argument("--check", action="store_true", help="make nothing; tell whether what is there would be used")


def run(options: argparse.Namespace) -> int:
    """Prepare or check; return the exit code: 0 done, 1 not."""
    try:
        if not options.spark_home:
            raise NotPreparedError("Name the Spark that YARN's nodes have: --spark-home.")
        tools = Tools(options.spark_home.absolute(), _java(options.java), options.into.absolute(), _sources())
        for line in check(tools) if options.check else prepare(tools):
            print(line)
    except (NotPreparedError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _java(named: Path | None) -> Path:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(named or (Path(home, "bin", "java") if home else "java"))
    if found is None:
        raise NotPreparedError("There is no Java: name one with --java, JAVA_HOME or PATH.")
    # The compiler stands beside the program itself, not beside a link to it.
    return Path(found).resolve()


def _sources() -> Path:
    beside = Path(__file__).resolve().parents[1] / "services" / "jeg_plugin" / "java"
    if beside.is_dir():
        return beside
    spec = find_spec("jeg_plugin")
    if spec is None or not spec.submodule_search_locations:
        raise NotPreparedError("The package jeg_plugin is not installed beside this one.")
    return Path(spec.submodule_search_locations[0]) / "java"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program of its own."""
    parser = argparse.ArgumentParser(description="Prepare a machine of the cluster so that kernels start fast.")
    add_arguments(parser)
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
