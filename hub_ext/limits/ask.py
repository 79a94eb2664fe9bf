"""What a decision about a start looks at: what is asked for, and what the owner's kernels hold already."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..sizes import Footprint, KernelSize


@dataclass(frozen=True)
class Held:
    """What a live kernel of the owner holds (MiB, vcores), whether it runs or still starts."""

    kernel_id: str
    kernelspec: str
    memory_mb: int
    cores: int


@dataclass(frozen=True)
class Ask:
    """A kernel that its owner wants to start. A `size` of None is a kernel outside YARN, which holds nothing there."""

    owner: str
    kernelspec: str
    display_name: str
    size: KernelSize | None
    footprint: Footprint
    queue: str | None = None
    #: Its kernelspec names a file of properties: size and queue may be others.
    size_unknown: bool = False


@dataclass(frozen=True)
class Used:
    """What all live kernels of an owner hold together."""

    kernels: int
    memory_mb: int
    cores: int


def used_by(held: Iterable[Held]) -> Used:
    """Add up what kernels hold."""
    kernels = list(held)
    return Used(
        kernels=len(kernels),
        memory_mb=sum(one.memory_mb for one in kernels),
        cores=sum(one.cores for one in kernels),
    )
