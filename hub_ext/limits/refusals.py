"""What a person reads when a start is against their own limits: what was asked, the limit, what is used, what works."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..cluster import queue_path
from ..errors import PublicError
from ..sizes import UNBOUNDED_EXECUTORS, exact_mb
from .ask import Ask, Held
from .fields import FIELDS, UNLIMITED
from .resolve import ResolvedLimit
from .words import source_words

ASK_FOR_MORE = "ask for more on the My limits page"
NAMED_KERNELS = 5
#: Fields of one kernel: what it is called in a sentence.
PARTS = {
    "driver_memory_mb": "Driver memory",
    "driver_cores": "Driver cores",
    "executors": "Executors",
    "executor_memory_mb": "Memory of each executor",
    "executor_cores": "Cores of each executor",
}


@dataclass(frozen=True)
class Offence:
    """A limit that does not hold: `used` and `asked` together are more than `most`."""

    field: str
    asked: int
    most: int
    used: int
    limit: ResolvedLimit

    @property
    def free(self) -> int:
        """What is left of the limit."""
        return max(0, self.most - self.used)


def amount(field: str, value: int) -> str:
    """Write a number of a field with its unit, exactly: ``2.0 GB``, ``3 cores``, ``1 kernel``."""
    unit = FIELDS[field].unit
    if unit == "MiB":
        return exact_mb(value)
    return f"{value} {unit.removesuffix('s') if value == 1 else unit}"


def shape_words(ask: Ask) -> str:
    """Say of which containers a kernel consists, as YARN counts them."""
    total = ask.footprint
    if not total.executors:
        return f"a driver of {exact_mb(total.driver_mb)}"
    if ask.size and ask.size.unbounded:
        return f"a driver of {exact_mb(total.driver_mb)} and any number of executors of {exact_mb(total.executor_mb)}"
    up_to = "up to " if ask.size and ask.size.executors_max is not None else ""
    executors = f"{up_to}{total.executors} executors of {exact_mb(total.executor_mb)} each"
    if total.executors == 1:
        executors = f"{up_to or 'an '}{'1 ' if up_to else ''}executor of {exact_mb(total.executor_mb)}"
    return f"a driver of {exact_mb(total.driver_mb)} and {executors}"


def unbounded_words() -> str:
    """Say what to do about dynamic allocation without a maximum."""
    return (
        "Its dynamic allocation has no maximum: spark.dynamicAllocation.maxExecutors has to be set in its kernelspec."
    )


def size_unknown(ask: Ask, field: str, limit: ResolvedLimit) -> PublicError:
    """Refuse a kernel of which nobody knows how large it is, to somebody who has a limit on that."""
    return PublicError(
        "size-unknown",
        f"{ask.display_name} can't start: how much it takes in YARN can't be read from its kernelspec, and you have "
        "limits on that.",
        details=[
            "It takes settings from a file (--properties-file), which is not read.",
            f"You have a limit of {FIELDS[field].label.lower()} ({source_words(limit)}).",
        ],
        remedy="Choose another kernel, and tell this one's owner or your Hub administrator: the settings have to stand "
        "in the kernelspec itself.",
        numbers={"field": field, "source": limit.source},
    )


def queue_not_allowed(ask: Ask, limit: ResolvedLimit) -> PublicError:
    """Refuse a queue that the owner may not use."""
    allowed = list(limit.value) if isinstance(limit.value, tuple) else []
    runs = f"runs in queue {ask.queue}" if ask.queue else f"names no queue and so runs in queue {queue_path(None)}"
    queues = f"You may use: {', '.join(allowed)}" if allowed else "You may use no queue"
    other = "Choose a kernel in one of these queues, or" if allowed else "To start kernels,"
    return PublicError(
        "queue-not-allowed",
        f"{ask.display_name} {runs}, which you may not use.",
        details=[f"{queues} ({source_words(limit)})."],
        remedy=f"{other} {ASK_FOR_MORE}.",
        numbers={
            "field": "queues",
            "asked": queue_path(ask.queue),
            "limit": allowed,
            "source": limit.source,
            "unit": "queues",
        },
    )


def over_kernel_limit(ask: Ask, offences: Sequence[Offence]) -> PublicError:
    """Refuse a kernel that is larger than one kernel of this owner may be, naming everything that is too large."""
    unbounded = [unbounded_words()] if any(one.field == "executors" and _unbounded(one) for one in offences) else []
    return PublicError(
        "over-kernel-limit",
        f"{ask.display_name} is larger than one kernel of yours may be.",
        details=[_too_large(one) for one in offences] + unbounded,
        remedy=f"Choose a smaller kernel, or {ASK_FOR_MORE}.",
        numbers={**_numbers(offences[0]), "fields": [one.field for one in offences]},
    )


def _unbounded(offence: Offence) -> bool:
    return offence.asked >= UNBOUNDED_EXECUTORS


def _too_large(offence: Offence) -> str:
    asked = "any number" if offence.field == "executors" and _unbounded(offence) else _plain(offence, offence.asked)
    most = f"your limit is {_plain(offence, offence.most)}" if offence.most else "you may have none"
    return f"{PARTS[offence.field]}: it asks for {asked}, {most} ({source_words(offence.limit)})."


def _plain(offence: Offence, value: int) -> str:
    """Write a number without a unit that the sentence has named already."""
    return exact_mb(value) if FIELDS[offence.field].unit == "MiB" else str(value)


def too_many_kernels(ask: Ask, offence: Offence, held: Sequence[Held]) -> PublicError:
    """Refuse one kernel more than the owner may have."""
    most = f"at most {amount('kernels', offence.most)} at the same time" if offence.most else "no kernels"
    too_many = offence.used + offence.asked - offence.most
    stop = f"Stop {'one' if too_many == 1 else too_many} of them on the My kernels page, or {ASK_FOR_MORE}."
    return PublicError(
        "too-many-kernels",
        f"{ask.display_name} can't start: you may have {most} ({source_words(offence.limit)}).",
        details=[*_held_words("kernels", held), *_over(offence)],
        remedy=stop if offence.most else _capital(ASK_FOR_MORE),
        numbers=_numbers(offence),
    )


def over_total_limit(ask: Ask, offences: Sequence[Offence], held: Sequence[Held]) -> PublicError:
    """Refuse a kernel with which the owner's kernels together would hold more than allowed."""
    first = offences[0]
    unbounded = ask.size is not None and ask.size.unbounded
    return PublicError(
        "over-total-limit",
        _total_message(ask, first, unbounded),
        details=[
            f"It asks for {shape_words(ask)}.",
            *([_vcores_words(ask)] if any(one.field == "cores" for one in offences) and not unbounded else []),
            *([unbounded_words()] if unbounded else []),
            *(line for one in offences for line in (_limit_line(one), *_over(one))),
            *_held_words(first.field, held),
        ],
        remedy=_what_works(first, held, unbounded),
        numbers={
            **_numbers(first),
            **({"asked": UNLIMITED} if unbounded else {}),
            "fields": [one.field for one in offences],
        },
    )


