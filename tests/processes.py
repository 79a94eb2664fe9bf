"""The running platform's processes, as tests look at them: which there are, what they keep, how they grow."""

import threading
from contextlib import contextmanager

import psutil

MB = 1024 * 1024
#: Seconds between two looks at a process; a body of 100 MB is through in 0.1 s.
INTERVAL_S = 0.02
SECRET_VARIABLES = {"JUPYTERHUB_API_TOKEN", "CONFIGPROXY_AUTH_TOKEN"}


def matching(platform, wanted):
    """Return the platform's processes for which `wanted` is true; one that ends meanwhile is none."""
    found = []
    for process in psutil.Process(platform.process.pid).children(recursive=True):
        try:
            if wanted(process):
                found.append(process)
        except psutil.Error:
            continue
    return found


def service_process(platform, words):
    """Return the process of a part, by a word of its command."""
    found = matching(platform, lambda one: any(words in part for part in one.cmdline()) and "setpriv" not in one.name())
    assert found, f"no process of {words}"
    return found[0]


def server_process(platform, name):
    """Return the process of somebody's notebook server, or None."""

    def is_theirs(one):
        return one.environ().get("JUPYTERHUB_USER") == name and "jupyterhub-singleuser" in " ".join(one.cmdline())

    return next(iter(matching(platform, is_theirs)), None)


def of_kernel(platform, kernel_id):
    """Return the command lines of a kernel's processes: its launcher, its driver, YARN's shell around it."""
    commands = []
    for one in matching(platform, lambda one: any(kernel_id in part for part in one.cmdline())):
        try:
            commands.append(f"{one.pid} {' '.join(one.cmdline())[:300]}")
        except psutil.Error:
            continue
    return commands


def driver_processes(platform):
    """Return the drivers, whichever kernel they belong to."""
    return {one.pid for one in matching(platform, lambda one: any("--kernel-id" in part for part in one.cmdline()))}


def secrets_of(platform):
    """Return every secret there is: the platform's, its services', its notebook servers', its people's."""
    found = {path.read_text().strip() for path in (platform.folder / "run").glob("*token*")}
    found.update(token for person in platform.people.values() for token in person.tokens)
    for process in matching(platform, lambda one: True):
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        found.update(value for name, value in environment.items() if name in SECRET_VARIABLES)
    return {secret for secret in found if len(secret) > 15}


@contextmanager
def suspended(process):
    """Let a process hang."""
    process.suspend()
    try:
        yield process
    finally:
        process.resume()


class PeakMemory:
    """Resident memory of a process while a block runs, sampled every `INTERVAL_S`.

    Attributes
    ----------
    growth : int
        Bytes between the block's beginning and the peak.
    samples : int
        How often it was looked at.
    """

    def __init__(self, process):
        self._process = process
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._start = self._peak = 0
        self.samples = 0

    @property
    def growth(self):
        return self._peak - self._start

    def __enter__(self):
        self._start = self._peak = self._process.memory_info().rss
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _watch(self):
        while not self._done.wait(INTERVAL_S):
            self._peak = max(self._peak, self._process.memory_info().rss)
            self.samples += 1
