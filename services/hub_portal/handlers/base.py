"""Base of the pages: login with the Hub, rendering in the Hub's look, parts that fail on their own."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Generic, TypeVar

from jinja2 import Environment
from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler, HubOAuthenticated, UserNotAllowed

from hub_ext.cluster import Applications
from hub_ext.edge import EdgeClient
from hub_ext.errors import PublicError, internal_error
from hub_ext.logs import about
from hub_ext.names import cluster_user
from hub_ext.web.handlers import BaseHandler
from hub_ext.web.identity import Identity, identity_of

from ..gateway import GatewayClient
from ..hub import HubClient
from ..limits_client import LimitsClient
from ..rendering import hub_context, page_user

log = logging.getLogger("hub_portal.handlers")

T = TypeVar("T")

FLASH_COOKIE = "portal-flash"
#: The Hub's base page has a script of its own inside; nothing is loaded from elsewhere, and nothing frames our pages.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Services:
    """What every handler works with; made once when the portal starts."""

    environment: Environment
    gateway: GatewayClient
    limits: LimitsClient
    edge: EdgeClient
    hub: HubClient
    base_url: str
    hub_prefix: str
    prefix: str
    user_domain: str
    live_scripts: bool

    async def pages(self) -> str:
        """Say in a health check that there are pages to show."""
        self.environment.get_template("portal/error.html")
        return "can be shown"


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of a page: its value, or why it is not there."""

    value: T | None = None
    error: PublicError | None = None


class PortalHandler(HubOAuthenticated, BaseHandler):
    """A page for people who are logged in."""

    identity: Identity | None = None

    def initialize(self, services: Services) -> None:
        self.services = services

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.set_header("Referrer-Policy", "same-origin")

    @property
    def portal_url(self) -> str:
        """Path of the landing page."""
        return self.services.prefix

    @property
    def is_fragment(self) -> bool:
        """True for a request that a script makes: it can't follow a login."""
        mode = self.request.headers.get("Sec-Fetch-Mode", "navigate")
        return "HX-Request" in self.request.headers or mode not in ("navigate", "no-cors")

    @property
    def who(self) -> Identity:
        """The person who asks; `prepare` made sure that there is one."""
        if self.identity is None:
            raise login_expired()
        return self.identity

    @property
    def token(self) -> str:
        """The person's own token, with which everything is asked for."""
        return str(self.hub_auth.get_token(self) or "")

    async def prepare(self) -> None:
        # Asked here because tornado's own way (get_current_user) would block the loop while the Hub answers.
        model = await self.hub_auth.get_user(self, sync=False)
        self.current_user = None
        if not model:
            self._ask_to_log_in()
            return
        try:
            self.check_hub_user(model)
        except UserNotAllowed as error:
            raise PublicError(
                "not-yours", "You may not open these pages.", remedy="Ask your Hub administrator for access."
            ) from error
        identity = identity_of(model)
        if not identity.is_user:
            raise PublicError("not-yours", "These pages are for people, not for services.")
        self.current_user = model
        self.identity = identity
        about(user=identity.name)

    def _ask_to_log_in(self) -> None:
        """Send a page to the login; tell a script, which could only run in circles there."""
        if self.is_fragment or self.request.method not in ("GET", "HEAD"):
            raise login_expired()
        self.redirect(self.get_login_url())

    def login_target(self) -> str:
        """Return the page that a script's request belongs to."""
        return self.portal_url

    def context(self) -> dict[str, Any]:
        """Return what every template gets."""
        who = self.identity
        scopes = who.scopes | ({"admin-ui"} if who.admin else set()) if who else frozenset()
        return {
            **hub_context(
                self.services.base_url, self.services.hub_prefix, page_user(who.name) if who else None, scopes
            ),
            "portal_url": self.portal_url,
            "portal_static": self.static_url,
            "live_scripts": self.services.live_scripts,
            "xsrf_token": self.xsrf_token.decode("ascii"),
            "kernels_admin": bool(who and who.kernels_admin),
            "limits_admin": bool(who and who.limits_admin),
            "flash": "",
        }

    def show(self, template: str, **values: Any) -> None:
        """Render a template and finish."""
        context = {**self.context(), **values}
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(self.services.environment.get_template(template).render(context))

    def render_public_error(self, error: PublicError) -> None:
        if self.is_fragment:
            if error.code == "login-expired" and self.request.method in ("GET", "HEAD"):
                # The script leads there as a whole page, which can walk through the login. What was sent from a form
                # would be lost there: it stays, and the words of this error stand with it.
                self.set_header("HX-Redirect", self.login_target())
            template = self.services.environment.from_string(
                '{% from "portal/parts.html" import problem %}{{ problem(error) }}'
            )
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.finish(template.render(error=error))
            return
        self.show("portal/error.html", error=error)

    async def part(self, asked: Awaitable[T]) -> Part[T]:
        """Wait for one part of a page; what fails becomes a text in its place."""
        try:
            return Part(value=await asked)
        except PublicError as error:
            return Part(error=error)
        except Exception:
            log.exception("Part of a page failed")
            return Part(error=internal_error(self.request_id))

    async def own_applications(self) -> Applications:
        """Ask for the person's unfinished applications."""
        owner = cluster_user(self.who.name, self.services.user_domain)
        return await self.services.edge.applications(cluster_user=owner, user=self.who.name)

    @staticmethod
    def now() -> datetime:
        return datetime.now(timezone.utc)

    def flash(self, message: str) -> None:
        """Keep a message for the next page; signed, so that no link can put words into our mouth."""
        self.set_secure_cookie(
            FLASH_COOKIE, message, expires_days=None, path=self.portal_url, httponly=True, samesite="Lax"
        )

    def take_flash(self) -> str:
        """Return the message for this page, once."""
        message = self.get_secure_cookie(FLASH_COOKIE, max_age_days=1)
        if message is None:
            return ""
        self.clear_cookie(FLASH_COOKIE, path=self.portal_url)
        return message.decode()


class CallbackHandler(HubOAuthCallbackHandler, BaseHandler):
    """Ends the login. Finds out asynchronously who it is, since the class above would block for it."""

    def initialize(self, services: Services) -> None:
        self.services = services

    async def prepare(self) -> None:
        await self.hub_auth.get_user(self, sync=False)

    render_public_error = PortalHandler.render_public_error
    show = PortalHandler.show
    context = PortalHandler.context
    portal_url = PortalHandler.portal_url
    is_fragment = PortalHandler.is_fragment
    login_target = PortalHandler.login_target
    identity = None


class NoSuchPageHandler(PortalHandler):
    """Answers every other path."""

    async def prepare(self) -> None:
        await super().prepare()
        if not self._finished:
            raise PublicError("no-such-page", "There is no page at this address.")


def login_expired() -> PublicError:
    """Make the error for a request that can't be sent to the login."""
    return PublicError(
        "login-expired",
        "You are not logged in any more, or this page is too old.",
        remedy="Nothing was saved. Load the page again, then repeat what you did.",
    )


async def gathered(*parts: Awaitable[Any]) -> list[Any]:
    """Wait for several parts at the same time."""
    return list(await asyncio.gather(*parts))


def make_auth(cache_seconds: int) -> HubOAuth:
    """Make the Hub's login for this process; answers about tokens are kept for a short time."""
    return HubOAuth.instance(cache_max_age=cache_seconds)


async def token_scopes(token: str) -> frozenset[str]:
    """Return the scopes of a Hub token; none of one that the Hub does not know."""
    model = await HubOAuth.instance().user_for_token(token, sync=False)
    return identity_of(model).scopes if model else frozenset()
