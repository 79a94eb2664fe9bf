"""Kernels that the warm submitter submits, on a real YARN; and what happens when it is killed, hangs or is lied to."""

import contextlib
import os
import signal
import socket
import subprocess
import tarfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from hub_ext.embedded import hadoop
from jeg_plugin import submitting
from jeg_plugin.command import Start, request_of
from jeg_plugin.definition import Definition, Size
from jeg_plugin.submitting import ClusterRefusedError, NotSubmittedError, ping, submit

from .kernel_client import KernelClient
from .yarn_stack import Stack, wait_for

READY, BY_SUBMITTER, BY_CLIENT = "The submitter is ready", "The submitter submits", "Spark's client submits"
PLUS = """
public class Plus implements org.apache.spark.sql.api.java.UDF1<Long, Long> {
    public Long call(Long x) { return x + 1; }
}
"""
WHERE = "import os\nos.environ.get('CAME_FROM_ARCHIVE', '')"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s")
    made = Stack(folder / "p")
    # A site's own jar for all applications, and something in its configuration that nobody else has.
    with (made.layout.hadoop_conf / "spark-defaults.conf").open("a") as defaults:
        defaults.write(f"spark.yarn.dist.jars file://{jar_of(PLUS, folder)}\n")
    site = made.layout.hadoop_conf / "core-site.xml"
    own = "<property><name>test.of.the.site</name><value>seen</value></property></configuration>"
    site.write_text(site.read_text().replace("</configuration>", own))
    archive = environment_in_an_archive(folder, made.layout.spark_python)
    made.add_kernelspec(
        "archived",
        type="spark-python",
        archive=f"viewfs://platform{archive}",
        python="./environment/bin/python",
        size={"driver_memory_mb": 640, "executors": 1, "executor_memory_mb": 640},
    )
    try:
        made.start_all()
        wait_for(lambda: READY in made.log("gateway"), 90, "the submitter")
        yield made
    finally:
        made.stop_all()


def jar_of(source: str, folder: Path) -> Path:
    (folder / "Plus.java").write_text(source)
    spark = next((Path(__file__).parents[2] / ".tools/spark/lib").glob("python3.*/site-packages/pyspark"))
    java = hadoop.java_home() / "bin"
    subprocess.run([java / "javac", "-nowarn", "-cp", f"{spark}/jars/*", "Plus.java"], cwd=folder, check=True)
    subprocess.run([java / "jar", "cf", "plus.jar", "Plus.class"], cwd=folder, check=True)
    return folder / "plus.jar"


