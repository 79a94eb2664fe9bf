"""The files that go into a driver's container: the main program, and its modules, in one file where that was made.

YARN brings each file to a node by itself, one after the other.
"""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

DRIVER = Path(__file__).with_name("driver.py")
#: They go with the driver into its container, where each is a module of its own.
DRIVER_MODULES = tuple(
    Path(__file__).with_name(name)
    for name in (
        "remote_kernel_channel.py",
        "remote_kernel_requests.py",
        "remote_kernel_app.py",
        "remote_kernel_interrupts.py",
        "remote_kernel_spark.py",
    )
)
#: Where the file with all of them is; set by Enterprise Gateway, never by a request.
PACKED = "REMOTE_KERNELS_DRIVER_MODULES"


def packed(folder: str) -> Path:
    """Put the modules into one file and return its path.

    Parameters
    ----------
    folder : str
        Where this account keeps what it needs while it runs.
    """
    own = Path(folder, "remote-kernel-driver").absolute()
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    own.chmod(0o700)
    path = own / "modules.zip"
    # Never half a file, for one that submits meanwhile.
    unfinished = own / f"modules.{os.getpid()}"
    with zipfile.ZipFile(unfinished, "w", strict_timestamps=False) as archive:
        for module in DRIVER_MODULES:
            archive.write(module, module.name)
    return unfinished.replace(path)


def modules_of(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return what Spark puts on the driver's path: the one file, or else each module."""
    path = environ.get(PACKED)
    return (Path(path),) if path and Path(path).is_file() else DRIVER_MODULES
