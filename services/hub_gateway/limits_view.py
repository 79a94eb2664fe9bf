"""The limits of several people at once, with few questions to the database."""

from collections.abc import Collection

from hub_ext.limits.people import People
from hub_ext.limits.resolve import ResolvedLimit
from hub_ext.limits.store import LimitStore

Limits = dict[str, ResolvedLimit]


class LimitsView:
    """Resolves limits with the groups that the people table knows."""

    def __init__(self, store: LimitStore, people: People) -> None:
        self._store = store
        self._people = people

    async def of(self, name: str, groups: Collection[str] | None = None) -> Limits:
        """Return one person's limits; with the groups that the people table knows unless others are given."""
        return await self._store.resolved(name, await self._people.groups_of(name) if groups is None else groups)

    async def of_all(self, names: Collection[str]) -> dict[str, Limits]:
        """Return the limits of some people; the number of questions does not depend on how many they are."""
        if len(names) <= 1:
            return {name: await self.of(name) for name in names}
        limits = await self._store.everything()
        groups = {person.name: person.groups for person in await self._people.everyone()}
        return {name: limits.resolved(name, groups.get(name, ())) for name in names}
