"""Processes below this one: adopts orphans, reaps the dead, ends what is left; and who holds a port."""

import ctypes
import os
import socket
import time
from collections.abc import Callable

import psutil

from .layout import LOOPBACK

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent dies (prctl(2)).

    Without it, what a killed part leaves behind would go to process 1 and out of sight.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this system cannot adopt orphaned processes")


def reap(except_pid: int) -> None:
    """Take the exit status of every ended child but the one that somebody else waits for."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid == except_pid:
            return
        os.waitpid(ended.si_pid, 0)


def descendants() -> list[psutil.Process]:
    """Return every living process below this one; zombies do not count."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def end_descendants(patience: float, is_hurried: Callable[[], bool]) -> int:
    """Ask everything below this process to end, then make it; return how many had to be asked.

    Parameters
    ----------
    patience
        Seconds between asking (SIGTERM) and ending (SIGKILL).
    is_hurried
        Cuts the patience short when it becomes true.
    """
    asked = descendants()
    for process in asked:
        _signal(process.terminate)
    deadline = time.monotonic() + patience
    while descendants() and time.monotonic() < deadline and not is_hurried():
        reap(0)
        time.sleep(0.05)
    deadline = time.monotonic() + 10
    # Whoever is killed may leave children that were adopted meanwhile: until nobody is left.
    while (left := descendants()) and time.monotonic() < deadline:
        for process in left:
            _signal(process.kill)
        reap(0)
        time.sleep(0.05)
    reap(0)
    return len(asked)


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return


def port_problem(port: int, variable: str = "PORT") -> str | None:
    """Return the sentence for a port that cannot be listened on, or None."""
    with socket.socket() as probe:
        # As servers do: connections that only wait out their end do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError:
            return f"Port {port} may not be used by this account. Choose another: {variable}=8000 make demo"
        except OSError:
            return f"Port {port} is taken{holder(port)}. Choose another: {variable}={port + 1} make demo"
    return None


def holder(port: int) -> str:
    """Return " by NAME (process PID)" if this account may see who listens there, else nothing."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return ""
    for each in connections:
        # An address is a pair of host and port; sockets without one have an empty tuple.
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr[1] == port and each.pid:
            try:
                return f" by {psutil.Process(each.pid).name()} (process {each.pid})"
            except psutil.NoSuchProcess:
                continue
    return ""
