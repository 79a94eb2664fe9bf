"""The tables of those who set limits: people, groups, the default."""

from dataclasses import replace
from typing import Any

from ..limits_models import People, Subject
from ..views.limits_table import heads, last_page, person_rows, read_query, shown_words, subject_row
from .base import gathered
from .limits_base import LimitsAdminHandler


class UsersPage(LimitsAdminHandler):
    """Everyone's limits and use; the landing page of those who set limits."""

    async def get(self) -> None:
        query = read_query(self.query())
        found, around = await gathered(
            self.part(self.services.limits.people(self.token, query.as_api())), self.around()
        )
        people: People = found.value or People()
        if found.value and last_page(people) < query.page:
            query = replace(query, page=last_page(people))
            found = await self.part(self.services.limits.people(self.token, query.as_api()))
            people = found.value or People()
        if self.is_fragment:
            # Shorter than what the form would write there.
            self.set_header("HX-Replace-Url", f"{self.portal_url}admin/limits{query.link(page=query.page)}")
        self.show(
            "portal/limits_users.html",
            **{**around, "counts": people.counts},
            people_error=found.error,
            rows=person_rows(people, self.now()),
            revisions={one.name: one.revision or 0 for one in people.users},
            heads=heads(query),
            query=query,
            shown=shown_words(people),
            total=people.total,
            more=people.page * people.per_page < people.total,
            flash=self.take_flash() if not self.is_fragment else "",
        )

    async def around(self) -> dict[str, Any]:
        """Ask for what a script that only wants the table does not need."""
        return {"open_requests": 0, "groups": None} if self.is_fragment else await self.tabs()


class GroupsPage(LimitsAdminHandler):
    """Values that hold for the members of a group."""

    async def get(self) -> None:
        found, tabs = await gathered(self.part(self.services.limits.groups(self.token)), self.tabs())
        subjects: tuple[Subject, ...] = found.value or ()
        ordered = sorted(subjects, key=lambda one: one.name.lower())
        self.show(
            "portal/limits_groups.html",
            **tabs,
            groups_error=found.error,
            rows=[subject_row(one, self.now()) for one in ordered],
            flash=self.take_flash(),
        )


class DefaultPage(LimitsAdminHandler):
    """Values that hold where nothing else is set."""

    async def get(self) -> None:
        found, tabs = await gathered(self.part(self.services.limits.subject(self.token, "default", "")), self.tabs())
        self.show(
            "portal/limits_default.html",
            **tabs,
            default_error=found.error,
            row=subject_row(found.value, self.now()) if found.value else None,
            flash=self.take_flash(),
        )
