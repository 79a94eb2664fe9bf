"""What the one who asks for a kernel has counted: sent along with the start, kept for every restart (pure).

It comes in variables of the kernel, which only the gateway may set. Without them a kernel starts as its kernel.json
says; that is so for other clients of Enterprise Gateway.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace

from .definition import Definition, DefinitionError, Size

DIGEST = "KERNEL_DEFINITION_DIGEST"
DRIVER_OVERHEAD = "KERNEL_DRIVER_OVERHEAD_MB"
EXECUTOR_OVERHEAD = "KERNEL_EXECUTOR_OVERHEAD_MB"
#: Spark's own rule for the memory beside a heap.
OVERHEAD_FACTOR = 0.10
MINIMUM_OVERHEAD_MB = 384
CHANGED = "The kernel's definition was changed since it was started: start a new kernel."


class DefinitionChangedError(DefinitionError):
    """kernel.json asks for something else than what was counted."""


def digest_of(definition: Definition) -> str:
    """Return what two definitions have in common that ask the same of YARN: type, size and queue."""
    asked = {"type": definition.type, "size": asdict(definition.size), "queue": definition.queue}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def as_counted(definition: Definition, environ: Mapping[str, str]) -> Definition:
    """Return the definition with the memory beside each heap as a number, so that no site's defaults can change it.

    Raises
    ------
    DefinitionChangedError
        It isn't the definition that was counted.
    """
    check(definition, environ)
    size = definition.size
    sized = replace(
        size,
        driver_overhead_mb=_overhead(size.driver_overhead_mb, environ.get(DRIVER_OVERHEAD)),
        executor_overhead_mb=_overhead(size.executor_overhead_mb, environ.get(EXECUTOR_OVERHEAD)),
    )
    return replace(definition, size=with_overheads(sized))


def check(definition: Definition, environ: Mapping[str, str]) -> None:
    """Raise `DefinitionChangedError` unless it is the definition that was counted, or none was."""
    counted = environ.get(DIGEST)
    if counted is not None and counted != digest_of(definition):
        raise DefinitionChangedError(CHANGED)


def with_overheads(size: Size) -> Size:
    """Fill in what Spark's own rule gives where nothing is said."""
    factor = OVERHEAD_FACTOR if size.overhead_factor is None else size.overhead_factor

    def rule(given: int | None, heap_mb: int) -> int:
        return max(int(factor * heap_mb), MINIMUM_OVERHEAD_MB) if given is None else given

    return replace(
        size,
        driver_overhead_mb=rule(size.driver_overhead_mb, size.driver_memory_mb),
        executor_overhead_mb=rule(size.executor_overhead_mb, size.executor_memory_mb),
    )


def _overhead(own: int | None, counted: str | None) -> int | None:
    if own is not None or counted is None:
        return own
    if not counted.isascii() or not counted.isdigit() or len(counted) > 9:
        raise DefinitionError("the memory beside the heap that was counted is not a number")
    return int(counted)
