"""The limits there are. A value is missing (inherit), 0, a number, or unlimited: three different things."""

from dataclasses import dataclass
from typing import Any, Final, Literal

UNLIMITED: Final = "unlimited"

#: A number, no limit at all, or (for queues) the names that are allowed. None stands for "inherit".
Value = int | Literal["unlimited"] | tuple[str, ...] | None


@dataclass(frozen=True)
class Field:
    """One limit: its name everywhere, its unit, and what it means for a person."""

    name: str
    unit: str
    help: str
    is_list: bool = False


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("driver_memory_mb", "MiB", "Driver heap of one kernel."),
        Field("driver_cores", "cores", "Driver cores of one kernel."),
        Field("executors", "executors", "Executors of one kernel."),
        Field("executor_memory_mb", "MiB", "Heap of each executor of one kernel."),
        Field("executor_cores", "cores", "Cores of each executor of one kernel."),
        Field("kernels", "kernels", "Kernels running or starting at the same time."),
        Field("memory_mb", "MiB", "YARN memory of all kernels together, as YARN counts it."),
        Field("cores", "vcores", "YARN vcores of all kernels together."),
        Field("queues", "queues", "Queues that kernels may run in.", is_list=True),
        Field("idle_timeout", "seconds", "Time without work after which a kernel is stopped."),
        Field("lifetime", "seconds", "Time after which a kernel is stopped, busy or not."),
        Field("kernel_definitions", "definitions", "Kernel definitions of one's own."),
        Field("environments_disk_mb", "MiB", "Disk for environments of one's own."),
        Field("server_memory_mb", "MiB", "Memory of the notebook server itself."),
        Field("server_cores", "cores", "Cores of the notebook server itself."),
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
        if isinstance(value, (list, tuple)) and all(isinstance(one, str) and one for one in value):
            return tuple(value)
        raise ValueError(f"Limit '{name}' takes a list of names, '{UNLIMITED}' or None, not {value!r}.")
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(
        f"Limit '{name}' takes a whole number of {field.unit} from 0, '{UNLIMITED}' or None, not {value!r}."
    )
