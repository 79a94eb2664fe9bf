"""The main program of a Spark driver in YARN that is a notebook's kernel.

Spark's application master runs it with the kernel's Python. Order matters: everything is imported and the kernel's
sockets are bound before the gateway hears of them; then one thread serves the gateway's requests and one starts
Spark, while the main thread is the kernel.
"""

import argparse
import atexit
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil
import remote_kernel_channel as channel  # type: ignore[import-not-found]  # stands beside this file in the container
import remote_kernel_requests  # type: ignore[import-not-found]  # so does this
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp

log = logging.getLogger("remote_kernel.driver")


class DriverKernel(IPythonKernel):
    """The usual kernel, which does not wait at shutdown for children that have already ended.

    ipykernel counts ended but unreaped children as alive and waits up to half a minute for them.
    """

    implementation = "remote-kernel"

    def _process_children(self) -> list[psutil.Process]:
        return [child for child in super()._process_children() if _runs(child)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class DriverApp(IPKernelApp):
    """Reports the kernel's connection to the gateway in the moment in which others write a connection file."""

    report: Callable[[dict[str, Any]], None]

    def write_connection_file(self, **kwargs: Any) -> None:
        """Send the connection information; the signing key never touches a disk."""
        self.report(
            {
                "ip": self.ip,
                "transport": self.transport,
                "key": self.session.key.decode(),
                "signature_scheme": self.session.signature_scheme,
                "shell_port": self.shell_port,
                "iopub_port": self.iopub_port,
                "stdin_port": self.stdin_port,
                "control_port": self.control_port,
                "hb_port": self.hb_port,
            }
        )


class Spark:
    """Starts Spark in a thread; the names in the notebook wait for it when they are used."""

    def __init__(self, namespace: dict[str, Any], executors: int, visible: bool, without: Sequence[str] = ()) -> None:
        self._namespace = namespace
        self._executors = executors
        self._without = without
        self._session: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._start, name="spark-start", daemon=True)
        waiting = {"spark": Starting(self, "spark"), "sc": Starting(self, "sc"), "sql": self._sql}
        self._placeholders: dict[str, Any] = waiting if visible else {}
        namespace.update(self._placeholders)

    def start(self) -> None:
        """Begin to start Spark."""
        self._thread.start()

    def wait(self) -> Any:
        """Wait until Spark runs and return the session. Can be interrupted."""
        self._thread.join()
        if self._error is not None:
            raise RuntimeError("Spark could not be started in this kernel.") from self._error
        return self._session

    def cancel_jobs(self) -> None:
        """Cancel every running job, from any thread but the main one, whose connection to the JVM is busy."""
        if self._session is None:
            return
        try:
            self._session.sparkContext.cancelAllJobs()
        except Exception as error:  # the JVM may be going away; the interrupt itself is already delivered
            log.warning("Running Spark jobs could not be cancelled: %s", error)

    def _start(self) -> None:
        from pyspark import SparkContext
        from pyspark.sql import SparkSession

        try:
            SparkContext._ensure_initialized()
            SparkContext._gateway._gateway_client.deque = ThreadConnections()
            for name in self._without:
                # A site's default for all applications, which was not counted for this one.
                SparkContext._jvm.java.lang.System.clearProperty(name)
            # Without executors there is no other place to say so: the submission client refuses zero.
            builder = SparkSession.builder.config("spark.executor.instances", str(self._executors))
            session = builder.getOrCreate()
        except BaseException as error:
            self._error = error
            log.exception("Spark could not be started.")
            return
        self._session = session
        log.info("Spark is ready: application=%s", session.sparkContext.applicationId)
        self._publish({"spark": session, "sc": session.sparkContext, "sql": session.sql})

    def _publish(self, values: Mapping[str, Any]) -> None:
        """Put the real ones in place of the placeholders that are still there."""
        for name, placeholder in self._placeholders.items():
            # A name that the user has taken for something else by now stays theirs. That may be a table or an array,
            # which is not to be compared by value.
            if self._namespace.get(name) is placeholder:
                self._namespace[name] = values[name]

    def _sql(self, *args: Any, **kwargs: Any) -> Any:
        """Run a query with Spark SQL, like ``spark.sql``."""
        return self.wait().sql(*args, **kwargs)


