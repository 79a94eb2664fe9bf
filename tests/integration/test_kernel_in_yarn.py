"""Kernels on a real ResourceManager, real NodeManagers and a real Enterprise Gateway."""

import base64
import contextlib
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests

from jeg_plugin.remote_kernel_requests import signed

from .yarn_stack import Stack, alive, wait_for

pytestmark = pytest.mark.alone

INTERRUPTS = 20
INTERRUPT_SECONDS = 3.0
STOP_SECONDS = 5.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yarn")
    running = Stack(folder)
    try:
        running.start_all()
        yield running
    finally:
        running.stop_all()


@pytest.fixture(scope="module")
def spark(stack):
    """One Spark kernel of alice, for everything that leaves it usable."""
    kernel = stack.start_kernel("spark_python")
    kernel.run("spark.range(10).count()", timeout=120)
    yield kernel
    kernel.delete()


def test_spark_runs_and_the_application_is_the_users(stack, spark):
    assert spark.run("spark.range(1000).count()") == "1000"
    application_id = spark.run("print(sc.applicationId)").strip()
    assert "a=7" in spark.run("sql('select 7 as a').collect()")
    (application,) = stack.applications(spark.kernel_id)
    assert application["id"] == application_id
    assert application["user"] == "alice"
    assert application["queue"] == "root.notebooks"
    assert application["applicationTags"] == spark.kernel_id
    assert (application["allocatedMB"], application["runningContainers"]) == (2048, 2)


def test_nobody_else_may_end_the_application(stack, spark):
    (application,) = stack.applications(spark.kernel_id)
    url = f"http://127.0.0.1:{stack.ports.rm_web}/ws/v1/cluster/apps/{application['id']}/state"
    for query in ({"user.name": "bob"}, {}):
        assert requests.put(url, params=query, json={"state": "KILLED"}, timeout=10).status_code == 403


def test_cells_of_a_notebook(spark):
    spark.run("df = spark.createDataFrame([(i % 3, i) for i in range(300)], ['k', 'v'])")
    assert spark.run("sorted(map(tuple, df.groupBy('k').sum('v').collect()))") == "[(0, 14850), (1, 14950), (2, 15050)]"
    spark.run("df.createOrReplaceTempView('t')")
    assert spark.run("sql('select max(v) m from t where k = 1').first().m") == "298"
    spark.run("from pyspark.sql.functions import udf\nplus = udf(lambda v: v + 1, 'int')")
    assert spark.run("df.select(plus('v').alias('w')).agg({'w': 'sum'}).first()[0]", 120) == str(sum(range(1, 301)))
    assert spark.run("sc.parallelize(range(100), 4).map(lambda x: x * x).sum()") == str(sum(x * x for x in range(100)))
    assert spark.run("int(df.toPandas().v.sum())") == str(sum(range(300)))


def test_a_plot_is_shown_inline(spark):
    output, error = spark.execute("import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);", 120)
    assert error is None
    (picture,) = [data["image/png"] for data in output.data if "image/png" in data]
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_a_failing_cell_says_so_and_the_kernel_goes_on(spark):
    _, error = spark.execute("1 / 0")
    assert error == "ZeroDivisionError: division by zero"
    _, error = spark.execute("spark.range(3).selectExpr('nothing')")
    assert error is not None
    assert "UNRESOLVED_COLUMN" in error
    assert spark.run("2 + 2") == "4"


def test_the_namespace_is_clean_and_the_environment_has_no_secret(stack, spark):
    names = spark.run("print([n for n in dir() if not n.startswith('_')])")
    assert {"spark", "sc", "sql"} < set(eval(names))  # noqa: S307 - the list that our own kernel printed
    fresh = stack.start_kernel("spark_python", user="bob")
    try:
        names = fresh.run("print([n for n in dir() if not n.startswith('_')])")
        assert names.strip() == "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit', 'sc', 'spark', 'sql']"
        environment = fresh.run("import os\nprint(dict(os.environ))\nprint(open('/proc/self/cmdline').read())")
        assert "NM_HOST" in environment
        assert stack.token not in environment
        assert "EG_" not in environment
    finally:
        fresh.delete()


def test_everything_listens_on_loopback_and_the_kernel_on_its_node(spark):
    pid, node = spark.run("import os; print(os.getpid(), os.environ['NM_HOST'])").split()
    kernel = psutil.Process(int(pid))

    def listening(process):
        return [c.laddr.ip for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]

    addresses = listening(kernel)
    # five channels and the port for the gateway's requests, and nothing else on the node's address
    assert addresses.count(node) == 6
    assert node in ("127.0.0.2", "127.0.0.3")
    driver = kernel.parent()
    assert driver.name() == "java"
    java_addresses = [ip.removeprefix("::ffff:") for ip in listening(driver)]
    assert java_addresses
    assert all(ip.startswith("127.") for ip in addresses + java_addresses)