def _total_message(ask: Ask, first: Offence, unbounded: bool) -> str:
    takes = "nothing bounds what it takes" if unbounded else f"it takes {amount(first.field, first.asked)}"
    left = amount(first.field, first.free) if first.free else "nothing"
    return f"{ask.display_name} can't start: {takes} in YARN, and your limit leaves {left}."


def _vcores_words(ask: Ask) -> str:
    total = ask.footprint
    driver = f"In vcores that is {total.driver_vcores} for the driver"
    return f"{driver} and {total.executor_vcores} for each executor." if total.executors else f"{driver}."


def _limit_line(offence: Offence) -> str:
    return (
        f"Your limit for all kernels together is {amount(offence.field, offence.most)} "
        f"({source_words(offence.limit)}); {in_use(offence.field, offence.used)}."
    )


def in_use(field: str, used: int) -> str:
    """Say how much of a limit on all kernels is in use."""
    return f"{amount(field, used)} {'is' if used == 1 else 'are'} in use" if used else "nothing of it is in use"


def _over(offence: Offence) -> list[str]:
    """Say plainly that the owner is over a limit, which happens when it becomes smaller."""
    if offence.used <= offence.most:
        return []
    beyond = amount(offence.field, offence.used - offence.most)
    return [
        f"You are {beyond} over this limit: it has become smaller since your kernels started. "
        "They go on; new ones have to wait until you are below it."
    ]


def _held_words(field: str, held: Sequence[Held]) -> list[str]:
    """Name the owner's kernels and what each holds, the largest first."""
    if not held:
        return []
    unit = "cores" if field == "cores" else "memory_mb"

    def size(one: Held) -> int:
        return one.cores if field == "cores" else one.memory_mb

    ordered = sorted(held, key=lambda one: (-size(one), one.kernelspec, one.kernel_id))
    named = [f"{one.kernelspec} {amount(unit, size(one))}" for one in ordered]
    rest = f" and {len(named) - NAMED_KERNELS} more" if len(named) > NAMED_KERNELS else ""
    return [f"You have {amount('kernels', len(held))}: {', '.join(named[:NAMED_KERNELS])}{rest}."]


def _what_works(offence: Offence, held: Sequence[Held], unbounded: bool) -> str:
    ways = []
    if not unbounded and offence.asked <= offence.most:
        ways.append(_stop_words(offence, held))
    if offence.free:
        ways.append(f"choose a kernel that takes at most {amount(offence.field, offence.free)}")
    elif not ways and offence.used:
        ways.append("stop a kernel and choose a smaller one")
    return _capital("; or ".join([*ways, ASK_FOR_MORE]))


def _stop_words(offence: Offence, held: Sequence[Held]) -> str:
    """Name the smallest kernel whose end makes room; else say how much has to go."""
    missing = offence.used + offence.asked - offence.most
    sizes = [(one.cores if offence.field == "cores" else one.memory_mb, one.kernelspec) for one in held]
    enough = sorted(pair for pair in sizes if pair[0] >= missing)
    if enough:
        return f"stop {enough[0][1]} on the My kernels page, which frees {amount(offence.field, enough[0][0])}"
    return f"stop kernels on the My kernels page that hold {amount(offence.field, missing)} together"


def _capital(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _numbers(offence: Offence) -> dict[str, Any]:
    unbounded = offence.field == "executors" and _unbounded(offence)
    return {
        "field": offence.field,
        "asked": UNLIMITED if unbounded else offence.asked,
        "limit": offence.most,
        "source": offence.limit.source,
        "used": offence.used,
        "free": offence.free,
        "largest": offence.free,
        "unit": FIELDS[offence.field].unit,
    }
