"""The Python environments of the platform, made by uv from lock files with hashes.

Only the standard library: this runs on the system's Python, before anything is installed.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hub_ext.embedded.checks import COMPANION_PYTHON
from hub_ext.embedded.layout import Layout
from hub_ext.embedded.probe import companion_python, java_program, output_of
from hub_ext.embedded.steps import Step, StepFailed, Tool, fingerprint, text_of

#: uv reads none of pip's settings, so the ones that a company's network needs are handed on.
_PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
}
_COMPANION = ".".join(map(str, COMPANION_PYTHON))
#: File in an environment that tells which lock it was filled from.
_INSTALLED = "installed"


@dataclass(frozen=True)
class Environment:
    """One environment: where it is, what is in it and which Python it uses.

    Attributes
    ----------
    name
        Folder below the tools.
    lock
        Name of its lock file.
    what_for
        Shown while it is made.
    download_mb, expected_mb
        Downloaded and written on a machine with empty caches, in MB.
    companion
        Whether it uses the Python that Enterprise Gateway and Spark share rather than the system's.
    with_project
        Whether this project is installed into it, editable.
    """

    name: str
    lock: str
    what_for: str
    download_mb: int
    expected_mb: int
    companion: bool = False
    with_project: bool = True


HUB = Environment("hub", "hub", "JupyterHub, JupyterLab and the services", 110, 330)
HUB_FOR_TESTS = Environment("hub", "test", "JupyterHub, JupyterLab, the services and test tools", 265, 690)
OLDER_HUB = Environment("hub-5.5", "hub-5.5", "JupyterHub 5.5 for compatibility tests", 20, 160)
ENTERPRISE_GATEWAY = Environment(
    "enterprise-gateway", "enterprise-gateway", "Jupyter Enterprise Gateway", 45, 115, companion=True
)
SPARK = Environment("spark", "spark", "Spark and the ready-made kernels", 620, 2800, companion=True, with_project=False)


def uv_step(layout: Layout) -> Step:
    """Return the step that installs uv itself, with pip, into an environment of its own."""
    folder, lock = layout.tools / "uv", layout.root / "locks" / "uv.txt"

    def run(tool: Tool) -> None:
        tool([sys.executable, "-m", "venv", "--clear", folder])
        tool([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock])

    return Step(
        name="uv",
        what_for="The installer of Python packages (uv)",
        download_mb=20,
        expected_mb=100,
        made_from=(text_of(lock), sys.version, str(layout.root)),
        proof=folder / "bin" / "uv",
        run=run,
    )


def environment_step(layout: Layout, environment: Environment) -> Step:
    """Return the step that makes one environment."""
    folder, locks = layout.tools / environment.name, layout.root / "locks"
    python, uv = folder / "bin" / "python", layout.tools / "uv" / "bin" / "uv"
    version = _COMPANION if environment.companion else sys.version

    def run(tool: Tool) -> None:
        settings = uv_settings(output_of(str(uv.with_name("pip")), "config", "list"), os.environ)
        _make_empty(tool, uv, folder, version, settings)
        lock = locks / f"{environment.lock}.txt"
        installed = f"{environment.lock} {fingerprint((text_of(lock),))}\n"
        if text_of(folder / _INSTALLED) != installed:
            tool([uv, "pip", "sync", "--python", python, "--require-hashes", lock], settings)
            (folder / _INSTALLED).write_text(installed)
        if environment.with_project:
            build: tuple[str | Path, ...] = ("--build-constraints", locks / "build.txt")
            tool([uv, "pip", "install", "--python", python, "--no-deps", *build, "-e", layout.root], settings)

    project = (packaging(text_of(layout.root / "pyproject.toml")), text_of(locks / "build.txt"))

    return Step(
        name=environment.name,
        what_for=environment.what_for,
        download_mb=environment.download_mb,
        expected_mb=environment.expected_mb,
        made_from=(
            text_of(locks / f"{environment.lock}.txt"),
            version,
            str(layout.root),
            *(project if environment.with_project else ()),
        ),
        proof=python,
        run=run,
    )


def prepared_node_step(layout: Layout) -> Step:
    """Return the step that lets kernels start fast; see `hub_ext.edge_node`. Without a JDK they start all the same."""
    program, sources = layout.root / "hub_ext" / "edge_node.py", layout.root / "services" / "jeg_plugin" / "java"

    def run(tool: Tool) -> None:
        layout.prepared_node.mkdir(exist_ok=True)
        spark_home = next(layout.spark_python.parent.parent.glob("lib/python3.*/site-packages/pyspark"))
        options: list[str | Path] = [
            "--spark-home",
            spark_home,
            "--into",
            layout.prepared_node,
            "--java",
            java_program(),
        ]
        try:
            tool([sys.executable, program, *options])
        except StepFailed as error:
            tool.note(f"Kernels start by Spark's own client, slower: {error}")

    return Step(
        name="spark-node",
        what_for="What lets kernels start fast",
        download_mb=0,
        expected_mb=155,
        made_from=(
            text_of(layout.root / "locks" / f"{SPARK.lock}.txt"),
            *map(text_of, [program, *sorted(sources.glob("*"))]),
            output_of(java_program(), "-version"),
            str(layout.root),
        ),
        proof=layout.prepared_node,
        run=run,
    )


def packaging(pyproject: str) -> str:
    """Return the tables of pyproject.toml that an installation depends on: what is left are settings of tools."""
    tables = re.split(r"^(?=\[)", pyproject, flags=re.MULTILINE)
    return "".join(table for table in tables if table.startswith(("[build-system", "[project", "[tool.hatch")))


def has_test_tools(layout: Layout) -> bool:
    """Tell whether the Hub's environment was made for tests: it serves the demo too, and stays as it is."""
    return text_of(layout.tools / HUB.name / _INSTALLED).startswith(f"{HUB_FOR_TESTS.lock} ")


def _make_empty(tool: Tool, uv: Path, folder: Path, version: str, settings: Mapping[str, str]) -> None:
    """Make the environment's folder unless it is there, by the same Python in the same place."""
    marker, made_with = folder / "made-with", f"{version}\n{folder}\n"
    if (folder / "bin" / "python").exists() and text_of(marker) == made_with:
        return
    interpreter = (companion_python() or _COMPANION) if version == _COMPANION else sys.executable
    try:
        tool([uv, "venv", "--clear", "--python", interpreter, folder], settings)
    except StepFailed as error:
        if interpreter != _COMPANION:
            raise
        text = (
            f"Enterprise Gateway and Spark need Python {_COMPANION}: none is on this machine and none could be"
            f" downloaded.\n  Install one, for example: sudo apt-get install -y python{_COMPANION}\n{error}"
        )
        raise StepFailed(text) from error
    marker.write_text(made_with)


def uv_settings(pip_configuration: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give uv what pip is configured with.

    Parameters
    ----------
    pip_configuration
        Output of ``pip config list``: rows like ``global.index-url='…'`` and ``:env:.index-url='…'``, the
        stronger ones last.
    environment
        What is set already wins.
    """
    found = {}
    for row in pip_configuration.splitlines():
        key, _, value = row.partition("=")
        section, _, option = key.rpartition(".")
        if section in ("global", "install", ":env:") and option in _PIP_TO_UV:
            found[_PIP_TO_UV[option]] = value.strip("'\"")
    return {name: value for name, value in found.items() if value and name not in environment}
