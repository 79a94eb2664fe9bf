"""People's requests for more, and deciding about them."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hub_ext.errors import PublicError
from hub_ext.limits.fields import FIELDS

from ..limits_models import LimitRequest, LimitRequests, PersonLimits, Value
from ..views.limits_form import warnings_digest
from ..views.limits_typed import field_error, read_revision, read_until, read_values
from ..views.limits_words import request_view
from .base import gathered
from .limits_base import LimitsAdminHandler, confirmed, warnings_of
from .limits_history import page_of

PER_PAGE = 50
STATES = {"open": "open", "all": ""}


class RequestsPage(LimitsAdminHandler):
    """The open requests; the decided ones on demand."""

    async def get(self) -> None:
        state = self.get_query_argument("state", "open")
        state = state if state in STATES else "open"
        page = page_of(self.get_query_argument("page", ""))
        query = {"state": STATES[state], "page": page, "per_page": PER_PAGE}
        found = await self.part(self.services.limits.requests(self.token, query))
        listed: LimitRequests = found.value or LimitRequests()
        people = await self.people(listed.requests)
        self.show(
            "portal/limits_requests.html",
            requests_error=found.error,
            requests=[request_view(one, self.now(), people.get(one.user)) for one in listed.requests],
            open=listed.open,
            total=listed.total,
            state=state,
            page=page,
            more=page * PER_PAGE < listed.total,
            flash=self.take_flash() if not self.is_fragment else "",
        )

    async def people(self, requests: tuple[LimitRequest, ...]) -> dict[str, PersonLimits]:
        """Ask what those use now who have an open request."""
        names = sorted({one.user for one in requests if one.state == "open"})
        found = await gathered(*(self.part(self.services.limits.person(self.token, name)) for name in names))
        return {name: one.value for name, one in zip(names, found, strict=True) if one.value}


@dataclass(frozen=True)
class Decision:
    """What was typed about a request."""

    value_text: str = ""
    until_text: str = ""
    answer: str = ""
    value: Value = None
    until: datetime | None = None
    value_error: str = ""
    until_error: str = ""
    revision: int | None = None
    #: Which warnings were answered with "anyway": their digest.
    seen: str = ""


def read_decision(field: str, form: dict[str, str], now: datetime) -> Decision:
    """Read a decision; an empty value grants what was asked for."""
    text = form.get("value", "").strip()[:200]
    values, errors = (
        ({field: "unlimited"}, {})
        if text.lower() == "unlimited"
        else read_values({field: "value"}, {field: text})
        if text
        else ({}, {})
    )
    until_text = form.get("until", "").strip()[:20]
    until, until_error = read_until(until_text, now)
    return Decision(
        value_text=text,
        until_text=until_text,
        answer=form.get("answer", "").strip()[:500],
        value=values.get(field),
        until=until,
        value_error=errors.get(field, ""),
        until_error=until_error,
        revision=read_revision(form.get("revision", "")),
        seen=form.get("confirmed", "")[:100],
    )


class DecidePage(LimitsAdminHandler):
    """Grants or declines one request."""

    async def get(self, number: str, decision: str) -> None:
        self.show_form(await self.find(int(number)), decision, None)

    async def post(self, number: str, decision: str) -> None:
        found = await self.find(int(number))
        typed = read_decision(found.field, self.form(), self.now())
        if decision == "grant" and (typed.value_error or typed.until_error):
            self.show_form(found, decision, typed)
            return
        body: dict[str, Any] = {"answer": typed.answer}
        if decision == "grant":
            body |= {"value": typed.value, "until": typed.until, "revision": typed.revision}
        try:
            await self.send(found.id, decision, body, typed.seen)
        except PublicError as error:
            await self.refused(found, decision, typed, error)
            return
        word = "granted" if decision == "grant" else "declined"
        self.done(f"The request of {found.user} was {word}.", "admin/limits/requests")

    async def send(self, number: int, decision: str, body: dict[str, Any], seen: str) -> None:
        limits = self.services.limits
        if decision == "grant":
            await confirmed(lambda sure: limits.decide(self.token, number, decision, {**body, "confirmed": sure}), seen)
        else:
            await limits.decide(self.token, number, decision, body)

    async def refused(self, found: LimitRequest, decision: str, typed: Decision, error: PublicError) -> None:
        """Show the form again with why nothing was decided."""
        beside = field_error(error, FIELDS)
        if beside is not None:
            self.show_form(found, decision, replace(typed, value_error=beside[1]))
        elif error.code == "limits-need-confirmation":
            self.show_form(found, decision, typed, warnings=warnings_of(error))
        elif error.code == "limits-changed":
            # With the values as they are now, so that the same button decides about those.
            self.show_form(await self.find(found.id), decision, typed, error)
        else:
            self.show_form(found, decision, typed, error)

    def show_form(
        self,
        found: LimitRequest,
        decision: str,
        typed: Decision | None,
        refusal: PublicError | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        view = request_view(found, self.now())
        self.show(
            "portal/limits_decide.html",
            request=view,
            decision=decision,
            typed=typed or Decision(value_text=view.wanted_text),
            refusal=refusal,
            revision=found.revision,
            warnings=warnings,
            seen=warnings_digest(warnings),
        )

    async def find(self, number: int) -> LimitRequest:
        """Return an open request."""
        found = await self.services.limits.request(self.token, number)
        if found.state != "open":
            by = f" by {found.decided_by}" if found.decided_by else ""
            raise PublicError(
                "request-decided",
                f"This request was already {found.state}{by}.",
                remedy="See all requests for what became of it.",
                status=409,
            )
        return found
