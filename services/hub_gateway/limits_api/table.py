"""The table of users: everyone's limits beside what they use, searched, sorted, a page at a time. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from hub_ext.limits import ResolvedLimit
from hub_ext.limits.model import AllLimits
from hub_ext.limits.resolve import number

from .answers import Use

#: Limits on everything somebody runs together, the ones that use is compared with.
TOTALS = ("kernels", "memory_mb", "cores")
NEVER = datetime.min.replace(tzinfo=timezone.utc)
NOTHING = Use()

Limits = Mapping[str, ResolvedLimit]


@dataclass(frozen=True)
class Member:
    """A user as the table knows them."""

    name: str
    groups: tuple[str, ...] = ()
    last_kernel_at: datetime | None = None

    @property
    def sought_in(self) -> str:
        """Text in which the search looks; a line break is in no search."""
        return "\n".join((self.name, *self.groups)).casefold()


@dataclass(frozen=True)
class Question:
    """Which part of the table is asked for."""

    search: str = ""
    sort: str = "name"
    descending: bool = False
    filter: str = ""
    page: int = 1
    per_page: int = 50


@dataclass(frozen=True)
class Part:
    """The answer: the users of the page, how many match, how many there are of each kind."""

    members: list[Member]
    total: int
    counts: dict[str, int]


class Resolver:
    """Everyone's limits out of one state of all values; groups without values are left out before they are compared."""

    def __init__(self, limits: AllLimits) -> None:
        self.all = limits
        self._with_limits = frozenset(limits.groups) | frozenset(limits.configured.groups)

    def inherited(self, user: str, groups: Iterable[str]) -> Limits:
        """Return what counts for `user` without the own values that can be changed here."""
        return self.all.inherited(user, self._with_limits.intersection(groups))

    def limits(self, user: str, groups: Iterable[str]) -> Limits:
        """Return what counts for `user`."""
        return self.all.resolved(user, self._with_limits.intersection(groups))

    def limit(self, name: str, user: str, groups: Iterable[str]) -> ResolvedLimit:
        """Return one of the limits that count for `user`."""
        return self.all.resolved_one(name, user, self._with_limits.intersection(groups))

    def has_own(self, user: str) -> bool:
        own = self.all.users.get(user)
        return own is not None and bool(own.values)


def exceeded(limits: Limits, use: Use) -> list[str]:
    """Return the fields of which more is in use than allowed."""
    return [name for name in TOTALS if _over(number(limits[name]), getattr(use, name))]


def _over(limit: int | None, used: int) -> bool:
    return limit is not None and used > limit


def share(limits: Limits, use: Use) -> float:
    """Return the largest share of a limit that is in use; 0 where nothing is limited."""
    shares = [_share(number(limits[name]), getattr(use, name)) for name in TOTALS]
    return max(shares)


def _share(limit: int | None, used: int) -> float:
    if limit is None or used == 0:
        return 0.0
    return used / limit if limit else float("inf")


@dataclass
class Table:
    """All users at one moment.

    Parameters
    ----------
    members : sequence
        In the order of their names.
    resolver : Resolver
        Their limits.
    use : mapping
        What each one's live kernels hold; who is missing uses nothing.
    sought_in : mapping
        Each name's text for the search, where it has been made before.
    """

    members: Sequence[Member]
    resolver: Resolver
    use: Mapping[str, Use]
    sought_in: Mapping[str, str] = field(default_factory=dict)

    def part(self, question: Question) -> Part:
        """Answer one question."""
        over = {member.name for member in self.members if member.name in self.use and self.over(member)}
        own = {member.name for member in self.members if self.resolver.has_own(member.name)}
        chosen = self._found(question.search, {"over": over, "own": own}.get(question.filter))
        key = self._key(question.sort)
        if key is not None:
            chosen.sort(key=key, reverse=question.descending)
        elif question.descending:
            chosen.reverse()
        first = (question.page - 1) * question.per_page
        return Part(
            members=chosen[first : first + question.per_page],
            total=len(chosen),
            counts={"all": len(self.members), "over": len(over), "own": len(own)},
        )

    def member(self, name: str) -> Member | None:
        """Return a user, or None when there is none of this name."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Member]:
        return {member.name: member for member in self.members}

    def limits(self, member: Member) -> Limits:
        return self.resolver.limits(member.name, member.groups)

    def used(self, member: Member) -> Use:
        return self.use.get(member.name, NOTHING)

    def over(self, member: Member) -> list[str]:
        return exceeded(self.limits(member), self.used(member))

    def _found(self, search: str, among: Collection[str] | None) -> list[Member]:
        words = search.casefold().strip()
        return [
            member
            for member in self.members
            if (among is None or member.name in among) and (not words or words in self._text(member))
        ]

    def _text(self, member: Member) -> str:
        return self.sought_in.get(member.name) or member.sought_in

    def _key(self, sort: str) -> Callable[[Member], Any] | None:
        """Return what is compared; None leaves the order of names, which also decides between equals."""
        if sort == "last_kernel":
            return lambda member: member.last_kernel_at or NEVER
        if sort == "used":
            return self._use_key
        if sort in TOTALS:
            return lambda member: _size(number(self.resolver.limit(sort, member.name, member.groups)))
        return None

    def _use_key(self, member: Member) -> tuple[float, int, int]:
        use = self.use.get(member.name)
        if use is None:
            return (0.0, 0, 0)
        return (share(self.limits(member), use), use.memory_mb, use.kernels)


def _size(limit: int | None) -> float:
    return float("inf") if limit is None else limit


def in_order(members: Iterable[Member]) -> list[Member]:
    """Sort by name, as people read it."""
    return sorted(members, key=lambda member: (member.name.casefold(), member.name))
