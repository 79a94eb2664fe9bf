"""The steps of preparation that are not Python environments: Hadoop, the Hub's proxy, page scripts, a browser.

Only the standard library: this runs on the system's Python, before anything is installed.
"""

import hashlib
import shutil
from pathlib import Path

from hub_ext.embedded.layout import Layout
from hub_ext.embedded.probe import BROWSERS, output_of
from hub_ext.embedded.steps import Step, StepFailed, Tool, text_of


def hadoop_step(layout: Layout) -> Step:
    """Return the step that fetches Hadoop's jars and compares each with its known hash."""
    pom, sums = layout.root / "hub_ext" / "embedded" / "pom.xml", layout.root / "locks" / "hadoop.sha256"

    def run(tool: Tool) -> None:
        partial = layout.tools / "hadoop.partial"
        fetch_jars(tool, pom, partial)
        wrong = differences(text_of(sums), partial)
        if wrong:
            rows = "\n".join(f"    {each}" for each in wrong)
            raise StepFailed(f"Hadoop's files are not the expected ones:\n{rows}")
        shutil.rmtree(layout.hadoop_jars, ignore_errors=True)
        partial.rename(layout.hadoop_jars)

    return Step(
        name="hadoop",
        what_for="Hadoop YARN",
        download_mb=100,
        expected_mb=155,
        made_from=(text_of(pom), text_of(sums), str(layout.root)),
        proof=layout.hadoop_jars,
        run=run,
    )


def fetch_jars(tool: Tool, pom: Path, folder: Path) -> None:
    """Fill `folder` with the jars that `pom` names and everything they need to run."""
    shutil.rmtree(folder, ignore_errors=True)
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
    options = [f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
    tool(["mvn", "--batch-mode", "--no-transfer-progress", "--file", pom, goal, *options])


def jar_sums(folder: Path) -> str:
    """Return a row ``sha256  name`` for each jar, sorted by name."""
    jars = sorted(folder.glob("*.jar"))
    return "".join(f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n" for jar in jars)


def differences(expected: str, folder: Path) -> list[str]:
    """Return in words which jars are missing, not expected, or of other content than in `expected`."""
    wanted, found = _by_name(expected), _by_name(jar_sums(folder))
    texts = {
        **dict.fromkeys(wanted.keys() - found.keys(), "missing"),
        **dict.fromkeys(found.keys() - wanted.keys(), "not expected"),
        **{name: "content differs" for name in wanted.keys() & found.keys() if wanted[name] != found[name]},
    }
    return [f"{name}: {text}" for name, text in sorted(texts.items())]


def _by_name(sums: str) -> dict[str, str]:
    return {name: sum_ for sum_, name in (row.split() for row in sums.splitlines())}


def node_step(layout: Layout) -> Step:
    """Return the step that fetches the Hub's proxy and puts the pages' scripts where the portal serves them."""
    vendor = layout.root / "services" / "hub_portal" / "static" / "vendor"

    def run(tool: Tool) -> None:
        tool(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        tool(["npm", "run", "build"])

    return Step(
        name="node",
        what_for="The Hub's proxy and the pages' scripts",
        download_mb=8,
        expected_mb=30,
        made_from=tuple(text_of(layout.root / name) for name in ("package.json", "package-lock.json", ".npmrc")),
        proof=vendor / "htmx.min.js",
        run=run,
    )


def browser_step(layout: Layout) -> Step:
    """Return the step that sees to a Chromium: the distribution's, else Playwright's own."""
    proof = layout.tools / "browser"

    def run(tool: Tool) -> None:
        if usable_browser() is None:
            _install_browser(tool, layout)
        proof.write_text(f"{usable_browser() or 'playwright'}\n")

    return Step(
        name="browser",
        what_for="Chromium for the browser tests",
        download_mb=150,
        expected_mb=2500,
        made_from=(),
        proof=proof,
        run=run,
    )


def usable_browser() -> str | None:
    """Return a Chromium of this machine that starts (one packed as a snap may not), or None."""
    return next((shutil.which(name) for name in BROWSERS if output_of(name, "--version")), None)


def _install_browser(tool: Tool, layout: Layout) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    tool(["apt-get", "update"], quiet)
    try:
        tool(["apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"], quiet)
    except StepFailed as missing:
        tool.note(str(missing))
    if usable_browser() is None:
        tool([layout.hub_python, "-m", "playwright", "install", "--with-deps", "chromium"], quiet)