class ThreadConnections(threading.local):
    """py4j's store of connections to the JVM, so that each thread sees its own.

    When a call is interrupted, py4j closes every stored connection whose far end is the JVM, which all are: also
    those in use by other threads, such as the one that cancels the jobs just then.
    """

    def __init__(self) -> None:
        self._connections: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self._connections)

    def __getattr__(self, method: str) -> Any:
        return getattr(self._connections, method)


class Starting:
    """Stands for ``spark`` or ``sc`` until Spark runs: using it waits."""

    def __init__(self, spark: Spark, name: str) -> None:
        self.__spark = spark
        self.__name = name

    def __getattr__(self, attribute: str) -> Any:
        # Questions of displays and of pickle are not uses.
        if attribute.startswith(("__", "_repr_", "_ipython_")):
            raise AttributeError(attribute)
        session = self.__spark.wait()
        return getattr(session if self.__name == "spark" else session.sparkContext, attribute)

    def __repr__(self) -> str:
        return f"<{self.__name}: Spark is starting>"


def parsed() -> argparse.Namespace:
    """Return the arguments that the launcher gave."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--executors", type=int, required=True)
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--request-id", default="-")
    parser.add_argument("--user", default="-")
    for name in ("type", "kernel-id", "response-address", "public-key", "port-range"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


class WithoutPy4j(logging.Filter):
    """Drops what py4j writes to the root logger: a stack trace of its own for every interrupted call to the JVM."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether to keep the record."""
        return f"{os.sep}py4j{os.sep}" not in record.pathname


def prepare_process(story: str) -> None:
    """Keep what the kernel writes inside its container, and its log out of the notebook."""
    # The kernel shows what arrives at the standard streams in the notebook; the container's log is the original one.
    container_log = open(os.dup(2), "w", buffering=1)  # noqa: SIM115 - lives as long as the process
    handler = logging.StreamHandler(container_log)
    # As the services write it, so that one search over all logs finds what belongs to a kernel.
    layout = f"[%(levelname)1.1s %(asctime)s.%(msecs)03d %(name)s] %(message)s {story}"
    handler.setFormatter(logging.Formatter(layout, "%Y-%m-%d %H:%M:%S"))
    ours = logging.getLogger("remote_kernel")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
    logging.getLogger().addFilter(WithoutPy4j())
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    os.environ["IPYTHONDIR"] = os.path.join(os.getcwd(), ".ipython")


def main() -> None:
    """Run the kernel until it is shut down."""
    arguments = parsed()
    prepare_process(f"kernel={arguments.kernel_id} user={arguments.user} request={arguments.request_id}")
    log.info("Driver runs: container=%s", os.environ.get("CONTAINER_ID", "-"))
    address = channel.own_address(arguments.response_address, os.environ)
    ports = channel.choose_ports(address, arguments.port_range, 6)
    spark: Spark | None = None

    def cancel_jobs() -> None:
        if spark is not None:
            spark.cancel_jobs()

    requests = remote_kernel_requests.Requests(address, ports[5], on_interrupt=cancel_jobs)

    def report(connection: dict[str, Any]) -> None:
        process = {"pid": os.getpid(), "pgid": os.getpgrp(), "comm_port": requests.port}
        info = {**connection, **process, "kernel_id": arguments.kernel_id, "kernel_name": ""}
        channel.report(arguments.response_address, arguments.public_key, info)
        requests.start(connection["key"].encode())
        log.info("Driver connected to Enterprise Gateway:")

    app = DriverApp.instance(
        kernel_class=DriverKernel,
        ip=address,
        shell_port=ports[0],
        iopub_port=ports[1],
        stdin_port=ports[2],
        control_port=ports[3],
        hb_port=ports[4],
        # The kernel ends when the application master does.
        parent_handle=os.getppid(),
    )
    app.report = report
    # Nodes may share one home folder: nobody's input goes into a history file there.
    app.config.HistoryManager.enabled = False
    app.initialize([])
    # YARN ends an application master that starts no Spark, so a kernel without executors starts it too, unseen.
    namespace = app.kernel.shell.user_ns
    spark = Spark(namespace, arguments.executors, visible=arguments.type == "spark-python", without=arguments.without)
    spark.start()
    app.start()
    log.info("Driver ends:")
    leave()


def leave() -> None:
    """End the process as the interpreter would, without taking the interpreter down.

    That could wait for the JVM, which may be in the midst of starting Spark. Spark itself is stopped by the
    application master when this process has ended.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