def interrupted(kernel, code, settle):
    """Run a cell, interrupt it after `settle` seconds, return how long it took to end."""
    message = kernel.send(code)
    kernel.collect(message, started=True)
    time.sleep(settle)
    began = time.monotonic()
    kernel.interrupt()
    output = kernel.collect(message, timeout=30)
    assert output.error is not None
    assert output.error.startswith("KeyboardInterrupt")
    assert "py4j" not in output.stderr
    return time.monotonic() - began


def test_interrupt_of_time_sleep(spark):
    took = [interrupted(spark, "import time; time.sleep(60)", 0.1 + n % 5 * 0.1) for n in range(INTERRUPTS)]
    print(f"time.sleep: {INTERRUPTS} of {INTERRUPTS}, slowest {max(took):.2f} s")
    assert max(took) < INTERRUPT_SECONDS


def test_interrupt_of_a_spark_job(spark):
    spark.run("def slow(x):\n import time\n time.sleep(120)\n return x")
    took = [
        interrupted(spark, "sc.parallelize([1], 1).map(slow).collect()", 0.5 + n % 4 * 0.2) for n in range(INTERRUPTS)
    ]
    print(f"Spark job: {INTERRUPTS} of {INTERRUPTS}, slowest {max(took):.2f} s")
    assert max(took) < INTERRUPT_SECONDS
    assert spark.run("sc.parallelize(range(10), 2).sum()", 30) == "45"
    assert spark.run("len(sc.statusTracker().getActiveJobsIds())") == "0"


def test_an_interrupted_call_to_the_jvm_leaves_the_next_one_alone(spark):
    spark.run("def slow(x):\n import time\n time.sleep(6)\n return x")
    jobs = "len(sc.statusTracker().getJobIdsForGroup())"
    before = int(spark.run(jobs))
    interrupted(spark, "sc._jvm.java.lang.Thread.sleep(3_000)", 0.5)
    # The JVM ends the first call during this one. A call whose connection is closed is made again.
    assert spark.run("sc.parallelize([1], 1).map(slow).collect()", 60) == "[1]"
    assert int(spark.run(jobs)) == before + 1


def request_port(kernel):
    """Find the port for the gateway's requests: the one of the six that begins no ZeroMQ greeting."""
    pid, node = kernel.run("import os; print(os.getpid(), os.environ['NM_HOST'])").split()
    ports = {
        c.laddr.port
        for c in psutil.Process(int(pid)).net_connections("tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr.ip == node
    }
    (port,) = [port for port in ports if not greets((node, port))]
    return node, port


def greets(address):
    with socket.create_connection(address, timeout=2) as connection:
        connection.settimeout(0.5)
        try:
            return bool(connection.recv(10))
        except TimeoutError:
            return False


def test_a_strangers_request_to_the_driver_has_no_effect_and_the_owners_has(stack):
    other = stack.start_kernel("python_yarn", user="bob")
    try:
        address = request_port(other)
        message = other.send("import time\nn = 0\nwhile True:\n time.sleep(0.1)\n n += 1")
        other.collect(message, started=True)
        stranger = signed(b"a key that is not bob's", {"signum": 2})
        for content in (b'{"signum": 2}', b'{"signum": 9}', b'{"shutdown": 1}', b"x" * 100_000, b"{", stranger):
            with socket.create_connection(address, timeout=5) as connection, contextlib.suppress(ConnectionError):
                connection.sendall(content)
        with pytest.raises(TimeoutError):
            other.collect(message, timeout=2)
        other.interrupt()
        output = other.collect(message, timeout=INTERRUPT_SECONDS)
        assert output.error.startswith("KeyboardInterrupt")
        assert int(other.run("n")) > 10
    finally:
        other.delete()


def test_names_that_a_user_takes_while_spark_starts_stay_theirs(stack):
    kernel = stack.start_kernel("spark_python")
    try:
        kernel.run("import numpy\nbefore = type(spark).__name__\nsql = numpy.array([1, 2])")
        assert kernel.run("before") == "'Starting'"
        counted, error = kernel.execute("spark.range(4).count()", 120)
        # Nothing of Spark's own start stands under the cell that waited for it.
        assert (counted.result, counted.stderr, error) == ("4", "", None)
        assert kernel.run("import time; time.sleep(1); print(type(spark).__name__, type(sc).__name__)").strip() == (
            "SparkSession SparkContext"
        )
        assert kernel.run("sql") == "array([1, 2])"
    finally:
        kernel.delete()


def test_interrupt_while_idle_harms_nothing(spark):
    for _ in range(3):
        spark.interrupt()
    assert spark.run("3 + 4") == "7"


def test_restart_gives_a_new_driver(stack):
    kernel = stack.start_kernel("python_yarn")
    kernel.run("mine = 1")
    (before,) = stack.living(kernel.kernel_id)
    kernel.restart()
    kernel.wait_idle()
    _, error = kernel.execute("mine")
    assert error == "NameError: name 'mine' is not defined"
    (after,) = wait_for(lambda: _only(stack.living(kernel.kernel_id)), 10, "the old application ends")
    assert after != before
    for _ in range(2):
        # A notebook server that lost the connection comes back with the same session.
        kernel.close()
        kernel.wait_idle(30)
    kernel.delete()
    assert not stack.living(kernel.kernel_id)


def _only(ids):
    return ids if len(ids) == 1 else None


def test_python_in_yarn_has_no_executors_and_no_spark(stack):
    kernel = stack.start_kernel("python_yarn")
    names = kernel.run("print([n for n in dir() if not n.startswith('_')])")
    assert names.strip() == "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit']"
    (application,) = wait_for(
        lambda: [a for a in stack.applications(kernel.kernel_id) if a["state"] == "RUNNING"], 60, "registration"
    )
    time.sleep(2)
    (application,) = stack.applications(kernel.kernel_id)
    assert (application["runningContainers"], application["allocatedMB"]) == (1, 1024)
    kernel.delete()


def test_an_ended_driver_is_replaced_while_somebody_is_connected_and_forgotten_otherwise(stack):
    kernel = stack.start_kernel("python_yarn")
    (before,) = stack.living(kernel.kernel_id)
    os.kill(int(kernel.run("import os; print(os.getpid())")), signal.SIGKILL)
    (after,) = wait_for(lambda: _other(stack.living(kernel.kernel_id), before), 60, "a new application")
    assert after != before
    # A client reconnects when it hears of the restart, long before the new driver is there.
    kernel.close()
    kernel.wait_idle()
    pid = int(kernel.run("import os; print(os.getpid())"))
    kernel.close()
    model = f"kernels/{kernel.kernel_id}"
    wait_for(lambda: kernel.request("GET", model).json()["connections"] == 0, 30, "its client is gone")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: kernel.request("GET", model).status_code == 404, 30, "it is forgotten")
    assert not stack.living(kernel.kernel_id)


