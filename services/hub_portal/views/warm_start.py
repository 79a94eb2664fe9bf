"""What My kernels says about kernels that start in advance. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..models import RunningKernel, WarmStart
from .words import duration


@dataclass(frozen=True)
class WarmStartBox:
    """`choice` is whether the person may switch it; `kernel` the one that would start, empty when they used none."""

    on: bool
    choice: bool
    kernel: str
    lasts: str


def warm_start_box(found: WarmStart, titles: Mapping[str, str]) -> WarmStartBox | None:
    """Return what to show; None where no kernel starts in advance.

    Parameters
    ----------
    found : WarmStart
        What is set.
    titles : mapping
        Display names by kernelspec name, of those that the person may see.
    """
    if found.policy not in ("chosen", "always"):
        return None
    return WarmStartBox(
        on=found.on,
        choice=found.policy == "chosen",
        kernel=titles.get(found.kernelspec, ""),
        lasts=duration(found.seconds),
    )


def unused_words(kernel: RunningKernel, now: datetime) -> str:
    """Say of a kernel that was started in advance how long it waits to be used; empty for any other."""
    if kernel.warm_until is None:
        return ""
    left = (kernel.warm_until - now).total_seconds()
    return f"started in advance; ends in {duration(left)} unless you use it" if left > 0 else "started in advance"
