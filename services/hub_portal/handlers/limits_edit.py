"""Changing the values of a user, a group or the default, in place or on a page of its own."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from hub_ext.errors import PublicError
from hub_ext.limits.fields import FIELDS

from ..limits_models import PersonLimits, Subject
from ..views.limits_form import Editor, field_groups
from ..views.limits_table import PersonRow, SubjectRow, person_row, subject_row
from ..views.limits_typed import Typed, change_body, field_error, read_form, with_error
from ..views.limits_words import preview_lines, saved_words
from .limits_base import LimitsAdminHandler, confirmed, warnings_of

TEMPLATES = {
    "user": "portal/limits_user.html",
    "group": "portal/limits_group.html",
    "default": "portal/limits_default.html",
}
PAGES = {"user": "admin/limits", "group": "admin/limits/groups", "default": "admin/limits/default"}


@dataclass(frozen=True)
class Loaded:
    """A subject as it is now: what its line in the table shows, and what can be changed."""

    scope: str
    name: str
    subject: PersonLimits | Subject
    row: PersonRow | SubjectRow


class SubjectHandler(LimitsAdminHandler):
    """What the pages about one subject have in common."""

    async def load(self, scope: str, name: str) -> Loaded:
        """Ask for a subject."""
        if scope == "user":
            person = await self.services.limits.person(self.token, name)
            return Loaded(scope, name, person, person_row(person, self.now()))
        subject = await self.services.limits.subject(self.token, scope, name)
        # Which one it is was asked for, so an answer that leaves it out does not matter.
        named = subject.model_copy(update={"scope": scope, "name": name})
        return Loaded(scope, name, named, subject_row(named, self.now()))

    def editor(self, found: Loaded, typed: Typed | None = None, *, conflict: bool = False, **more: Any) -> Editor:
        """Make the form; with `typed`, what was typed stays in it."""
        subject = found.subject
        source = f"group {found.name}" if found.scope == "group" else found.scope
        now = self.now()
        given = Editor(
            scope=found.scope,
            name=found.name,
            key=quote(found.name, safe="") or "default",
            groups=field_groups(subject.own_values, subject.inherited, typed, now, subject=source, conflict=conflict),
            revision=subject.revision if typed is None or conflict else typed.revision,
            affects_others=found.scope != "user",
        )
        if typed is not None:
            given = replace(given, until=typed.until_text, until_error=typed.until_error, reason=typed.reason)
        return replace(given, **more)

    def show_subject(self, found: Loaded, editor: Editor | None, **more: Any) -> None:
        """Show a subject's line, opened for a change when there is an editor."""
        self.show(
            TEMPLATES[found.scope],
            row=found.row,
            editor=editor,
            revision=found.subject.revision or 0,
            # In the table a line can be ticked; on a page of its own there is nothing to do with the tick.
            selectable=self.is_fragment,
            open_requests=0,
            **more,
        )


class SubjectPage(SubjectHandler):
    """One subject's values."""

    async def get(self, scope: str = "default", name: str = "") -> None:
        found = await self.load(scope, name)
        closed = bool(self.get_query_argument("closed", ""))
        self.show_subject(found, None if closed else self.editor(found), back_focus=closed)

    async def post(self, scope: str = "default", name: str = "") -> None:
        form = self.form()
        typed = read_form(form, self.now())
        found = await self.load(scope, name)
        if "preview" in form:
            self.show_again(found, typed, preview=await self.preview_lines(scope, name, typed))
            return
        if typed.wrong:
            self.show_again(found, typed)
            return
        try:
            body = change_body(typed, found.subject.own_values)
            answer = await confirmed(
                lambda seen: self.services.limits.change(self.token, scope, name, {**body, "confirmed": seen}),
                typed.seen,
            )
        except PublicError as error:
            await self.refused(found, typed, error)
            return
        await self.saved(scope, name, answer)

    async def preview_lines(self, scope: str, name: str, typed: Typed) -> tuple[str, ...]:
        """Say whom a change would affect; nothing while it can't be read or changes nothing."""
        if typed.wrong or not typed.changes:
            return ()
        try:
            preview = await self.services.limits.preview(self.token, scope, name, typed.changes)
        except PublicError as error:
            return tuple(error.lines())
        return (*preview_lines(preview), *preview.warnings)

    async def refused(self, found: Loaded, typed: Typed, error: PublicError) -> None:
        """Show the form again with why it can't be saved, beside the field where it belongs to one."""
        beside = field_error(error, FIELDS)
        if beside is not None:
            self.show_again(found, with_error(typed, *beside))
        elif error.code == "limits-need-confirmation":
            self.show_again(found, typed, warnings=warnings_of(error))
        elif error.code == "limits-changed":
            # Asked again: between our look and the refusal it may have changed once more.
            current = await self.load(found.scope, found.name)
            self.show_subject(current, self.editor(current, typed, conflict=True, conflict_error=error))
        else:
            self.show_again(found, typed, problem=error)

    def show_again(self, found: Loaded, typed: Typed, preview: tuple[str, ...] = (), **more: Any) -> None:
        self.show_subject(found, self.editor(found, typed, **more), preview=preview)

    async def saved(self, scope: str, name: str, answer: dict[str, Any]) -> None:
        """Show the line with its new values; the keyboard goes on at its edit button."""
        message = saved_words(scope, name, str(answer.get("batch") or ""))
        if not self.is_fragment:
            self.flash(message)
            self.redirect(f"{self.portal_url}{PAGES[scope]}", status=303)
            return
        found = await self.load(scope, name)
        self.say(message)
        self.show_subject(found, None, back_focus=True)


class PreviewPart(SubjectPage):
    """Whom a change would affect, while it is being typed."""

    async def get(self, scope: str = "default", name: str = "") -> None:
        raise PublicError("no-such-page", "There is no page at this address.")

    async def post(self, scope: str = "default", name: str = "") -> None:
        typed = read_form(self.form(), self.now())
        self.show("portal/limits_preview.html", preview=await self.preview_lines(scope, name, typed))
