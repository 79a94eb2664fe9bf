"""My limits: what each is, where it comes from, what I hold of it; and asking for more."""

from typing import Any

from hub_ext.errors import PublicError
from hub_ext.limits.fields import FIELDS

from ..limits_models import Limit, LimitRequests, MyLimits
from ..views.limits import hint, label, source_words, value_words
from ..views.limits_typed import read_values
from ..views.limits_words import request_view
from ..views.my_limits import largest_view, largest_words, limit_groups, refused_views, stopping_rows, unlimited_words
from .base import gathered
from .limits_base import FormHandler

MOST_REASON = 500
#: Older ones of a person are not shown to them any more.
MOST_REQUESTS = 10


class MyLimitsPage(FormHandler):
    """A person's own limits."""

    template = "portal/my_limits.html"

    def login_target(self) -> str:
        return f"{self.portal_url}my-limits"

    async def get(self) -> None:
        self.show(self.template, **await self.values(), flash=self.take_flash())

    async def values(self) -> dict[str, Any]:
        """Ask for limits and requests; each may fail on its own."""
        found, asked, kernels = await gathered(
            self.part(self.services.limits.mine(self.token)),
            self.part(self.services.limits.my_requests(self.token)),
            self.part(self.services.gateway.kernels(self.who.name, self.token)),
        )
        mine: MyLimits | None = found.value
        requests: LimitRequests = asked.value or LimitRequests()
        return {
            "limits_error": found.error,
            "stopping": stopping_rows(kernels.value or (), mine, self.now()),
            "groups": limit_groups(mine, self.now()) if mine else (),
            "unlimited": unlimited_words(mine) if mine else "",
            "over": [label(name) for name in mine.over] if mine else (),
            "largest": largest_view(mine.largest) if mine else None,
            "cluster_error": mine.cluster_error if mine else "",
            "kernel_count": len(mine.kernels) if mine else 0,
            "refused": refused_views(mine.refused) if mine else (),
            "requests_error": asked.error,
            "requests": [request_view(one, self.now()) for one in requests.requests[:MOST_REQUESTS]],
        }


class MyLimitsLive(MyLimitsPage):
    """What changes on that page."""

    template = "portal/my_limits_live.html"

    async def get(self) -> None:
        self.show(self.template, **await self.values())


class LargestWords(MyLimitsPage):
    """The largest kernel that could start now, in words, for the box on the Hub's own pages."""

    def check_xsrf_cookie(self) -> None:
        """Answer a script of the Hub's pages, which can't have this service's token: nothing is changed here."""

    def _ask_to_log_in(self) -> None:
        """Have nothing to say to who has not been on these pages yet: no script walks through a login."""
        self.finish({"words": ""})

    async def get(self) -> None:
        found = await self.part(self.services.limits.mine(self.token))
        mine: MyLimits | None = found.value
        words = largest_words(mine.largest, mine.cluster_error or "") if mine else ""
        self.finish({"words": words or (found.error.message if found.error else "")})


class AskPage(FormHandler):
    """Asks for more of one limit."""

    def login_target(self) -> str:
        return f"{self.portal_url}my-limits"

    async def get(self, field: str) -> None:
        await self.show_form(known(field))

    async def post(self, field: str) -> None:
        form = self.form()
        text, reason = form.get("wanted", "").strip()[:200], form.get("reason", "").strip()[:MOST_REASON]
        values, errors = read_values({known(field): "value"}, {field: text})
        if text.lower() == "unlimited":
            values, errors = {field: "unlimited"}, {}
        if errors:
            await self.show_form(field, text, reason, errors[field])
            return
        try:
            await self.services.limits.ask(self.token, field, values[field], reason)
        except PublicError as error:
            await self.show_form(field, text, reason, refusal=error)
            return
        message = f"You have asked for {value_words(field, values[field])} ({label(field).lower()}). "
        self.done(message + "The answer shows up here.", "my-limits")

    async def show_form(
        self, field: str, wanted: str = "", reason: str = "", error: str = "", refusal: PublicError | None = None
    ) -> None:
        mine = await self.part(self.services.limits.mine(self.token))
        limit = mine.value.limits.get(field, Limit()) if mine.value else Limit()
        self.show(
            "portal/limits_ask.html",
            field=field,
            label=label(field),
            hint=hint(field),
            current=value_words(field, limit.value),
            source=source_words(limit, self.now()),
            wanted=wanted,
            reason=reason,
            error=error,
            refusal=refusal,
        )


class WithdrawPage(FormHandler):
    """Takes an own request back."""

    def login_target(self) -> str:
        return f"{self.portal_url}my-limits"

    async def get(self, number: str) -> None:
        self.redirect(f"{self.portal_url}my-limits")

    async def post(self, number: str) -> None:
        await self.services.limits.withdraw(self.token, int(number))
        self.done("Your request was taken back.", "my-limits")


def known(field: str) -> str:
    """Return a limit's name, or say that there is none of that name."""
    if field not in FIELDS:
        raise PublicError("no-such-page", "There is no limit of that name.")
    return field
