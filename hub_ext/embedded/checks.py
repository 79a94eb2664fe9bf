"""What a machine must have before the platform can be prepared, and the command that brings each missing thing.

Only the standard library: this runs on the system's Python, before anything is installed.
"""

from dataclasses import dataclass

#: Java versions that Hadoop 3.5 and Spark 4 are released for.
JAVA_VERSIONS = (17, 21)
#: Enterprise Gateway 3.3 installs on 3.10 and 3.11 only, Spark 4.3 needs at least 3.11.
COMPANION_PYTHON = (3, 11)
PYTHON_AT_LEAST = (3, 10)
NODE_AT_LEAST = 20
#: Free memory for the platform at rest, one notebook server and one kernel with one executor.
MEMORY_NEEDED_MB = 3584
#: Free disk for the tools and for the download caches beside them.
DISK_NEEDED_MB = 6144
DISK_NEEDED_FOR_UNIT_MB = 1536

_NODE_FIX = "sudo apt-get install -y nodejs npm   # if that gives less than 20: sudo npm install -g n && sudo n 22"


@dataclass(frozen=True)
class Machine:
    """What was found on this machine; ``None`` where a program is missing or does not run.

    Attributes
    ----------
    java, node
        Major versions.
    memory_available_mb
        What the system can still give away without swapping, or what is left of the control group's limit if
        that is less.
    disk_free_mb
        Free space, in MiB, where the tools are put.
    is_root
        Whether missing system packages may be installed without asking.
    """

    system: str
    python: tuple[int, int]
    has_venv: bool
    java: int | None
    has_maven: bool
    node: int | None
    has_npm: bool
    has_setpriv: bool
    browser: str | None
    is_root: bool
    memory_available_mb: int
    disk_free_mb: int


@dataclass(frozen=True)
class Problem:
    """One thing that is missing, in words, and what to do about it."""

    text: str
    fix: str


def problems(machine: Machine, purpose: str) -> list[Problem]:
    """Return everything that stands in the way, so that one reading is enough.

    Parameters
    ----------
    machine
        What was found.
    purpose
        ``"unit"`` (Python only), ``"demo"`` or ``"test"``.
    """
    found = [*_python_problems(machine)]
    if purpose != "unit":
        found += [*_java_problems(machine), *_node_problems(machine), *_system_problems(machine)]
    if purpose == "test" and machine.browser is None and not machine.is_root:
        text = "No Chromium was found: the browser tests need one."
        found.append(Problem(text, "sudo apt-get install -y chromium"))
    return found + _room_problems(machine, purpose)


def _python_problems(machine: Machine) -> list[Problem]:
    found = []
    if machine.python < PYTHON_AT_LEAST:
        text = f"Python {_dotted(PYTHON_AT_LEAST)} or newer is needed; python3 is {_dotted(machine.python)}."
        found.append(Problem(text, "sudo apt-get install -y python3.11 python3.11-venv"))
    if not machine.has_venv:
        text = "This Python cannot make virtual environments (its venv module is missing)."
        found.append(Problem(text, "sudo apt-get install -y python3-venv"))
    return found


def _java_problems(machine: Machine) -> list[Problem]:
    found = []
    wanted = " or ".join(str(version) for version in JAVA_VERSIONS)
    fix = f"sudo apt-get install -y openjdk-{JAVA_VERSIONS[0]}-jdk-headless"
    if machine.java is None:
        found.append(Problem(f"No Java was found: Hadoop and Spark need Java {wanted}.", fix))
    elif machine.java not in JAVA_VERSIONS:
        text = f"Java {wanted} is needed; this machine's is {machine.java}."
        found.append(Problem(text, f"{fix}   # then set JAVA_HOME to it"))
    if not machine.has_maven:
        found.append(Problem("No Maven (mvn) was found: it fetches Hadoop.", "sudo apt-get install -y maven"))
    return found


def _node_problems(machine: Machine) -> list[Problem]:
    if machine.node is None:
        return [Problem(f"No Node was found: the Hub's proxy needs Node {NODE_AT_LEAST} or newer.", _NODE_FIX)]
    if machine.node < NODE_AT_LEAST:
        text = f"Node {NODE_AT_LEAST} or newer is needed for the Hub's proxy; this machine's is {machine.node}."
        return [Problem(text, _NODE_FIX)]
    if not machine.has_npm:
        return [Problem("No npm was found: it fetches the Hub's proxy.", "sudo apt-get install -y npm")]
    return []


def _system_problems(machine: Machine) -> list[Problem]:
    found = []
    if machine.system != "Linux":
        text = f"The platform runs on Linux; this is {machine.system}."
        found.append(Problem(text, "use a Debian or Ubuntu machine or virtual machine"))
    if not machine.has_setpriv:
        text = "No setpriv was found: it ends every part when its supervisor dies."
        found.append(Problem(text, "sudo apt-get install -y util-linux"))
    return found


def _room_problems(machine: Machine, purpose: str) -> list[Problem]:
    found = []
    if purpose != "unit" and machine.memory_available_mb < MEMORY_NEEDED_MB:
        found.append(memory_problem(machine.memory_available_mb))
    disk = DISK_NEEDED_FOR_UNIT_MB if purpose == "unit" else DISK_NEEDED_MB
    if machine.disk_free_mb < disk:
        text = f"About {disk} MB of disk are needed here; {machine.disk_free_mb} MB are free."
        found.append(Problem(text, "free some space on this disk, or move this folder to a larger one"))
    return found


def memory_problem(available_mb: int) -> Problem:
    """Return the sentence for a machine with too little free memory."""
    text = f"The platform needs {MEMORY_NEEDED_MB} MB of free memory; this machine has {available_mb} MB free."
    return Problem(text, "end other programs, or use a machine with at least 8 GB")


def node_memory_mb(available_mb: int) -> int:
    """Return what each NodeManager may give away: half as much on machines with less than 16 GB free."""
    return 6144 if available_mb >= 16 * 1024 else 3072


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
