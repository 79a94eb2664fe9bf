"""Base of the pages for those who set limits, and what forms of limits need."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from hub_ext.errors import PublicError

from ..views.limits_form import warnings_digest
from .base import PortalHandler, gathered

T = TypeVar("T")


class FormHandler(PortalHandler):
    """A page with a form that a script may send in place; without scripts it leads to the page `done` names."""

    def query(self) -> dict[str, str]:
        """Return the address's parameters, the last of each name."""
        return {name: self.get_query_argument(name) for name in self.request.query_arguments}

    def form(self) -> dict[str, str]:
        """Return what was typed, the last of each name."""
        return {name: self.get_body_argument(name) for name in self.request.body_arguments}

    def say(self, message: str, **events: Any) -> None:
        """Tell the page's script a message and further events; header text is ASCII."""
        self.set_header("HX-Trigger", json.dumps({"portal-said": message, **events}))

    def done(self, message: str, page: str) -> None:
        """Finish: a script closes the dialog and asks anew for what it shows, anything else goes to `page`."""
        if self.is_fragment:
            self.say(message, **{"portal-close": "", "limits-changed": ""})
            self.set_status(204)
            self.finish()
            return
        self.flash(message)
        self.redirect(f"{self.portal_url}{page}", status=303)


class LimitsAdminHandler(FormHandler):
    """A page for those who may set limits."""

    async def prepare(self) -> None:
        await super().prepare()
        if self._finished or self.who.limits_admin:
            return
        raise PublicError(
            "not-a-limits-admin",
            "This page is for those who set limits.",
            details=["It needs to be an administrator of the Hub, or the scope custom:limits:admin."],
            remedy="Your own limits are under My limits, where you can also ask for more.",
            status=403,
        )

    def login_target(self) -> str:
        return f"{self.portal_url}admin/limits"

    async def tabs(self) -> dict[str, Any]:
        """Ask for what stands on every tab: how many people, groups and open requests there are."""
        limits = self.services.limits
        requests, people, groups = await gathered(
            self.part(limits.requests(self.token, {"state": "open", "per_page": 1})),
            self.part(limits.people(self.token, {"per_page": 1})),
            self.part(limits.groups(self.token)),
        )
        return {
            "open_requests": requests.value.open if requests.value else 0,
            "counts": people.value.counts if people.value else {},
            "groups": len(groups.value) if groups.value is not None else None,
        }


async def confirmed(send: Callable[[bool], Awaitable[T]], seen: str) -> T:
    """Send a change, and once more as confirmed if its warnings are those that the person has seen.

    Parameters
    ----------
    send : callable
        Sends the change; its argument says whether the warnings are confirmed.
    seen : str
        `warnings_digest` of what was shown; empty for nothing.
    """
    try:
        return await send(False)
    except PublicError as error:
        if error.code != "limits-need-confirmation" or not seen or seen != warnings_digest(warnings_of(error)):
            raise
    return await send(True)


def warnings_of(error: PublicError) -> tuple[str, ...]:
    """Return the warnings that the gateway wants to be confirmed."""
    return tuple(error.details) or (error.message,)
