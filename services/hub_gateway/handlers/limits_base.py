"""The API of limits: who may call what, and how a request becomes a call of the domain."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

from hub_ext.errors import PublicError

from ..limits_api.api import LimitsApi
from ..limits_api.operations import YAML, Operation, read_json, read_path, read_query, read_text
from .base import GatewayHandler, Parts


def operation(summary: str, answer: Any, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Awaitable[None]]]:
    """Make a method an operation of the API: it gets checked arguments, and what it returns is the answer.

    Parameters
    ----------
    summary, answer, **more
        See `Operation`.
    """
    declared = Operation(summary, answer, **more)

    def mark(method: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
        @functools.wraps(method)
        async def called(self: "LimitsHandler", **path: str) -> None:
            self.answer(declared, await method(self, **self.asked(declared, path)))

        called.operation = declared  # type: ignore[attr-defined]  # a function takes attributes
        return called

    return mark


class LimitsHandler(GatewayHandler):
    """Checks rights and requests as the called method's `Operation` says, and writes what it returns."""

    limits: LimitsApi

    def initialize(self, parts: Parts, limits: LimitsApi | None = None) -> None:
        super().initialize(parts)
        if limits is not None:
            self.limits = limits

    def authorize(self) -> None:
        """Ask the called operation who may call it; a method without one is refused as everywhere."""
        operation = self.operation()
        if operation is None or operation.rights == "any" or self.identity.limits_admin:
            return
        if operation.rights == "self" and self.identity.is_user and self.path_kwargs.get("name") == self.identity.name:
            return
        raise PublicError(
            "not-a-limits-admin",
            "Only administrators of limits may do this.",
            remedy=f"You are logged in as {self.identity.name}. 'My limits' shows your own limits.",
        )

    def operation(self) -> Operation | None:
        """Return what is declared beside the method of this request."""
        method = getattr(self, (self.request.method or "").lower(), None)
        return getattr(method, "operation", None)

    @property
    def who(self) -> str:
        """The caller's name for the history."""
        name = self.identity.name
        if not self.identity.is_user:
            return f"service {name}"
        # No user is taken for a service, or for what changes limits by itself.
        return f"user {name}" if name.startswith(("(", "service ", "user ")) else name

    @property
    def myself(self) -> str:
        """The caller as a user.

        Raises
        ------
        PublicError
            ``not-yours`` for a service, which has no limits.
        """
        if not self.identity.is_user:
            raise PublicError("not-yours", "A service has no limits of its own.")
        return self.identity.name

    def raw_body(self) -> bytes:
        """Return the request's body.

        Raises
        ------
        PublicError
            ``request-too-large``.
        """
        if self._received > self._maximum:
            self.body()
        return b"".join(self._chunks)

    def asked(self, operation: Operation, path: dict[str, str]) -> dict[str, Any]:
        """Return the checked arguments of the called method."""
        asked = read_path(path)
        if operation.query is not None:
            asked["query"] = read_query(operation.query, self.request.query_arguments)
        if operation.body is str:
            asked["body"] = read_text(self.raw_body())
        elif operation.body is not None:
            asked["body"] = read_json(operation.body, self.raw_body())
        return asked

    def answer(self, operation: Operation, answer: Any) -> None:
        """Write what the called method returned."""
        if operation.answer is None:
            self.no_content()
        elif isinstance(answer, BaseModel):
            self.write_json(answer.model_dump_json(), operation.status)
        elif operation.answer is str:
            self.set_header("Content-Type", f"{YAML}; charset=utf-8")
            self.finish(answer)
        else:
            self.write_json(answer, operation.status)
