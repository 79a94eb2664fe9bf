"""ResourceManager, two NodeManagers and Enterprise Gateway as child processes of a test module, without a Hub."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from hub_ext.embedded import hadoop, kernelspecs
from hub_ext.embedded.layout import LOOPBACK, Layout, Ports

from .kernel_client import KernelClient

ROOT = Path(__file__).resolve().parents[2]
ENDED = {"FINISHED", "FAILED", "KILLED"}


def wait_for(question: Callable[[], Any], seconds: float, what: str) -> Any:
    """Ask until the answer is true and return it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Stack:
    """The processes, started with what `hub_ext.embedded.hadoop` says."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(ROOT, folder)
        self.ports = Ports.choose(0)
        self.token = secrets.token_hex(16)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.layout.run.mkdir(parents=True)
        hadoop.write_configuration(self.layout, self.ports, 6144)
        kernelspecs.write_kernelspecs(self.layout)

    # -- processes -------------------------------------------------------------------------------

    def start_all(self) -> None:
        """Start everything and wait until it answers."""
        self.start_yarn()
        self.start_gateway()

    def start_yarn(self) -> None:
        """Start YARN and wait for both nodes."""
        for name in hadoop.java_processes(self.layout, self.ports):
            self.start_java(name)
        wait_for(lambda: self.metrics().get("activeNodes") == 2, 90, "two nodes")

    def start_java(self, name: str) -> None:
        """Start one of YARN's processes."""
        argv = hadoop.java_processes(self.layout, self.ports)[name]
        self._start(name, argv, hadoop.java_environment(self.layout))

    def start_gateway(self, cull_idle_seconds: int = 0, **environment: str) -> None:
        """Start Enterprise Gateway and wait until it answers."""
        argv = hadoop.enterprise_gateway_command(self.layout, self.ports, cull_idle_seconds)
        base = hadoop.enterprise_gateway_environment(self.layout, self.ports)
        self._start("gateway", argv, {**base, "EG_AUTH_TOKEN": self.token, **environment})
        wait_for(self._gateway_answers, 30, "Enterprise Gateway")

    def _gateway_answers(self) -> bool:
        try:
            return self.client().request("GET", "kernelspecs", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def _start(self, name: str, argv: list[str], environment: dict[str, str]) -> None:
        with (self.layout.logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                argv,
                env=environment,
                cwd=self.layout.platform,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, name: str, number: int = signal.SIGTERM, seconds: float = 30) -> None:
        """Signal one process and wait for its end."""
        process = self._processes.pop(name)
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise

    def stop_all(self) -> None:
        """Stop the gateway, then YARN, in whatever state each of them is."""
        for name in sorted(self._processes, key=lambda one: (one != "gateway", one)):
            self.stop(name)

    def log(self, name: str) -> str:
        """Return what a process has logged."""
        return (self.layout.logs / f"{name}.log").read_text(errors="replace")

    # -- questions -------------------------------------------------------------------------------

    def client(self) -> KernelClient:
        """Return a new client of the gateway."""
        address = f"http://{LOOPBACK}:{self.ports.enterprise_gateway}"
        return KernelClient(address, {"Authorization": f"token {self.token}"})

    def start_kernel(self, name: str, user: str = "alice", timeout: int = 90) -> KernelClient:
        """Start a kernel and wait until it answers."""
        client = self.client()
        client.start(name, {"KERNEL_USERNAME": user, "KERNEL_LAUNCH_TIMEOUT": str(timeout)})
        client.wait_idle()
        return client

    def failure(self, name: str, env: dict[str, str] | None = None, timeout: int = 60) -> tuple[int, str, str]:
        """Start a kernel that can't start; return status, code and text of the answer."""
        env = {"KERNEL_USERNAME": "alice", "KERNEL_LAUNCH_TIMEOUT": str(timeout), **(env or {})}
        answer = self.client().request("POST", "kernels", json={"name": name, "env": env})
        assert answer.status_code >= 400, "the kernel started"
        return answer.status_code, answer.json()["reason"], answer.json()["message"]

    def rm(self, path: str, user: str | None = None) -> dict[str, Any]:
        """Ask the ResourceManager, by default as the one who runs it."""
        url = f"http://{LOOPBACK}:{self.ports.rm_web}/ws/v1/cluster/{path}"
        query = {"user.name": user or hadoop.service_user()}
        answer = requests.get(url, params=query, timeout=10)
        answer.raise_for_status()
        return dict(answer.json())

    def metrics(self) -> dict[str, Any]:
        """Return the cluster's metrics, empty while the ResourceManager doesn't answer."""
        try:
            return dict(self.rm("metrics")["clusterMetrics"])
        except requests.RequestException:
            return {}

    def applications(self, kernel_id: str = "") -> list[dict[str, Any]]:
        """Return applications, oldest first: all, or those with the tag."""
        found = self.rm(f"apps?applicationTags={kernel_id}" if kernel_id else "apps")
        return sorted((found["apps"] or {}).get("app", []), key=lambda app: str(app["id"]))

    def living(self, kernel_id: str = "") -> list[str]:
        """Return the ids of applications that have not ended."""
        return [app["id"] for app in self.applications(kernel_id) if app["state"] not in ENDED]

    # -- kernelspecs -----------------------------------------------------------------------------

    def add_kernelspec(self, name: str, argv: list[str] | None = None, **changes: Any) -> None:
        """Add a variant of "Python in YARN" with other values in its block."""
        folder = self.layout.kernelspecs / "kernels"
        spec = json.loads((folder / "python_yarn" / "kernel.json").read_text())
        spec["metadata"]["remote_kernel"].update(changes)
        spec["argv"] = argv or spec["argv"]
        (folder / name).mkdir()
        (folder / name / "kernel.json").write_text(json.dumps(spec))


class Forwarder:
    """A way to a port of this machine that exists only within a ``with`` block."""

    def __init__(self, target: int, port: int = 0) -> None:
        self._target = target
        self._server = socket.create_server((LOOPBACK, port))
        self.port: int = self._server.getsockname()[1]

    def __enter__(self) -> "Forwarder":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread that waits for a caller.
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._server.accept()
                called = socket.create_connection((LOOPBACK, self._target))
                for pair in ((caller, called), (called, caller)):
                    threading.Thread(target=_copy, args=pair, daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


def alive(pid: int) -> bool:
    """Say whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