def environment_in_an_archive(folder: Path, python: Path) -> Path:
    """An environment whose Python is the platform's and says where it came from."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "python"
    program.write_text(f'#!/bin/sh\nCAME_FROM_ARCHIVE="$0" exec {python} "$@"\n')
    program.chmod(0o755)
    with tarfile.open(folder / "environment.tar.gz", "w:gz") as archive:
        archive.add(folder / "bin", "bin")
    # The cluster's cache for everyone takes what everyone may read.
    for parent in (folder, *folder.parents):
        with contextlib.suppress(PermissionError):
            parent.chmod(parent.stat().st_mode | 0o055)
    return folder / "environment.tar.gz"


def socket_path(stack: Stack) -> str:
    return str(stack.layout.run / "enterprise-gateway" / "runtime" / "submitter" / "socket")


def submitter_pid(stack: Stack) -> int:
    path = socket_path(stack)
    found = {p.pid: p.ppid() for p in psutil.process_iter() if path in _arguments(p)}
    # What it starts has its command line until it has become another program.
    (pid,) = [pid for pid, parent in found.items() if parent not in found]
    return pid


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def is_ready_again(stack: Stack, before: int) -> None:
    wait_for(lambda: stack.log("gateway").count(READY) > before, 90, "the submitter is back")


def test_a_kernel_of_the_submitter_has_all_that_spark_submit_would_give_it(stack: Stack) -> None:
    began, before = time.time(), stack.log("gateway").count(BY_SUBMITTER)
    kernel = stack.start_kernel("archived")
    try:
        assert kernel.run("spark.range(10).count()", 120) == "10"
        (application,) = stack.applications(kernel.kernel_id)
        asked = [application[name] for name in ("user", "queue", "applicationTags", "name", "applicationType")]
        assert asked == ["alice", "root.notebooks", kernel.kernel_id, f"kernel {kernel.kernel_id}", "SPARK"]
        assert (application["allocatedMB"], application["runningContainers"]) == (2048, 2)
        assert stack.log("gateway").count(BY_SUBMITTER) == before + 1
        # The user's own environment, in the driver and on the executor.
        assert "environment/bin/python" in kernel.run(WHERE)
        on_executor = "sc.parallelize([1], 1).map(lambda _: __import__('os').environ.get('CAME_FROM_ARCHIVE')).first()"
        assert "environment/bin/python" in kernel.run(on_executor, 120)
        # Jars that are not Spark's, in both; and the site's configuration.
        kernel.run("spark.udf.registerJavaFunction('plus', 'Plus', 'long')")
        assert kernel.run("sql('select sum(plus(id)) s from range(4)').first().s", 120) == "10"
        configuration = "sc._jsc.hadoopConfiguration()"
        assert kernel.run(f"{configuration}.get('test.of.the.site')") == "'seen'"
        assert kernel.run(f"{configuration}.get('fs.defaultFS')") == "'viewfs://platform/'"
        assert uses_the_archive(int(kernel.run("import os; print(os.getppid())")))
        phases = wait_for(lambda: spark_ready(kernel), 30, "that Spark is ready is told")
        assert set(phases) == {"submitted", "accepted", "driver", "connected", "spark_ready", "first_answer"}
        assert phases["connected"] <= phases["first_answer"]
        assert all(began <= when <= time.time() for when in phases.values())
        assert phases["driver"] <= phases["connected"]
    finally:
        kernel.delete()


def spark_ready(kernel: KernelClient) -> dict[str, float] | None:
    phases = kernel.request("GET", f"kernels/{kernel.kernel_id}").json()["start_phases"]
    return phases if "spark_ready" in phases else None


def uses_the_archive(driver: int) -> bool:
    return any(each.path.endswith("/spark-node/spark.jsa") for each in psutil.Process(driver).memory_maps())


def test_errors_are_those_of_spark_submit(stack: Stack) -> None:
    stack.add_kernelspec("no_such_queue", queue="nowhere")
    assert stack.failure("no_such_queue")[1] == "unknown-queue"
    stack.add_kernelspec("too_large", size={"driver_memory_mb": 100_000})
    assert stack.failure("too_large")[1] == "driver-too-large"
    assert not stack.living()


def request(stack: Stack, user: str = "alice") -> tuple[str, submitting.Request]:
    kernel_id = str(uuid.uuid4())
    start = Start(kernel_id, user, "127.0.0.1:1", "A" * 200)
    site = hadoop.enterprise_gateway_environment(stack.layout, stack.ports)
    return kernel_id, request_of(Definition("python", Size(640), queue="notebooks"), start, site)


class Gone(Exception):  # noqa: N818 - not an error
    """The other side has gone away."""


def test_whoever_goes_away_before_the_end_has_submitted_nothing(stack: Stack) -> None:
    kernel_id, asked = request(stack)

    def leave(application: str) -> None:
        raise Gone(application)

    with pytest.raises(Gone, match="application_") as left:
        submit(socket_path(stack), asked, leave)
    # The submitter has given it up when it has taken another one since, and that one is through.
    with pytest.raises(ClusterRefusedError, match="nowhere"):
        submit(socket_path(stack), submitting.Request(**{**vars(asked), "settings": {"spark.yarn.queue": "nowhere"}}))
    assert not stack.applications(kernel_id)
    with pytest.raises(requests.HTTPError, match="404"):
        stack.rm(f"apps/{left.value}")


def test_strangers_words_are_refused_and_harm_nothing(stack: Stack) -> None:
    path, pid = socket_path(stack), submitter_pid(stack)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o077 == 0
    for user in ("", "../root", "a b", "alice\nroot", "-x", "x" * 64):
        with pytest.raises(NotSubmittedError, match="not the name of a user"):
            submit(path, submitting.Request(**{**vars(request(stack)[1]), "user": user}))
    elsewhere = {"SPARK_CONF_DIR": "/elsewhere"}
    with pytest.raises(NotSubmittedError, match="this submitter has another SPARK_CONF_DIR"):
        submit(path, submitting.Request(**{**vars(request(stack)[1]), "site": elsewhere}))
    with contextlib.ExitStack() as open_ones:
        for content in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100_000, b"\0" * 1000, b"\0"):
            caller = open_ones.enter_context(socket.socket(socket.AF_UNIX))
            caller.connect(path)
            with contextlib.suppress(ConnectionError):
                caller.sendall(content)
        # Some of them are still open and silent.
        assert ping(path, 10) >= 0
    assert submitter_pid(stack) == pid
    assert not stack.living()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_while_the_submitter_is_away_kernels_start_and_it_comes_back(stack: Stack, number: signal.Signals) -> None:
    pid = submitter_pid(stack)
    ready, by_client = (stack.log("gateway").count(words) for words in (READY, BY_CLIENT))
    os.kill(pid, number)
    kernel = stack.start_kernel("python_yarn")
    (application,) = stack.applications(kernel.kernel_id)
    assert (application["user"], application["applicationTags"]) == ("alice", kernel.kernel_id)
    assert stack.log("gateway").count(BY_CLIENT) == by_client + 1
    assert "The submitter is away: " in stack.log("gateway")
    kernel.delete()
    is_ready_again(stack, ready)
    assert submitter_pid(stack) != pid
    by_submitter = stack.log("gateway").count(BY_SUBMITTER)
    stack.start_kernel("python_yarn").delete()
    assert stack.log("gateway").count(BY_SUBMITTER) == by_submitter + 1


def test_a_submitter_killed_in_the_midst_leaves_no_kernel_with_two_applications(stack: Stack) -> None:
    ready = stack.log("gateway").count(READY)
    clients = [stack.client() for _ in range(4)]

    def start(numbered: tuple[int, KernelClient]) -> str:
        number, client = numbered
        time.sleep(number * 0.15)
        try:
            return client.start("python_yarn", {"KERNEL_USERNAME": f"user{number}", "KERNEL_LAUNCH_TIMEOUT": "90"})
        except RuntimeError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        starts = pool.map(start, enumerate(clients))
        # By then some are submitted, some in the midst of it, some not begun.
        time.sleep(0.5)
        os.kill(submitter_pid(stack), signal.SIGKILL)
        answers = list(starts)
    started = [client.kernel_id for client in clients if client.kernel_id]
    assert started
    assert all("submission-unknown" in answer for answer in set(answers) - set(started))
    assert all(len(stack.applications(kernel_id)) == 1 for kernel_id in started)
    assert len(stack.living()) == len(started)
    for client in clients:
        if client.kernel_id:
            client.delete()
    assert not stack.living()
    is_ready_again(stack, ready)
