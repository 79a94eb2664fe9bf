"""What an administrator should think about before a change is made."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from hub_ext.cluster import ClusterState
from hub_ext.errors import PublicError
from hub_ext.limits import ResolvedLimit, Value
from hub_ext.limits.model import AllLimits, Subject
from hub_ext.limits.sense import findings

from .preview import Effect
from .table import Table

#: Gives the cluster's state, or raises `PublicError`.
Cluster = Callable[[], Awaitable[ClusterState]]
NAMED = 5
#: Seconds that a change waits for the cluster's size.
PATIENCE = 3.0


class Adviser:
    """Finds what is odd about a change; the cluster's size is left out while it is not known."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def warnings(
        self, table: Table, subjects: Sequence[Subject], values: Mapping[str, Value], found: Effect
    ) -> list[str]:
        """Return a sentence for each thing, none when all is well."""
        cluster = await self._known_cluster()
        sentences = [*_unknown(table, subjects), *_over(found)]
        for subject in subjects:
            for sentence in _sense(table, subject, values, cluster):
                if sentence not in sentences:
                    sentences.append(sentence)
        return sentences

    async def _known_cluster(self) -> ClusterState | None:
        try:
            return await asyncio.wait_for(self._cluster(), PATIENCE)
        except (PublicError, TimeoutError, asyncio.TimeoutError):
            return None


def _sense(table: Table, subject: Subject, values: Mapping[str, Value], cluster: ClusterState | None) -> list[str]:
    """Return what the change makes odd; what was odd before is no reason to ask again."""
    before = findings(_applying(table, table.resolver.all, subject), cluster)
    after = findings(_applying(table, table.resolver.all.with_values(subject, values), subject), cluster)
    return [finding.text for finding in after if finding not in before]


def _applying(table: Table, limits: AllLimits, subject: Subject) -> Mapping[str, ResolvedLimit]:
    if subject.scope == "user":
        member = table.member(subject.name)
        return limits.resolved(subject.name, member.groups if member else ())
    return limits.resolved("", [subject.name] if subject.scope == "group" else [])


def _unknown(table: Table, subjects: Sequence[Subject]) -> list[str]:
    known_groups = {group for member in table.members for group in member.groups}
    sentences = []
    for subject in subjects:
        if subject.scope == "user" and table.member(subject.name) is None:
            sentences.append(f"The Hub has not told of a user named '{subject.name}' yet.")
        if subject.scope == "group" and subject.name not in known_groups:
            sentences.append(f"No user is in a group named '{subject.name}'.")
    return sentences


def _over(found: Effect) -> list[str]:
    if not found.newly_over:
        return []
    names = ", ".join(found.newly_over[:NAMED]) + (" …" if len(found.newly_over) > NAMED else "")
    count = len(found.newly_over)
    users = "1 user" if count == 1 else f"{count} users"
    return [f"{users} would be over a limit at once ({names}): running kernels stay, new ones are refused."]
