"""The limits there are. A value is missing (inherit), 0, a number, or unlimited: three different things."""

from dataclasses import dataclass
from typing import Any, Final, Literal

UNLIMITED: Final = "unlimited"

#: A number, no limit at all, or (for queues) the names that are allowed. None stands for "inherit".
Value = int | Literal["unlimited"] | tuple[str, ...] | None

#: The largest number: more than any cluster has, and what every database and every calendar can count with.
LARGEST: Final = 2**31 - 1
NAMES_AT_MOST: Final = 100
NAME_LENGTH: Final = 255


@dataclass(frozen=True)
class Field:
    """One limit: its name everywhere, what it is called for people, its unit, and what it means for a person."""

    name: str
    label: str
    unit: str
    help: str
    is_list: bool = False


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("driver_memory_mb", "Driver memory", "MiB", "Driver heap of one kernel."),
        Field("driver_cores", "Driver cores", "cores", "Driver cores of one kernel."),
        Field("executors", "Executors", "executors", "Executors of one kernel."),
        Field("executor_memory_mb", "Executor memory", "MiB", "Heap of each executor of one kernel."),
        Field("executor_cores", "Executor cores", "cores", "Cores of each executor of one kernel."),
        Field("kernels", "Kernels", "kernels", "Kernels running or starting at the same time."),
        Field("memory_mb", "Memory, total", "MiB", "YARN memory of all kernels together, as YARN counts it."),
        Field("cores", "Cores, total", "vcores", "YARN vcores of all kernels together."),
        Field("queues", "Queues", "queues", "Queues that kernels may run in.", is_list=True),
        Field("idle_timeout", "Idle time", "seconds", "Time without work after which a kernel is stopped."),
        Field("lifetime", "Lifetime", "seconds", "Time after which a kernel is stopped, busy or not."),
        Field(
            "kernel_definitions",
            "Kernel definitions",
            "definitions",
            "Kernel definitions of one's own; no effect yet.",
        ),
        Field(
            "environments_disk_mb",
            "Environment disk",
            "MiB",
            "Disk for one's own environments; no effect yet.",
        ),
        Field("server_memory_mb", "Server memory", "MiB", "Memory of the notebook server itself."),
        Field("server_cores", "Server cores", "cores", "Cores of the notebook server itself."),
    )
}


def checked(name: str, value: Any) -> Value:
    """Return `value` as a limit of field `name`.

    Raises
    ------
    ValueError
        With a sentence that names the field and what it takes.
    """
    field = FIELDS.get(name)
    if field is None:
        raise ValueError(f"There is no limit named '{name}'. There are: {', '.join(FIELDS)}.")
    if value is None or value == UNLIMITED:
        return UNLIMITED if value else None
    if field.is_list:
        if isinstance(value, (list, tuple)) and len(value) <= NAMES_AT_MOST and all(map(_is_name, value)):
            return tuple(value)
        raise ValueError(f"Limit '{name}' takes a list of names, '{UNLIMITED}' or None, not {_shown(value)}.")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return value
    raise ValueError(
        f"Limit '{name}' takes a whole number of {field.unit} from 0 to {LARGEST}, '{UNLIMITED}' or None,"
        f" not {_shown(value)}."
    )


def _is_name(one: Any) -> bool:
    return isinstance(one, str) and 0 < len(one) <= NAME_LENGTH and one.isprintable() and one.strip() == one


def _shown(value: Any) -> str:
    """Write a value that nobody expected: short, and in letters that every terminal and database has."""
    if isinstance(value, int) and not -(10**20) < value < 10**20:
        return "such a number"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
