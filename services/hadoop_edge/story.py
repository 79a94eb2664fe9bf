"""What becomes of kernels' applications in YARN, as log lines that a search for the kernel's id finds."""

import logging
from collections.abc import Iterable

from hub_ext.cluster import Application

log = logging.getLogger("hadoop_edge.story")

#: More changes between two polls are counted in one line: a log is no copy of the cluster.
MAXIMUM_LINES = 200


class Story:
    """Compares each poll with the one before it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str, str]] | None = None

    def look(self, applications: Iterable[Application]) -> None:
        """Log what has changed; of those that were there before the service started, nothing is new."""
        now = {one.id: (one.state, _kernel(one), one.user) for one in applications if one.kernel_ids}
        before, self._known = self._known, now
        if before is None:
            return
        lines = [f"Application in YARN is {state}: {_who(name, *who)}" for name, (state, *who) in _changed(before, now)]
        lines += [f"Application in YARN has ended: {_who(name, *before[name][1:])}" for name in before.keys() - now]
        for line in lines[:MAXIMUM_LINES]:
            log.info("%s", line)
        if len(lines) > MAXIMUM_LINES:
            log.info("%d more applications of kernels have changed.", len(lines) - MAXIMUM_LINES)


def _changed(
    before: dict[str, tuple[str, str, str]], now: dict[str, tuple[str, str, str]]
) -> list[tuple[str, tuple[str, str, str]]]:
    return [(name, known) for name, known in now.items() if before.get(name, ("",))[0] != known[0]]


def _kernel(application: Application) -> str:
    return min(application.kernel_ids)


def _who(application: str, kernel: str, user: str) -> str:
    return f"application={application} kernel={kernel} user={user}"
