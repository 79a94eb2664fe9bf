"""``make lock``: makes the lock files again from what is asked for (pyproject.toml, locks/*.in, pom.xml).

Locks hold versions and hashes for every Python and platform, and no download addresses: whoever installs chooses
the index. Run in the Hub's environment after a preparation.
"""

import sys
import tempfile
from pathlib import Path

from .downloads import fetch_jars, jar_sums
from .layout import Layout
from .progress import Report
from .steps import StepFailed, Tool

#: Lock, what it is made from, the lowest Python it is for, and further options. Later ones follow earlier ones.
_LOCKS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("uv", "locks/uv.in", "3.10", ()),
    ("build", "locks/build.in", "3.10", ()),
    ("test", "pyproject.toml", "3.10", ("--extra", "demo", "--extra", "test")),
    ("hub", "pyproject.toml", "3.10", ("--extra", "demo", "--constraints", "locks/test.txt")),
    (
        "hub-5.5",
        "pyproject.toml",
        "3.10",
        ("--extra", "demo", "--extra", "test", "--constraints", "locks/hub-5.5.in"),
    ),
    ("enterprise-gateway", "locks/enterprise-gateway.in", "3.10", ()),
    ("spark", "locks/spark.in", "3.11", ()),
)
_OPTIONS = (
    "--universal",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
    "--upgrade",
    "--quiet",
)


def lock_packages(tool: Tool, root: Path) -> None:
    """Resolve every Python environment."""
    uv = root / ".tools" / "uv" / "bin" / "uv"
    for name, source, python, options in _LOCKS:
        output = ["--output-file", f"locks/{name}.txt"]
        tool([uv, "pip", "compile", *_OPTIONS, "--python-version", python, *options, *output, source])


def lock_hadoop(tool: Tool, root: Path) -> None:
    """Write down the hash of every Hadoop jar that Maven brings now."""
    with tempfile.TemporaryDirectory() as folder:
        jars = Path(folder) / "jars"
        fetch_jars(tool, root / "hub_ext" / "embedded" / "pom.xml", jars)
        (root / "locks" / "hadoop.sha256").write_text(jar_sums(jars))


def main() -> int:
    """Make every lock again and return the exit code."""
    root = Path(__file__).resolve().parents[2]
    log = Layout.of(root).tools / "log" / "lock.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    report = Report("Lock files", 0)
    tool = Tool(log=log, report=report, cwd=root)
    try:
        lock_packages(tool, root)
        lock_hadoop(tool, root)
        tool(["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"])
    except StepFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    report.end("made again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
