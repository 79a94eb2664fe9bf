"""The main program of a Spark driver in YARN that is a notebook's kernel.

Spark's application master runs it with the kernel's Python. Order matters: what Spark needs is imported first, by the
main thread alone, and a thread begins to start Spark while the main thread imports the rest. The kernel's sockets
are bound before the gateway hears of them; then one more thread serves the gateway's requests.
"""

import argparse
import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import remote_kernel_channel as channel  # type: ignore[import-not-found]  # stands beside this file in the container
import remote_kernel_requests  # type: ignore[import-not-found]  # so does this
from remote_kernel_spark import Spark  # type: ignore[import-not-found]  # and this

log = logging.getLogger("remote_kernel.driver")


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
    gateway = Gateway(arguments)
    # YARN ends an application master that starts no Spark, so a kernel without executors starts it too, unseen.
    spark = Spark(arguments.executors, arguments.type == "spark-python", arguments.without, gateway.tell_spark_is_ready)
    requests = remote_kernel_requests.Requests(address, ports[5], on_interrupt=spark.cancel_jobs)
    try:
        spark.start()
        run_kernel(arguments, spark, gateway, requests, address, ports)
    except BaseException:
        log.exception("The driver failed.")
        # Not the usual way out, which could wait for a Spark that is just starting.
        leave(1)
    log.info("Driver ends:")
    leave(0)


def run_kernel(
    arguments: argparse.Namespace,
    spark: Spark,
    gateway: "Gateway",
    requests: remote_kernel_requests.Requests,
    address: str,
    ports: Sequence[int],
) -> None:
    """Make the kernel, report it and serve it."""
    from remote_kernel_app import DriverApp, DriverKernel, end_with  # type: ignore[import-not-found]  # stands beside this file

    def report(connection: dict[str, Any]) -> None:
        gateway.report({**connection, "comm_port": requests.port})
        requests.start(connection["key"].encode())
        log.info("Driver connected to Enterprise Gateway:")

    end_with(os.getppid())
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
    spark.attach(app.kernel.shell.user_ns)
    app.start()


class Gateway:
    """What the driver tells Enterprise Gateway: where it is, and later that Spark is ready."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._began = time.monotonic()
        self._key = b""
        self._reported = threading.Event()

    def report(self, connection: dict[str, Any]) -> None:
        """Send the connection information and for how long this process runs."""
        process = {"pid": os.getpid(), "pgid": os.getpgrp(), "driver_seconds": time.monotonic() - self._began}
        info = {**connection, **process, "kernel_id": self._arguments.kernel_id, "kernel_name": ""}
        channel.report(self._arguments.response_address, self._arguments.public_key, info)
        self._key = connection["key"].encode()
        self._reported.set()

    def tell_spark_is_ready(self) -> None:
        """Send that, after the report; whoever doesn't hear it only lacks a time."""
        self._reported.wait()
        message = remote_kernel_requests.signed(
            self._key, {"kernel_id": self._arguments.kernel_id, "spark_ready": 1}, remote_kernel_requests.FROM_DRIVER
        )
        try:
            channel.send(self._arguments.response_address, message)
        except OSError as error:
            log.warning("Enterprise Gateway was not told that Spark is ready: %s", error)


def leave(status: int) -> None:
    """End the process as the interpreter would, without taking the interpreter down.

    That could wait for the JVM, which may be in the midst of starting Spark. Spark itself is stopped by the
    application master when this process has ended.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
