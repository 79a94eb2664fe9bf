"""Who may call: every request is checked here before anything else happens."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from jupyterhub.services.auth import HubAuth
from tornado import web
from tornado.http1connection import HTTP1Connection

from hub_ext.errors import PublicError
from hub_ext.logs import about
from hub_ext.web.handlers import JSONHandler
from hub_ext.web.identity import Identity, header_token, identity_of

from ..catalogue import Person
from ..lifecycle import Lifecycle
from ..people_notes import PeopleNotes
from ..sockets import Sockets
from ..upstream import EnterpriseGateway
from ..warm import WarmStarts


@dataclass(frozen=True)
class Parts:
    """What handlers work with. Times are seconds."""

    lifecycle: Lifecycle
    upstream: EnterpriseGateway
    hub_auth: HubAuth
    maximum_body_bytes: int
    maximum_upload_bytes: int
    reauthorize_interval: float
    connect_timeout: float
    sockets: Sockets
    warm: WarmStarts
    #: Told of everyone who comes.
    notes: PeopleNotes | None = None


@web.stream_request_body
class GatewayHandler(JSONHandler):
    """Identity from the Hub token and from nothing else; a bounded request body.

    The body is read in pieces, so that one that is too large is refused without being kept, and the client can still
    read the refusal.
    """

    identity: Identity
    #: The user named in the path.
    owner: str = ""
    _token: str = ""

    def initialize(self, parts: Parts) -> None:
        self.parts = parts
        self.lifecycle = parts.lifecycle
        self.hub_auth = parts.hub_auth
        self._maximum = parts.maximum_body_bytes
        self._chunks: list[bytes] = []
        self._received = 0
        self.client_gone = asyncio.Event()

    def data_received(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if self._received <= self._maximum:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    def body(self) -> dict[str, Any]:
        """Return the request's JSON object.

        Raises
        ------
        PublicError
            ``request-too-large`` with the numbers, or ``bad-request``.
        """
        if self._received > self._maximum:
            raise PublicError(
                "request-too-large",
                f"The request has {self._received} bytes; the largest that is taken has {self._maximum}.",
            )
        return self.json_body(b"".join(self._chunks))

    async def prepare(self) -> None:
        # Before anything is awaited: the body is read from then on.
        if isinstance(self.request.connection, HTTP1Connection):
            self.request.connection.set_max_body_size(self.parts.maximum_upload_bytes)
        self._token = header_token(self.request.headers)
        self.identity = await self.authenticate()
        if self.parts.notes is not None:
            self.parts.notes.came(self.identity)
        self.owner = self.path_kwargs.get("owner", self.identity.name)
        about(user=self.owner, kernel=self.path_kwargs.get("kernel_id", ""))
        self.authorize()

    async def authenticate(self, *, use_cache: bool = True) -> Identity:
        """Ask the Hub whose token this is.

        Raises
        ------
        PublicError
            ``login-expired``, ``not-yours`` or ``hub-unreachable``.
        """
        if not self._token:
            raise PublicError(
                "login-expired",
                "This request carries no Hub token.",
                remedy="Send the header 'Authorization: token …'. A token in the address is not read.",
            )
        try:
            model = await self.hub_auth.user_for_token(self._token, use_cache=use_cache, sync=False)
        except web.HTTPError as error:
            raise PublicError(
                "hub-unreachable",
                "JupyterHub does not answer, so it can't be checked who you are.",
                remedy="Running kernels go on. Try again in a minute.",
            ) from error
        if model is None:
            raise PublicError(
                "login-expired",
                "Your login has expired, or your notebook server's token was revoked.",
                remedy="Log in again and restart your notebook server from the Hub's home page.",
            )
        identity = identity_of(model)
        if not self.hub_auth.check_scopes(self.hub_auth.access_scopes, model):
            raise PublicError("not-yours", "This token may not use the gateway.", remedy="It lacks the scope for it.")
        return identity

    def authorize(self) -> None:
        """Let a user reach their own part only, and an administrator's token with the right scope every part."""
        own = self.identity.is_user and self.identity.name == self.owner
        if not own and not self.identity.kernels_admin:
            raise PublicError(
                "not-yours",
                f"You are logged in as {self.identity.name}; this belongs to somebody else.",
            )

    @property
    def person(self) -> Person:
        """For whom the lifecycle acts."""
        own = self.identity.name == self.owner
        return Person(
            name=self.owner,
            groups=self.identity.groups if own else frozenset(),
            admin=self.identity.kernels_admin,
            server=self.identity.server if own else None,
            own=own and self.identity.is_user,
        )

    def on_connection_close(self) -> None:
        self.client_gone.set()

    def no_content(self) -> None:
        """Answer 204, as Jupyter's API does."""
        self.set_status(204)
        self.clear_header("Content-Type")
        with contextlib.suppress(web.Finish):
            self.finish()


class ClosedHandler(GatewayHandler):
    """Sessions belong to the notebook server; through Enterprise Gateway they would start kernels past every
    check."""

    async def prepare(self) -> None:
        await super().prepare()
        raise PublicError(
            "sessions-closed",
            "Sessions are not available through the gateway.",
            remedy="Start kernels by POST …/api/kernels.",
        )


class VersionHandler(GatewayHandler):
    """``GET …/api``: what clients ask first."""

    def get(self, owner: str) -> None:
        self.write_json({"version": self.settings["version"], "gateway_version": self.settings["version"]})
