"""Kernels that can't start, gateways that end, a ResourceManager that is away: clear answers and nothing left."""

import json
import signal
import subprocess
import sys
import threading
import time
import uuid

import psutil
import pytest

from .yarn_stack import ENDED, Forwarder, Stack, wait_for


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    running = Stack(tmp_path_factory.mktemp("yarn"))
    small = {"driver_memory_mb": 640, "driver_cores": 1}
    with_executor = {**small, "executors": 1, "executor_memory_mb": 640, "executor_cores": 1}
    running.add_kernelspec("no_such_queue", queue="nowhere")
    running.add_kernelspec("huge_driver", size={**small, "driver_memory_mb": 9000})
    huge_executor = {**with_executor, "executor_memory_mb": 9000}
    running.add_kernelspec("huge_executor", type="spark-python", size=huge_executor)
    running.add_kernelspec("no_python", python="/nowhere/bin/python")
    running.add_kernelspec("no_archive", archive="/nowhere/environment.tar.gz", python="./environment/bin/python")
    running.add_kernelspec("late", python=_late_python(running))
    running.add_kernelspec("bad_block", queue="root; touch /tmp/x")
    running.add_kernelspec("bad_conf", spark_conf={"spark.driver.extraJavaOptions": "-version"})
    running.add_kernelspec("submits_as_bob", argv=_as_bob(running))
    running.add_kernelspec("bobs_alice_may_look", argv=_as_bob(running, conf=_alice_may_look(running)))
    try:
        running.start_all()
        yield running
    finally:
        running.stop_all()


def _late_python(stack):
    """A Python that takes its time, so that no start is quicker than a test's patience."""
    real = json.loads((stack.layout.kernelspecs / "kernels" / "python_yarn" / "kernel.json").read_text())
    script = stack.layout.run / "late-python"
    script.write_text(f'#!/bin/sh\nsleep 10\nexec {real["metadata"]["remote_kernel"]["python"]} "$@"\n')
    script.chmod(0o755)
    return str(script)


def _as_bob(stack, conf=None):
    """An argument list that submits as somebody else than the gateway believes, with other defaults of Spark."""
    spec = json.loads((stack.layout.kernelspecs / "kernels" / "python_yarn" / "kernel.json").read_text())
    program = (
        "import os, runpy, sys; os.environ['KERNEL_USERNAME'] = 'bob'; "
        f"os.environ['SPARK_CONF_DIR'] = {str(conf or stack.layout.hadoop_conf)!r}; "
        "sys.argv[0] = 'launch'; runpy.run_module('jeg_plugin.launch', run_name='__main__')"
    )
    return [spec["argv"][0], "-I", "-c", program, *spec["argv"][4:]]


def _alice_may_look(stack):
    """Defaults with which YARN shows an application to alice, who still may not end it."""
    folder = stack.layout.run / "alice-may-look"
    folder.mkdir()
    defaults = (stack.layout.hadoop_conf / "spark-defaults.conf").read_text()
    (folder / "spark-defaults.conf").write_text(f"{defaults}spark.acls.enable true\nspark.ui.view.acls alice\n")
    return folder


@pytest.fixture
def nothing_left(stack):
    yield
    assert not stack.living()
    assert not launchers()


def launchers():
    """Return the submitting processes of this machine's gateways, ours among them."""
    names = {"jeg_plugin.launch", "org.apache.spark.deploy.SparkSubmit"}
    me = psutil.Process()
    return [p for p in me.children(recursive=True) if names & set(_arguments(p))]