def _other(ids, old):
    return ids if ids and ids != [old] and len(ids) == 1 else None


#: What a kernel is doing when it is stopped: the kernelspec, a cell to leave running, seconds to wait first.
ZOMBIE = "import subprocess, sys\np = subprocess.Popen(['true'])"
CHILD = "import subprocess\np = subprocess.Popen(['sleep', '300'])"
STUBBORN = "import time\nwhile True:\n try:\n  time.sleep(30)\n except KeyboardInterrupt: pass"
STATES = [
    *[("python_yarn", "", 0.0)] * 6,
    *[("python_yarn", "", 1.0 + n) for n in range(4)],
    *[("python_yarn", "import time; time.sleep(300)", 0.2)] * 5,
    *[("python_yarn", "while True: pass", 0.5)] * 4,
    *[("python_yarn", ZOMBIE, 0.5)] * 2,
    ("python_yarn", CHILD, 0.5),
    *[("python_yarn", STUBBORN, 0.5)] * 2,
    *[("spark_python", "", 0.0)] * 2,
    *[("spark_python", "spark.range(10).count()", 0.1)] * 2,
    *[("spark_python", "spark.range(10**12).selectExpr('sum(id % 7)').collect()", 12.0)] * 2,
]


def stopped(stack, spec, code, seconds):
    kernel = stack.start_kernel(spec, timeout=170)
    pid = int(kernel.run("import os; print(os.getpid())"))
    if code:
        kernel.collect(kernel.send(code), started=True)
    time.sleep(seconds)
    took = kernel.delete()
    left = stack.living(kernel.kernel_id)
    wait_for(lambda: not alive(pid), 10, f"the driver of {spec} {code!r} ends")
    return took, left


@pytest.mark.timeout(480)
def test_stop_in_every_state(stack):
    assert len(STATES) == 30
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda state: stopped(stack, *state), STATES))
    times = sorted(took for took, _ in results)
    in_time = sum(seconds < STOP_SECONDS for seconds in times)
    print(f"stop: {in_time} of {len(times)}, median {times[15]:.2f} s, slowest {times[-1]:.2f} s")
    assert times[-1] < STOP_SECONDS
    assert [left for _, left in results] == [[]] * len(STATES)
    # Only the shared kernel's two may be left.
    wait_for(lambda: stack.metrics()["containersAllocated"] in (0, 2), 10, "every container is given back")
