"""The driver's kernel in a process of its own, without Spark: interrupts come at chosen moments."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from jupyter_client import BlockingKernelClient

import jeg_plugin

PYTHON = Path(__file__).parents[2] / ".tools/spark/bin/python"
#: A cell says in its first line where it is interrupted: before a method ("name") or after it (">name"), how often.
KERNEL = """
import json, signal, sys, time
sys.path.insert(0, sys.argv[1])
from remote_kernel_app import DriverApp, DriverKernel

def report(connection):
    signal.raise_signal(signal.SIGINT)
    print(json.dumps(connection), flush=True)

hits = set()

def hit(place):
    message = app.kernel.get_parent("shell")
    first, _, _ = str(message.get("content", {}).get("code", "")).partition("\\n")
    if not first.startswith("# at "):
        return
    _, _, wanted, times = first.split()
    if wanted == place and message["header"]["msg_id"] not in hits:
        hits.add(message["header"]["msg_id"])
        for _ in range(int(times)):
            signal.raise_signal(signal.SIGINT)

def watched(name, function):
    def call(*args, **kwargs):
        hit(name)
        result = function(*args, **kwargs)
        hit(">" + name)
        return result
    return call

def pre_run_cell(info):
    hit("pre_run_cell")
    if "# hangs" in info.raw_cell:
        print("hangs", flush=True)
        time.sleep(100)

app = DriverApp.instance(ip="127.0.0.1", kernel_class=DriverKernel)
app.report = report
app.config.HistoryManager.enabled = False
app.initialize([])
signal.raise_signal(signal.SIGINT)
kernel = app.kernel
for owner, name in (
    (kernel, "_publish_status"), (kernel, "pre_handler_hook"), (kernel, "_publish_execute_input"),
    (kernel, "_forward_input"), (app.shell, "transform_cell"), (kernel, "_restore_input"),
    (kernel, "post_handler_hook"), (kernel, "_publish_status_and_flush"),
):
    setattr(owner, name, watched(name, getattr(owner, name)))
app.shell.events.register("pre_run_cell", pre_run_cell)
app.start()
"""
CELLS = {
    "plain": "ran = True\nimport time; time.sleep(100)",
    "awaits": "ran = 1\nimport asyncio\nawait asyncio.sleep(100)",
}
#: In the order in which they come; at the first the client reads "busy".
BEFORE = [
    ">_publish_status",
    "pre_handler_hook",
    ">pre_handler_hook",
    "_publish_execute_input",
    "_forward_input",
    ">transform_cell",
    "pre_run_cell",
]
AFTER = [
    "_restore_input",
    ">_restore_input",
    "post_handler_hook",
    ">post_handler_hook",
    "_publish_status_and_flush",
    ">_publish_status_and_flush",
]
SECONDS = 60


class Kernel:
    """A kernel and its client."""

    def __init__(self, folder):
        command = [PYTHON, "-c", KERNEL, str(Path(jeg_plugin.__file__).parent)]
        environment = {**os.environ, "IPYTHONDIR": str(folder)}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        self.client = BlockingKernelClient()

    def connect(self):
        self.client.load_connection_info(json.loads(self.process.stdout.readline()))
        self.client.start_channels()
        self.client.wait_for_ready(timeout=SECONDS)

    def end(self):
        self.client.stop_channels()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def interrupt(self):
        os.kill(self.process.pid, signal.SIGINT)

    def run(self, code, on_output=lambda message: None):
        """Run a cell; return the error of its answer, which has to be the error that was shown, or None."""
        shown = []

        def output(message):
            if message["msg_type"] == "error":
                shown.append(message["content"]["ename"])
            on_output(message)

        reply = self.client.execute_interactive(code, timeout=SECONDS, output_hook=output)["content"]
        # What ends in a callback is shown, too, in front of it.
        assert shown[-1:] == ([reply["ename"]] if reply["status"] == "error" else [])
        return reply.get("ename")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    started = Kernel(tmp_path_factory.mktemp("kernel"))
    try:
        started.connect()
        yield started
    finally:
        started.end()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("place", BEFORE)
def test_an_interrupt_before_a_cells_code_ends_the_cell(kernel, place, kind, times):
    interrupted = kernel.run(f"# at {place} {times}\n{CELLS[kind]}")
    assert interrupted == "KeyboardInterrupt"
    assert kernel.run("assert 'ran' not in dir()") is None


@pytest.mark.parametrize("place", AFTER)
def test_an_interrupt_after_a_cells_code_leaves_no_cell_without_an_answer_and_the_next_one_alone(kernel, place):
    assert kernel.run(f"# at {place} 1\n1") in {None, "KeyboardInterrupt"}
    assert kernel.run("1") is None


@pytest.mark.parametrize("kind", CELLS)
def test_an_interrupt_of_running_code_ends_it(kernel, kind):
    def running(message):
        if message["msg_type"] == "stream":
            kernel.interrupt()

    code = CELLS[kind].replace("ran =", "print('runs', flush=True); late =")
    began = time.monotonic()
    assert kernel.run(code, running) in {"KeyboardInterrupt", "CancelledError"}
    assert time.monotonic() - began < SECONDS / 2


def test_an_interrupt_of_code_that_awaits_ends_it_although_nothing_else_happens(kernel):
    def waiting(message):
        if message["msg_type"] == "stream":
            # By then the loop sleeps, whose end is the awaited one.
            time.sleep(0.3)
            kernel.interrupt()

    began = time.monotonic()
    assert (
        kernel.run("import asyncio\nprint('awaits', flush=True)\nawait asyncio.sleep(100)", waiting) == "CancelledError"
    )
    assert time.monotonic() - began < SECONDS / 2


def test_interrupts_while_nothing_runs_are_without_effect(kernel):
    for _ in range(20):
        # The process takes a signal before it reads what is sent later.
        kernel.interrupt()
        assert kernel.run("1") is None


def test_what_hangs_before_a_cells_code_is_ended_by_a_second_interrupt(kernel):
    def hanging(message):
        if message["msg_type"] == "stream":
            for _ in range(4):
                kernel.interrupt()
                time.sleep(0.2)

    began = time.monotonic()
    assert kernel.run("# hangs\nran = True", hanging) == "KeyboardInterrupt"
    assert time.monotonic() - began < SECONDS / 2
    assert kernel.run("assert 'ran' not in dir()") is None
