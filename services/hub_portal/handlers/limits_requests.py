"""People's requests for more, and deciding about them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub_ext.errors import PublicError

from ..limits_models import LimitRequest, LimitRequests, PersonLimits, Value
from ..views.limits_typed import read_until, read_values
from ..views.limits_words import request_view
from .base import gathered
from .limits_base import LimitsAdminHandler
from .limits_history import page_of

PER_PAGE = 50
MOST_LOOKED_AT = 200
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
            body |= {"value": typed.value, "until": typed.until}
        try:
            await self.services.limits.decide(self.token, found.id, decision, body)
        except PublicError as error:
            self.show_form(found, decision, typed, error)
            return
        word = "granted" if decision == "grant" else "declined"
        self.done(f"The request of {found.user} was {word}.", "admin/limits/requests")

    def show_form(
        self, found: LimitRequest, decision: str, typed: Decision | None, refusal: PublicError | None = None
    ) -> None:
        view = request_view(found, self.now())
        self.show(
            "portal/limits_decide.html",
            request=view,
            decision=decision,
            typed=typed or Decision(value_text=view.wanted_text),
            refusal=refusal,
        )

    async def find(self, number: int) -> LimitRequest:
        """Return an open request."""
        listed = await self.services.limits.requests(self.token, {"state": "open", "per_page": MOST_LOOKED_AT})
        for one in listed.requests:
            if one.id == number:
                return one
        raise PublicError(
            "no-such-request",
            "There is no such open request: it was decided or taken back.",
            remedy="See all requests for what became of it.",
            status=404,
        )
