"""What gateway and Hub tell, as plain data. Times are UTC."""

from dataclasses import dataclass
from datetime import datetime

from hub_ext.errors import PublicError
from hub_ext.kernels import KernelDefinition


@dataclass(frozen=True)
class Catalogue:
    """The kernels that a person may see, and the one that a new notebook gets."""

    default: str
    definitions: tuple[KernelDefinition, ...]

    def find(self, name: str) -> KernelDefinition:
        """Return a kernel by name, or say that there is none."""
        for one in self.definitions:
            if one.name == name:
                return one
        raise PublicError(
            "no-such-kernelspec",
            "There is no such kernel, or it is not shared with you.",
            remedy="See the list of kernels for those that you can use.",
        )

    @property
    def titles(self) -> dict[str, str]:
        """Display names by name."""
        return {one.name: one.display_name for one in self.definitions}


@dataclass(frozen=True)
class RunningKernel:
    """A kernel as the gateway tells it; times are UTC, memory is MiB."""

    id: str
    kernelspec: str
    owner: str
    state: str
    connections: int = 0
    started_at: datetime | None = None
    last_activity: datetime | None = None
    #: Where its start is, in words; empty when it is over. `start_waits` says that it waits for its turn or for room.
    start: str = ""
    start_waits: bool = False
    #: What it holds of its owner's limits, as YARN counts it.
    memory_mb: int = 0
    cores: int = 0
    #: Set once its owner has notice that it is going to be stopped.
    stop_at: datetime | None = None
    stop_reason: str = ""
    #: The limit that stops it: ``idle_timeout`` or ``lifetime``.
    stop_field: str = ""
    #: Until when one that was started in advance waits to be used; None for any other.
    warm_until: datetime | None = None


@dataclass(frozen=True)
class WarmStart:
    """Whether a person's last kernel starts together with their notebook server.

    `policy` is the administrator's: ``never``, ``chosen`` or ``always``. `seconds` is how long one waits to be used.
    """

    policy: str = "never"
    on: bool = False
    kernelspec: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Server:
    """A person's default notebook server. `known` is False when the Hub did not tell."""

    known: bool = False
    running: bool = False
    pending: str = ""
    url: str = ""
