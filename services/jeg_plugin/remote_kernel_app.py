"""The kernel itself, and how it tells where it is.

This file goes into the container beside ``driver.py``, which imports it when Spark is already starting.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import remote_kernel_interrupts as interrupts  # type: ignore[import-not-found]  # stands beside this file in the container
from ipykernel.kernelapp import IPKernelApp


class DriverKernel(interrupts.InterruptibleKernel):
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

    def init_signal(self) -> None:
        """Let interrupts do nothing until a cell runs."""
        signal.signal(signal.SIGINT, interrupts.ignore)

    def write_connection_file(self, **kwargs: Any) -> None:
        """Send the connection information; the signing key never touches a disk."""
        # From now on the gateway may send an interrupt.
        self.init_signal()
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


def end_with(parent: int) -> None:
    """End this process when its parent has ended, whoever takes it over then; ipykernel notices process 1 alone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
