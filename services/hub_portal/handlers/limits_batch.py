"""Changing values of several people at once."""

import json
from dataclasses import replace

from hub_ext.errors import PublicError
from hub_ext.limits.fields import FIELDS

from ..limits_models import PersonLimits
from ..views.limits_form import Editor, blank_groups
from ..views.limits_table import last_page, read_query
from ..views.limits_typed import Typed, field_error, read_form, with_error
from ..views.words import count
from .limits_base import LimitsAdminHandler, confirmed, warnings_of

MOST_PEOPLE = 500
MOST_NAME = 255


def read_chosen(values: list[str]) -> dict[str, int]:
    """Read the ticked boxes: ``REVISION:NAME``, the revision being what the person saw of that line."""
    chosen: dict[str, int] = {}
    for value in values:
        revision, _, name = value.partition(":")
        if name and len(name) <= MOST_NAME and revision.isascii() and revision.isdigit() and len(revision) < 18:
            chosen[name] = int(revision)
    return chosen


class ChosenNames(LimitsAdminHandler):
    """The boxes of everyone who matches what the table shows, for a script that ticks them all."""

    async def get(self) -> None:
        query = replace(read_query(self.query()), per_page=200)
        found: list[PersonLimits] = []
        for page in range(1, -(-MOST_PEOPLE // query.per_page) + 1):
            part = await self.services.limits.people(self.token, replace(query, page=page).as_api())
            found.extend(part.users)
            if page >= last_page(part):
                break
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps([f"{one.revision or 0}:{one.name}" for one in found[:MOST_PEOPLE]]))


class BatchPage(LimitsAdminHandler):
    """Asks what to change for the chosen people, then changes it."""

    async def get(self) -> None:
        self.redirect(f"{self.portal_url}admin/limits")

    async def post(self) -> None:
        chosen = read_chosen(self.get_body_arguments("user"))
        if not chosen:
            self.show_form({}, None, problem=nobody_chosen())
            return
        if len(chosen) > MOST_PEOPLE:
            self.show_form({}, None, problem=too_many(len(chosen)))
            return
        form = self.form()
        if "apply" not in form:
            self.show_form(chosen, None)
            return
        await self.apply(chosen, read_form(form, self.now()), over="over" in form)

    async def apply(self, chosen: dict[str, int], typed: Typed, over: bool) -> None:
        """Change the values; `over` writes over what others have changed meanwhile."""
        if typed.wrong or not typed.values:
            self.show_form(chosen, typed, problem=None if typed.wrong else nothing_chosen())
            return
        body = {
            "users": list(chosen),
            "values": typed.values,
            "until": typed.until,
            "reason": typed.reason,
            "revisions": {} if over else chosen,
        }
        try:
            answer = await confirmed(
                lambda seen: self.services.limits.change_many(self.token, {**body, "confirmed": seen}), typed.seen
            )
        except PublicError as error:
            self.refused(chosen, typed, error)
            return
        changed = answer.get("changed")
        message = f"Saved for {count(changed if isinstance(changed, int) else len(chosen), 'person', 'people')}."
        if not self.is_fragment:
            self.flash(message)
            self.redirect(f"{self.portal_url}admin/limits", status=303)
            return
        self.say(message, **{"limits-changed": "", "limits-batch-saved": ""})
        self.show("portal/limits_batch.html", editor=None, chosen={}, open_requests=0)

    def refused(self, chosen: dict[str, int], typed: Typed, error: PublicError) -> None:
        """Show the form again with why nothing was saved."""
        beside = field_error(error, FIELDS)
        if beside is not None:
            self.show_form(chosen, with_error(typed, *beside))
        elif error.code == "limits-need-confirmation":
            self.show_form(chosen, typed, warnings=warnings_of(error))
        elif error.code == "limits-changed":
            self.show_form(chosen, typed, conflict=error)
        else:
            self.show_form(chosen, typed, problem=error)

    def show_form(
        self,
        chosen: dict[str, int],
        typed: Typed | None,
        *,
        problem: PublicError | None = None,
        conflict: PublicError | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        editor = Editor(
            scope="batch",
            name="",
            key="batch",
            groups=blank_groups(typed),
            until=typed.until_text if typed else "",
            until_error=typed.until_error if typed else "",
            reason=typed.reason if typed else "",
            problem=problem,
            conflict_error=conflict,
            warnings=warnings,
        )
        self.show("portal/limits_batch.html", editor=editor, chosen=chosen, open_requests=0)


def nobody_chosen() -> PublicError:
    """Make the error for a change of nobody."""
    return PublicError("bad-request", "Nobody is chosen.", remedy="Tick the boxes before the names, then edit them.")


def nothing_chosen() -> PublicError:
    """Make the error for a change of nothing."""
    return PublicError(
        "bad-request", "No limit is chosen.", remedy="Choose something else than “leave as is” for at least one limit."
    )


def too_many(number: int) -> PublicError:
    """Make the error for more people than can be changed at once."""
    return PublicError(
        "bad-request",
        f"{number:,} people are chosen, and {MOST_PEOPLE:,} can be changed at once.",
        remedy="Set the values for their group, or use the import of a file.",
    )
