"""Looks at this machine for `checks`. Only the standard library, as there."""

import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from hub_ext.embedded.checks import COMPANION_PYTHON, Machine

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_CGROUP = Path("/sys/fs/cgroup")


def probe(folder: Path) -> Machine:
    """Return what this machine has; nothing is installed or changed."""
    return Machine(
        system=platform.system(),
        python=sys.version_info[:2],
        has_venv=find_spec("venv") is not None and find_spec("ensurepip") is not None,
        java=major_version(output_of(java_program(), "-version")),
        has_maven=shutil.which("mvn") is not None,
        node=major_version(output_of("node", "--version")),
        has_npm=shutil.which("npm") is not None,
        has_setpriv=shutil.which("setpriv") is not None,
        browser=next(filter(None, map(shutil.which, BROWSERS)), None),
        is_root=os.geteuid() == 0,
        memory_available_mb=memory_available_mb(),
        disk_free_mb=shutil.disk_usage(folder).free // 2**20,
    )


def java_program() -> str:
    """Return the java that the platform uses: JAVA_HOME's if there is one, else the one on PATH."""
    in_home = Path(os.environ.get("JAVA_HOME") or "/nonexistent", "bin", "java")
    return str(in_home) if in_home.exists() else "java"


def companion_python() -> str | None:
    """Return a Python 3.11 of this machine that really runs (a version manager's shim may not)."""
    wanted = ".".join(map(str, COMPANION_PYTHON))
    for candidate in (sys.executable, f"python{wanted}"):
        if output_of(candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip() == wanted:
            return candidate
    return None


def output_of(program: str, *arguments: str) -> str:
    """Return what a short command prints on either stream; empty if it is missing, fails or hangs."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        # An argument list of this module's own; no shell.
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=30)  # noqa: S603 (see above)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr if done.returncode == 0 else ""


def major_version(text: str) -> int | None:
    """Return the major version in the output of ``java -version`` or ``node --version``; 1.8 counts as 8."""
    match = re.search(r'(?:version "|^v)(?:1\.)?(\d+)', text, re.MULTILINE)
    return int(match[1]) if match else None


def memory_available_mb() -> int:
    """Return MiB that programs can still take, within the limit of this process's control group."""
    system = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    available = int(system[1]) // 1024 if system else 0
    return min(available, left_in_cgroup_mb(_CGROUP) or available)


def left_in_cgroup_mb(cgroup: Path) -> int | None:
    """Return what is left of a version 2 memory limit, or None without one.

    The limit that counts for a container is mounted at the root of its own view.
    """
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        cached = re.search(r"^inactive_file (\d+)", (cgroup / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    return (int(limit) - used + (int(cached[1]) if cached else 0)) // 2**20
