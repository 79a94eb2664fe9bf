"""Preparation: once, again only when something has changed, and on from where it stopped."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hub_ext.embedded import downloads, environments, prepare
from hub_ext.embedded.layout import Layout
from hub_ext.embedded.progress import Report
from hub_ext.embedded.steps import Step, StepFailed, Tool, run_steps

ROOT = Path(prepare.__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "locks").glob("*.txt"))


class Kitchen:
    """Steps that count how often they ran."""

    def __init__(self, folder: Path) -> None:
        self.tools = folder / "tools"
        self.ran: list[str] = []

    def step(self, name: str, made_from: tuple[str, ...] = ("a",), code: int = 0) -> Step:
        proof = self.tools / name

        def run(tool: Tool) -> None:
            self.ran.append(name)
            tool([sys.executable, "-c", f"print('cooking'); raise SystemExit({code})"])
            proof.write_text("done")

        return Step(name, name, 1, 1, made_from, proof, run)

    def cook(self, *steps: Step) -> int:
        return run_steps(steps, self.tools, self.tools.parent)


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path)


def test_a_second_run_does_nothing(kitchen: Kitchen, capsys: pytest.CaptureFixture[str]) -> None:
    assert kitchen.cook(kitchen.step("a"), kitchen.step("b")) == 2
    capsys.readouterr()

    assert kitchen.cook(kitchen.step("a"), kitchen.step("b")) == 0
    assert kitchen.ran == ["a", "b"]
    assert capsys.readouterr().out == ""


def test_a_changed_input_runs_that_step_alone(kitchen: Kitchen) -> None:
    kitchen.cook(kitchen.step("a"), kitchen.step("b"))
    kitchen.cook(kitchen.step("a"), kitchen.step("b", made_from=("a", "b")))

    assert kitchen.ran == ["a", "b", "b"]


def test_a_removed_result_is_made_again(kitchen: Kitchen) -> None:
    kitchen.cook(kitchen.step("a"))
    (kitchen.tools / "a").unlink()
    kitchen.cook(kitchen.step("a"))

    assert kitchen.ran == ["a", "a"]


def test_settings_of_tools_do_not_change_an_environment() -> None:
    text = '[build-system]\nrequires = ["x"]\n\n[project]\nname = "n"\n[project.scripts]\na = "b"\n'
    hatch = '[tool.hatch.build]\ndev-mode-dirs = ["."]\n'

    assert environments.packaging(f"{text}[tool.ruff]\nline-length = 1\n{hatch}[tool.mypy]\n") == text + hatch


@pytest.mark.parametrize(("installed", "lock"), [("", "hub"), ("hub 123\n", "hub"), ("test 123\n", "test")])
def test_the_demo_does_not_take_test_tools_away(tmp_path: Path, installed: str, lock: str) -> None:
    layout = Layout(root=tmp_path, platform=tmp_path / "platform")
    (layout.tools / "hub").mkdir(parents=True)
    (layout.tools / "hub" / "installed").write_text(installed)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / f"{lock}.txt").write_text("of this lock")

    assert "of this lock" in prepare.steps_for(layout, "demo")[1].made_from


def test_an_interrupted_preparation_goes_on_where_it_was(kitchen: Kitchen) -> None:
    with pytest.raises(StepFailed):
        kitchen.cook(kitchen.step("a"), kitchen.step("b", code=3), kitchen.step("c"))
    kitchen.cook(kitchen.step("a"), kitchen.step("b"), kitchen.step("c"))

    assert kitchen.ran == ["a", "b", "b", "c"]


def tool_for(folder: Path) -> Tool:
    return Tool(log=folder / "step.log", report=Report("x", 1, stream=io.StringIO()), cwd=folder)


def test_a_failing_program_shows_its_last_lines_and_its_log(tmp_path: Path) -> None:
    tool = tool_for(tmp_path)
    tool([sys.executable, "-c", "print('of an earlier program')"])

    with pytest.raises(StepFailed) as failure:
        tool([sys.executable, "-c", "print(*range(30), sep='\\n'); print('the cause'); raise SystemExit(7)"])

    text = str(failure.value)
    assert "failed with code 7" in text
    assert "    29\n    the cause\n" in text
    assert "    18\n" not in text
    assert "earlier" not in text
    assert str(tmp_path / "step.log") in text
    assert "run the same command again" in text


@pytest.mark.parametrize(
    "output",
    [
        "error sending request for url (…): failed to lookup address information",
        "Could not transfer artifact org.apache.hadoop:hadoop-common:pom:3.5.0",
        "npm error code EAI_AGAIN",
    ],
)
def test_a_network_failure_is_one_clear_sentence(tmp_path: Path, output: str) -> None:
    with pytest.raises(StepFailed, match="could not download: the network or the package registry does not answer"):
        tool_for(tmp_path)([sys.executable, "-c", f"print({output!r}); raise SystemExit(1)"])


def test_a_missing_program_is_a_failure_like_others(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="no-such-program"):
        tool_for(tmp_path)(["no-such-program"])


@pytest.mark.parametrize(
    ("configuration", "environment", "expected"),
    [
        ("", {}, {}),
        (
            "global.index-url='https://pip.example.org/simple'",
            {},
            {"UV_DEFAULT_INDEX": "https://pip.example.org/simple"},
        ),
        ("global.index-url='a'\n:env:.index-url='b'", {}, {"UV_DEFAULT_INDEX": "b"}),
        ("global.index-url='a'", {"UV_DEFAULT_INDEX": "mine"}, {}),
        (":env:.timeout='180'\n:env:.cert='/c.pem'", {}, {"UV_HTTP_TIMEOUT": "180", "SSL_CERT_FILE": "/c.pem"}),
        ("freeze.timeout='10'\nglobal.quiet='1'", {}, {}),
    ],
)
def test_uv_gets_what_pip_is_configured_with(
    configuration: str, environment: dict[str, str], expected: dict[str, str]
) -> None:
    assert environments.uv_settings(configuration, environment) == expected


def test_jars_are_compared_by_name_and_content(tmp_path: Path) -> None:
    for name in ("same", "changed", "extra"):
        (tmp_path / f"{name}.jar").write_text(name)
    expected = downloads.jar_sums(tmp_path).replace("extra.jar", "gone.jar")
    (tmp_path / "changed.jar").write_text("something else")

    assert downloads.differences(expected, tmp_path) == [
        "changed.jar: content differs",
        "extra.jar: not expected",
        "gone.jar: missing",
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_locks_hold_hashes_and_no_addresses(lock: Path) -> None:
    text = lock.read_text()
    requirements = re.findall(r"^[a-z0-9].*$(?:\n .*$)*", text, re.MULTILINE)

    assert requirements
    assert [each for each in requirements if "--hash=sha256:" not in each] == []
    assert "://" not in text
    assert "--index" not in text


def test_the_hubs_lock_is_part_of_the_tests_lock() -> None:
    hub, test = (
        set(re.findall(r"^\S+==\S+", (ROOT / f"locks/{name}.txt").read_text(), re.M)) for name in ("hub", "test")
    )

    assert hub
    assert hub - test == set()


def test_the_script_lock_holds_no_download_addresses() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]

    assert [name for name, each in packages.items() if "resolved" in each] == []
    assert [name for name, each in packages.items() if name and "integrity" not in each] == []


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        ("unit", ["uv", "hub"]),
        ("demo", ["uv", "hub", "enterprise-gateway", "spark", "spark-node", "hadoop", "node"]),
        ("test", ["uv", "hub", "enterprise-gateway", "spark", "spark-node", "hadoop", "node", "hub-5.5", "browser"]),
    ],
)
def test_each_purpose_prepares_what_it_needs(purpose: str, expected: list[str]) -> None:
    layout = Layout(root=ROOT, platform=ROOT / ".platform")

    assert [step.name for step in prepare.steps_for(layout, purpose)] == expected


@pytest.mark.parametrize("module", ["prepare", "checks", "probe", "progress", "steps", "environments", "downloads"])
def test_preparation_needs_the_standard_library_alone(module: str) -> None:
    # -I and -S: no installed package can be found.
    code = (
        "import sys, types; stand_in = types.ModuleType('hub_ext'); stand_in.__path__ = [sys.argv[1]];"
        f"sys.modules['hub_ext'] = stand_in; import hub_ext.embedded.{module}"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT / "hub_ext")], capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 0, done.stderr
