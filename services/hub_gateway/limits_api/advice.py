"""What an administrator should think about before a change is made."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from hub_ext.cluster import ClusterState
from hub_ext.errors import PublicError
from hub_ext.limits import ResolvedLimit
from hub_ext.limits.model import AllLimits, Edit, Subject
from hub_ext.limits.sense import findings

from .preview import Effect, effect
from .table import Table

#: Gives the cluster's state, or raises `PublicError`.
Cluster = Callable[[], Awaitable[ClusterState]]
NAMED = 5
SENTENCES = 20
#: Seconds that a change waits for the cluster's size.
PATIENCE = 3.0


class Adviser:
    """Finds what is odd about a change; the cluster's size is left out while it is not known."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def look(self, table: Table, edits: Sequence[Edit]) -> tuple[Effect, list[str]]:
        """Return whom `edits` would concern, and a sentence for each thing that is odd: none when all is well."""
        cluster = await self._known_cluster()
        # Of many thousand users: nobody else should wait for it.
        return await asyncio.to_thread(_look, table, edits, cluster)

    async def _known_cluster(self) -> ClusterState | None:
        try:
            return await asyncio.wait_for(self._cluster(), PATIENCE)
        except (PublicError, TimeoutError, asyncio.TimeoutError):
            return None


def _look(table: Table, edits: Sequence[Edit], cluster: ClusterState | None) -> tuple[Effect, list[str]]:
    found = effect(table, edits)
    subjects = list(dict.fromkeys(edit.subject for edit in edits))
    after = table.resolver.all.with_edits(edits)
    odd = [text for subject in subjects for text in _sense(table, subject, after, cluster)]
    sentences = [*_unknown(table, subjects), *_over(found), *dict.fromkeys(odd)]
    more = len(sentences) - SENTENCES
    return found, [*sentences[:SENTENCES], *([f"And {more} more."] if more > 0 else [])]


def _sense(table: Table, subject: Subject, after: AllLimits, cluster: ClusterState | None) -> list[str]:
    """Return what the change makes odd; what was odd before is no reason to ask again."""
    before = findings(_applying(table, table.resolver.all, subject), cluster)
    now = findings(_applying(table, after, subject), cluster)
    return [finding.text for finding in now if finding not in before]


def _applying(table: Table, limits: AllLimits, subject: Subject) -> Mapping[str, ResolvedLimit]:
    if subject.scope == "user":
        member = table.member(subject.name)
        return limits.resolved(subject.name, member.groups if member else ())
    return limits.resolved("", [subject.name] if subject.scope == "group" else [])


def _unknown(table: Table, subjects: Sequence[Subject]) -> list[str]:
    known_groups = {group for member in table.members for group in member.groups}
    users = [one.name for one in subjects if one.scope == "user" and table.member(one.name) is None]
    groups = [one.name for one in subjects if one.scope == "group" and one.name not in known_groups]
    return [
        *(f"The Hub has not told of a user named '{name}' yet." for name in users[:NAMED]),
        *([f"Nor of {len(users) - NAMED} more of these users."] if len(users) > NAMED else []),
        *(f"No user is in a group named '{name}'." for name in groups[:NAMED]),
        *([f"Nor in {len(groups) - NAMED} more of these groups."] if len(groups) > NAMED else []),
    ]


def _over(found: Effect) -> list[str]:
    if not found.newly_over:
        return []
    names = ", ".join(found.newly_over[:NAMED]) + (" …" if len(found.newly_over) > NAMED else "")
    count = len(found.newly_over)
    users = "1 user" if count == 1 else f"{count} users"
    return [f"{users} would be over a limit at once ({names}): running kernels stay, new ones are refused."]


def unconfirmed(warnings: Sequence[str]) -> PublicError:
    """Make the refusal of a change that has not been thought about twice."""
    return PublicError(
        "limits-need-confirmation",
        "Nothing was changed yet: this change has consequences.",
        details=warnings,
        remedy="Send it again with 'confirmed': true if it is meant so.",
    )
