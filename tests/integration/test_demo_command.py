"""`make demo` as a person runs it: starts, stands on this machine alone, survives, stops without a trace."""

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest
import requests

from hub_ext.embedded.processes import port_problem
from tests.support import Platform, wait_for

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parents[2]
MODULE = (sys.executable, "-m", "hub_ext.embedded.demo")
START_S, STOP_S, SECOND_START_S = 180, 60, 60


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Run:
    """The command, its output and everything that it has started."""

    def __init__(self, argv: Sequence[str], folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._output = folder.parent / f"output-{time.monotonic_ns()}.txt"
        self.began = time.monotonic()
        own = {"PORT": str(port), "HUB_EXT_PLATFORM": str(folder), "HUB_EXT_DEMO_PASSWORD": "demo"}
        with self._output.open("w") as output:
            # A session of its own, so that its process group is what a terminal's Ctrl-C would reach.
            self.process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env={**os.environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def platform(self) -> Platform:
        return Platform(url=self.url, password="demo", folder=self.folder, process=self.process)

    def wait_until_ready(self) -> float:
        """Return how many seconds it took until the address stood there."""
        while f"ready: {self.url}" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() - self.began < START_S, self.output
            time.sleep(0.2)
        return time.monotonic() - self.began

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def part(self, *words: str) -> psutil.Process:
        (found,) = [each for each in self.family() if all(word in each.cmdline() for word in words)]
        return found

    def ctrl_c(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(STOP_S)

    def remove(self) -> None:
        """End whatever a failed test has left."""
        left = self.family() if self.process.poll() is None else []
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(STOP_S)
        for each in left:
            if each.is_running():
                each.kill()


def running(family: Sequence[psutil.Process]) -> list[str]:
    """Return the ones that still run; ids that went to other processes do not count."""
    left = []
    for each in family:
        try:
            if each.is_running() and each.status() != psutil.STATUS_ZOMBIE:
                left.append(f"{each.pid} {each.name()}")
        except psutil.NoSuchProcess:
            continue
    return left


def listening(family: Sequence[psutil.Process]) -> list[str]:
    return sorted(
        {each.laddr.ip for one in family for each in one.net_connections("inet") if each.status == psutil.CONN_LISTEN}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("demo")
    made.chmod(0o755)
    return made / "platform"


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Run]:
    """The demo, with a notebook server and a kernel in YARN."""
    made = Run(("make", "--silent", "demo"), folder, free_port())
    try:
        made.wait_until_ready()
        alice = made.platform.person("alice")
        alice.start_server()
        kernel = alice.start("python_yarn")
        kernel.wait_idle(120)
        yield made
    finally:
        made.remove()


def test_it_tells_each_part_the_address_and_what_to_do_next(run: Run) -> None:
    for part in ("Hub", "Enterprise Gateway", "YARN with 2 nodes", "edge service", "kernel gateway", "pages"):
        assert f"  {part}: ready (" in run.output
    assert "log in as alice, the password from HUB_EXT_DEMO_PASSWORD (" in run.output
    assert str(run.folder / "logs") in run.output
    assert "Ctrl-C stops everything." in run.output


def test_it_listens_on_this_machine_only(run: Run) -> None:
    addresses = listening(run.family())

    assert len(run.family()) > 10
    assert {"127.0.0.1", "127.0.0.2", "127.0.0.3"} <= {each.removeprefix("::ffff:") for each in addresses}
    assert [each for each in addresses if not ipaddress.ip_address(each.removeprefix("::ffff:")).is_loopback] == []


def test_no_secret_stands_in_arguments_or_logs(run: Run) -> None:
    tokens = [path.read_text() for path in (run.folder / "run").glob("*-token")]
    arguments = "\n".join(" ".join(each.cmdline()) for each in run.family())
    logs = "\n".join(path.read_text(errors="replace") for path in (run.folder / "logs").glob("*.log"))

    assert len(tokens) == 3
    assert "jupyterhub_config.py" in arguments
    assert "JupyterHub" in logs
    assert [token for token in tokens if token in arguments or token in logs or token in run.output] == []


def test_data_and_secrets_are_their_owners_alone(run: Run) -> None:
    for name in ("data", "run"):
        assert (run.folder / name).stat().st_mode & 0o077 == 0


def test_a_second_platform_in_the_folder_is_refused(run: Run) -> None:
    second = Run(MODULE, run.folder, free_port())

    assert second.process.wait(30) == 1
    assert f"A platform already runs in {run.folder} (process " in second.output
    assert "Traceback" not in second.output


def test_a_taken_port_is_named_with_who_has_it(run: Run, tmp_path: Path) -> None:
    second = Run(MODULE, tmp_path / "other", run.port)

    assert second.process.wait(30) == 1
    assert f"Port {run.port} is taken by node (process " in second.output
    assert f"PORT={run.port + 1} make demo" in second.output
    assert "Traceback" not in second.output


def test_a_killed_hub_comes_back_and_keeps_the_notebook_server(run: Run) -> None:
    hub = run.part("jupyterhub", "-m")
    server = next(each for each in run.family() if "jupyterhub-singleuser" in " ".join(each.cmdline()))
    children = [each for each in hub.children(recursive=True) if each.pid != server.pid]
    assert children

    hub.kill()

    def is_back() -> bool:
        try:
            return requests.get(f"{run.url}/services/portal/health", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    wait_for(lambda: not running([hub, *children]), 60, what="the end of what the killed Hub had started")
    wait_for(is_back, 60, what="the Hub's return")
    assert server.is_running()
    assert run.platform.person("alice").server()
    assert run.process.poll() is None


def test_ctrl_c_leaves_nothing(run: Run) -> None:
    family = run.family()
    assert any("ApplicationMaster" in " ".join(each.cmdline()) for each in family), "no kernel runs in YARN"
    began = time.monotonic()

    run.ctrl_c()

    assert time.monotonic() - began < STOP_S
    assert "The platform is stopped." in run.output
    assert running(family) == []
    assert port_problem(run.port) is None


def test_a_second_start_takes_seconds_and_a_killed_demo_leaves_nothing(folder: Path) -> None:
    assert (folder / "data" / "jupyterhub.sqlite").exists(), "this is the second start in that folder"
    made = Run(MODULE, folder, free_port())
    after = None
    try:
        seconds = made.wait_until_ready()
        print(f"the second start took {seconds:.1f} s")
        assert seconds < SECOND_START_S
        family = made.family()

        made.process.kill()
        made.process.wait(10)
        # Whoever starts again at once waits for the rest of the killed one, on the same port too.
        after = Run(MODULE, folder, made.port)
        wait_for(lambda: after.process.poll() or "Starting the platform" in after.output, STOP_S, what="the next start")

        assert running(family) == []
        assert "An earlier platform in this folder is still stopping" in after.output
        wait_for(lambda: len(after.family()) > 3, 30, what="the first parts")
        family = after.family()
        assert after.ctrl_c() == 0
        assert running(family) == []
        assert after.output.endswith("The platform is stopped.\n")
    finally:
        made.remove()
        if after:
            after.remove()