def _arguments(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


CAUSES = [
    ("no_such_queue", 500, "unknown-queue", "There is no queue named nowhere."),
    ("huge_driver", 500, "driver-too-large", "The driver needs 9000 MB and 900 MB beside it; the cluster's largest"),
    (
        "huge_executor",
        500,
        "executor-too-large",
        "An executor needs 9000 MB and 900 MB beside it; the cluster's largest",
    ),
    ("no_python", 500, "python-missing", "The kernel's Python, /nowhere/bin/python, does not exist on the node."),
    ("no_archive", 500, "file-missing", "/nowhere/environment.tar.gz"),
    ("bad_block", 500, "bad-definition", "queue has characters or a form that can't be used"),
    ("bad_conf", 500, "bad-definition", "spark_conf has a setting that a kernel definition may not carry"),
]


@pytest.mark.parametrize(("spec", "status", "code", "text"), CAUSES, ids=[c[0] for c in CAUSES])
@pytest.mark.usefixtures("nothing_left")
def test_the_cause_is_part_of_the_answer(stack, spec, status, code, text):
    answer = stack.failure(spec)
    assert answer[:2] == (status, code)
    assert text in answer[2]
    assert "\n" not in answer[2]
    assert "Traceback" not in answer[2]


@pytest.mark.parametrize("name", ["x$(touch OWNED)", "a b", "../alice", "x&touch OWNED&", "alice\nbob", "-alice"])
@pytest.mark.usefixtures("nothing_left")
def test_a_hostile_user_name_starts_nothing(stack, name, tmp_path):
    env = {"KERNEL_USERNAME": name.replace("OWNED", str(tmp_path / "owned"))}
    assert stack.failure("python_yarn", env)[1] == "bad-definition"
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("nothing_left")
def test_variables_of_the_request_do_not_become_spark_options(stack):
    client = stack.client()
    hostile = {"KERNEL_EXTRA_SPARK_OPTS": "--queue default", "KERNEL_QUEUE": "default", "SPARK_HOME": "/nowhere"}
    client.start("python_yarn", {"KERNEL_USERNAME": "alice", **hostile})
    (application,) = stack.applications(client.kernel_id)
    assert application["queue"] == "root.notebooks"
    client.delete()


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("seconds", [1, 2, 3])
def test_a_start_that_takes_too_long_leaves_nothing(stack, seconds):
    kernel_id = str(uuid.uuid4())
    status, code, text = stack.failure("late", {"KERNEL_ID": kernel_id}, timeout=seconds)
    assert (status, code) in {(504, "start-timeout"), (503, "cluster-busy")}
    assert f"within {seconds} seconds" in text
    wait_for(lambda: not stack.living(kernel_id), 30, "the end of what was submitted")
    assert all(app["finalStatus"] == "KILLED" for app in stack.applications(kernel_id))


@pytest.mark.usefixtures("nothing_left")
def test_a_refused_kill_is_done_by_the_gateway_itself(stack):
    """The application is bob's: alice may not look into it, so the start times out, nor end it."""
    kernel_id = str(uuid.uuid4())
    _, code, _ = stack.failure("submits_as_bob", {"KERNEL_ID": kernel_id}, timeout=25)
    assert code == "start-timeout"
    # YARN writes an end down before it tells of it.
    wait_for(lambda: not stack.living(kernel_id), 30, "the end of bob's application")
    (application,) = stack.applications(kernel_id)
    assert (application["user"], application["state"]) == ("bob", "KILLED")
    assert "alice may not end" in stack.log("gateway")


#: Neither an interrupt nor a polite request ends it.
STUBBORN = "import time\nwhile True:\n try:\n  time.sleep(30)\n except KeyboardInterrupt: pass"


def start_stubborn(stack, spec="python_yarn"):
    kernel = stack.start_kernel(spec)
    kernel.collect(kernel.send(STUBBORN), started=True)
    time.sleep(0.5)
    return kernel


@pytest.mark.usefixtures("nothing_left")
def test_a_refused_kill_of_a_kernel_that_ran_is_done_by_the_gateway_itself(stack):
    kernel = start_stubborn(stack, "bobs_alice_may_look")
    (application,) = stack.applications(kernel.kernel_id)
    assert (application["user"], application["state"] in ENDED) == ("bob", False)
    # Politely first, then as alice, then as the gateway.
    assert kernel.delete() < 10
    (application,) = stack.applications(kernel.kernel_id)
    assert (application["state"], application["finalStatus"]) == ("KILLED", "KILLED")
    assert f"alice may not end {application['id']}" in stack.log("gateway")


@pytest.mark.usefixtures("nothing_left")
def test_an_application_that_could_not_be_ended_with_its_kernel_is_ended_later(stack):
    stack.stop("gateway")
    with Forwarder(stack.ports.rm_web) as way:
        stack.start_gateway(EG_YARN_ENDPOINT=f"http://127.0.0.1:{way.port}")
        kernel = start_stubborn(stack)
        (application_id,) = stack.living(kernel.kernel_id)
    kernel.delete()
    assert stack.living(kernel.kernel_id) == [application_id]
    with Forwarder(stack.ports.rm_web, way.port):
        wait_for(lambda: not stack.living(kernel.kernel_id), 30, "the application is ended")
        wait_for(lambda: f"{application_id} was ended at last" in stack.log("gateway"), 5, "the log says so")
        stack.stop("gateway")
    stack.start_gateway()


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("seconds", [0.3, 1.5, 2.5, 4.0])
def test_a_stop_of_the_gateway_during_a_start_leaves_nothing(stack, seconds):
    kernel_id = str(uuid.uuid4())
    answers = []
    env = {"KERNEL_USERNAME": "alice", "KERNEL_ID": kernel_id}
    thread = threading.Thread(target=_post, args=(stack.client(), env, answers))
    thread.start()
    time.sleep(seconds)
    stack.stop("gateway", seconds=25)
    thread.join(10)
    assert answers
    time.sleep(3)  # what comes late would come now
    wait_for(lambda: not stack.living(kernel_id), 30, "the end of what was submitted")
    stack.start_gateway()


def _post(client, env, answers):
    try:
        answers.append(client.request("POST", "kernels", json={"name": "python_yarn", "env": env}).status_code)
    except OSError as error:
        answers.append(error)


@pytest.mark.usefixtures("nothing_left")
def test_a_stop_of_the_gateway_ends_every_kernel_at_once(stack):
    kernels = [stack.start_kernel("python_yarn", user) for user in ("alice", "bob", "alice")]
    assert len(stack.living()) == 3
    began = time.monotonic()
    stack.stop("gateway", seconds=25)
    assert time.monotonic() - began < 5
    for kernel in kernels:
        assert not stack.living(kernel.kernel_id)
    stack.start_gateway()


@pytest.mark.usefixtures("nothing_left")
def test_a_gateway_told_to_keep_kernels_leaves_them_to_the_next(stack):
    stack.stop("gateway")
    stack.start_gateway(REMOTE_KERNELS_KEEP="true")
    kernel = stack.start_kernel("python_yarn")
    kernel.run("x = 5")
    kernel.close()
    stack.stop("gateway")
    assert len(stack.living(kernel.kernel_id)) == 1
    stack.start_gateway()
    kernel.wait_idle()
    assert kernel.run("x") == "5"
    kernel.delete()


@pytest.mark.usefixtures("nothing_left")
def test_kernels_outlive_a_killed_gateway(stack):
    kernel = stack.start_kernel("spark_python")
    kernel.run("x = spark.range(7).count()", 120)
    (before,) = stack.living(kernel.kernel_id)
    kernel.close()
    stack.stop("gateway", signal.SIGKILL)
    stack.start_gateway()
    assert [k["id"] for k in kernel.request("GET", "kernels").json()] == [kernel.kernel_id]
    kernel.wait_idle()
    assert kernel.run("x") == "7"
    assert stack.living(kernel.kernel_id) == [before]
    message = kernel.send("import time; time.sleep(60)")
    kernel.collect(message, started=True)
    time.sleep(0.3)
    kernel.interrupt()
    assert kernel.collect(message, timeout=30).error.startswith("KeyboardInterrupt")
    kernel.restart()
    kernel.wait_idle()
    assert kernel.execute("x")[1].startswith("NameError")
    assert stack.living(kernel.kernel_id) != [before]
    kernel.delete()


@pytest.mark.usefixtures("nothing_left")
def test_a_start_whose_gateway_was_killed_ends_by_itself(stack):
    kernel_id = str(uuid.uuid4())
    env = {"KERNEL_USERNAME": "alice", "KERNEL_ID": kernel_id}
    threading.Thread(target=_post, args=(stack.client(), env, [])).start()
    wait_for(lambda: stack.applications(kernel_id), 30, "the application is submitted")
    stack.stop("gateway", signal.SIGKILL)
    stack.start_gateway()
    wait_for(lambda: not stack.living(kernel_id), 60, "its driver ends")
    assert not stack.client().request("GET", "kernels").json()


@pytest.mark.usefixtures("nothing_left")
def test_a_kernel_whose_client_is_dead_is_stopped(stack):
    stack.stop("gateway")
    stack.start_gateway(cull_idle_seconds=4)
    kernel = stack.start_kernel("python_yarn")
    time.sleep(8)
    assert kernel.run("1") == "1", "somebody is connected"
    kernel.close()
    wait_for(lambda: not stack.living(kernel.kernel_id), 30, "the application is given back")
    stack.stop("gateway")
    stack.start_gateway()


def test_sessions_are_private(stack):
    kernel = stack.start_kernel("python_yarn")
    home = stack.layout.run / "enterprise-gateway"
    (session,) = home.glob(f"kernel_sessions/{kernel.kernel_id}.json")
    assert home.stat().st_mode & 0o777 == 0o700
    assert session.stat().st_mode & 0o777 == 0o600
    assert stack.token not in session.read_text()
    kernel.delete()
    assert not session.exists()


def test_the_gateways_own_python_is_no_kernel(stack):
    names = stack.client().request("GET", "kernelspecs").json()["kernelspecs"].keys()
    assert {"spark_python", "python_yarn"} < set(names)
    assert "python3" not in names
    status, _, _ = stack.failure("python3")
    assert status == 500


def test_without_a_resource_manager_the_answer_says_so(stack):
    stack.stop("resourcemanager")
    try:
        began = time.monotonic()
        status, code, text = stack.failure("python_yarn")
        assert (status, code) == (503, "resource-manager-unreachable")
        assert "ResourceManager does not answer" in text
        assert time.monotonic() - began < 10
        assert not launchers()
    finally:
        stack.start_java("resourcemanager")
        wait_for(lambda: stack.metrics().get("activeNodes") == 2, 60, "both nodes are back")
    kernel = stack.start_kernel("python_yarn")
    assert kernel.run("1 + 1") == "2"
    kernel.delete()


def test_the_gateway_needs_no_address_but_loopback(stack):
    program = (
        "from jupyter_client import localinterfaces as interfaces\n"
        "assert interfaces.local_ips() is not None\n"
        "interfaces.PUBLIC_IPS.clear()\n"
        "import jeg_plugin.app\n"
        "from enterprise_gateway.services.processproxies import processproxy, yarn\n"
        "print(processproxy.local_ip, yarn.local_ip)\n"
    )
    argv = [str(stack.layout.enterprise_gateway_python), "-I", "-c", program]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.returncode) == ("127.0.0.1 127.0.0.1\n", 0), result.stderr


def test_no_token_in_any_log_or_command_line(stack):
    everything = "".join(stack.log(path.stem) for path in stack.layout.logs.glob("*.log"))
    assert "python_yarn" in everything or len(everything) > 10_000
    assert stack.token not in everything
    lines = [" ".join(_arguments(p)) for p in psutil.Process().children(recursive=True)]
    assert any("jeg_plugin.app" in line for line in lines)
    assert not any(stack.token in line for line in lines)
    assert stack.token not in " ".join(sys.argv)
