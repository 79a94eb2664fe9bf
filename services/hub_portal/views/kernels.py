"""The catalogue of kernels and a kernel's details."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hub_ext.kernels import KernelDefinition, Size
from hub_ext.sizes import (
    Footprint,
    KernelSize,
    Rules,
    driver_asked_mb,
    executor_asked_mb,
    footprint,
    human_mb,
)

from .words import TIMES, count

#: While the cluster does not tell how it makes containers.
UNROUNDED = Rules(1)
#: Which picture of a kernelspec is shown: the first that it has.
LOGOS = ("logo-svg", "logo-64x64", "logo-32x32")


@dataclass(frozen=True)
class Card:
    """A kernel in the catalogue. `logo` is a file name; empty when the kernelspec brings no picture."""

    name: str
    title: str
    type: str
    badge: str
    logo: str
    size: str
    description: str
    audience: str
    default: bool


@dataclass(frozen=True)
class SizeLine:
    """One line of the sum: what is asked for, and what YARN makes of it."""

    what: str
    asked: str
    rounded: str
    vcores: str


@dataclass(frozen=True)
class Details:
    """Everything on a kernel's page."""

    card: Card
    lines: tuple[SizeLine, ...]
    total: str
    rounding: str
    queue: str
    settings: tuple[tuple[str, str], ...]
    fits: str


def cards(
    definitions: Iterable[KernelDefinition], default: str, rules: Rules | None, query: str = ""
) -> tuple[Card, ...]:
    """Make the catalogue, sorted by title; with `query` only what has all of its words."""
    words = query.lower().split()
    made = (card(one, one.name == default, rules) for one in definitions)
    found = [one for one in made if all(word in _text_of(one) for word in words)]
    return tuple(sorted(found, key=lambda one: (not one.default, one.title.lower(), one.name)))


def card(one: KernelDefinition, default: bool, rules: Rules | None) -> Card:
    """Make a kernel's card. `rules` is how containers are made; None when the cluster does not tell."""
    return Card(
        name=one.name,
        title=one.display_name,
        type=one.type_label,
        badge="Py" if one.language.lower() == "python" else (one.language or one.display_name)[:2].capitalize(),
        logo=logo_of(one),
        size=size_words(one.size, rules),
        description=one.description,
        audience=audience(one),
        default=default,
    )


def _text_of(one: Card) -> str:
    return " ".join((one.title, one.name, one.type, one.description, one.audience)).lower()


def logo_of(one: KernelDefinition) -> str:
    """Return the file name of a kernelspec's picture; empty when it has none."""
    for key in LOGOS:
        if one.resources.get(key):
            return one.resources[key].split("?")[0].rsplit("/", 1)[-1]
    return ""


def audience(one: KernelDefinition) -> str:
    """Say who may see and start a kernel."""
    if one.visibility == "everyone":
        return "everyone"
    if one.visibility == "group":
        return f"group {', '.join(one.groups)}" if len(one.groups) == 1 else f"groups {', '.join(one.groups)}"
    return f"only {one.owner}" if one.owner else "administrators"


def size_words(size: Size | None, rules: Rules | None) -> str:
    """Say in a few words how large a kernel is; empty when its kernelspec does not tell."""
    if size is None:
        return ""
    total = taken(size.as_kernel_size(), rules)
    parts = executors_words(size.as_kernel_size()) if total.executors else "no executors"
    if size.as_kernel_size().unbounded:
        return f"at least {human_mb(total.driver_mb)} · {parts}"
    return f"{human_mb(total.memory_mb)} and {count(total.vcores, 'vcore')} · {parts}"


def executors_words(size: KernelSize) -> str:
    """Say how many executors there can be."""
    if size.unbounded:
        return "any number of executors"
    number = count(size.largest_executors, "executor")
    return number if size.executors_max is None else f"up to {number}"


def taken(size: KernelSize, rules: Rules | None) -> Footprint:
    """Compute what YARN allocates; without rounding when the cluster does not tell its rules."""
    return footprint(size, rules or UNROUNDED)


def details(one: KernelDefinition, default: bool, rules: Rules | None, maximum_mb: int = 0) -> Details:
    """Make a kernel's page.

    Parameters
    ----------
    one : KernelDefinition
        The kernel.
    default : bool
        Whether a new notebook gets this kernel.
    rules : Rules, optional
        How the cluster makes containers.
    maximum_mb : int
        The largest container of the cluster, MiB; 0 when not known.
    """
    size = one.size.as_kernel_size() if one.size else None
    return Details(
        card=card(one, default, rules),
        lines=size_lines(size, rules) if size else (),
        total=_total(size, rules) if size else "",
        rounding=f"YARN rounds each container up to a multiple of {human_mb(rules.step_mb)}."
        if rules
        else "The cluster does not answer, so its rounding is not known: it will be a little more.",
        queue=one.queue or "the cluster's default queue",
        settings=tuple(sorted(one.spark_conf.items())),
        fits=fits(taken(size, rules), maximum_mb) if size else "",
    )


def size_lines(size: KernelSize, rules: Rules | None) -> tuple[SizeLine, ...]:
    """Write the sum, a line each for driver and executors."""
    total = taken(size, rules)
    asked = rules or UNROUNDED
    lines = [
        SizeLine(
            what="Driver",
            asked=_asked(size.driver_memory_mb, driver_asked_mb(size, asked)),
            rounded=human_mb(total.driver_mb),
            vcores=str(total.driver_vcores),
        )
    ]
    if total.executors:
        beside = {"Python": size.pyspark_memory_mb or 0, "off-heap": size.off_heap_mb or 0}
        times = "" if total.executors == 1 else f"{'n' if size.unbounded else total.executors} {TIMES} "
        lines.append(
            SizeLine(
                what=executors_words(size).capitalize(),
                asked=_asked(size.executor_memory_mb, executor_asked_mb(size, asked), beside),
                rounded=f"{times}{human_mb(total.executor_mb)}",
                vcores=f"{times}{total.executor_vcores}",
            )
        )
    return tuple(lines)


def _asked(heap_mb: int, asked_mb: int, beside: Mapping[str, int] | None = None) -> str:
    """Write what a container consists of; what is neither heap nor named is the overhead."""
    named = {what: memory for what, memory in (beside or {}).items() if memory}
    overhead = asked_mb - heap_mb - sum(named.values())
    parts = [f"{human_mb(heap_mb)} heap", f"{human_mb(overhead)} overhead"]
    return " + ".join(parts + [f"{human_mb(memory)} {what}" for what, memory in named.items()])


def _total(size: KernelSize, rules: Rules | None) -> str:
    total = taken(size, rules)
    if size.unbounded:
        return "any amount, as nothing bounds the number of executors"
    return f"{human_mb(total.memory_mb)}, {count(total.vcores, 'vcore')}, {count(total.containers, 'container')}"


def fits(total: Footprint, maximum_mb: int) -> str:
    """Warn when a container is larger than the cluster's largest; empty when all is well."""
    largest = max(total.driver_mb, total.executor_mb)
    if not maximum_mb or largest <= maximum_mb:
        return ""
    return (
        f"One container of this kernel takes {human_mb(largest)}, and the largest that this cluster gives is "
        f"{human_mb(maximum_mb)}. It can't start until its memory is made smaller."
    )


def launcher_names(definitions: Sequence[KernelDefinition], default: str) -> tuple[tuple[str, str], ...]:
    """Return name and title of each kernel as JupyterLab's launcher lists them, the default first."""
    ordered = sorted(definitions, key=lambda one: (one.name != default, one.display_name.lower()))
    return tuple((one.name, one.display_name) for one in ordered)
