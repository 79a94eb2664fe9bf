"""The addresses of the API of limits: the one table that requests and the API's document both come from."""

import re
from typing import Any

from ..limits_api.api import LimitsApi
from ..limits_api.openapi import Route, document
from .base import Parts
from .limits_base import LimitsHandler, operation
from .limits_history import ExportHandler, HistoryHandler, ImportHandler, UndoHandler
from .limits_requests import (
    DeclineHandler,
    GrantHandler,
    MyHandler,
    MyRequestHandler,
    MyRequestsHandler,
    RequestHandler,
    RequestsHandler,
)
from .limits_subjects import DefaultHandler, GroupHandler, GroupsHandler
from .limits_users import BatchHandler, PreviewHandler, UserHandler, UsersHandler


class DocumentHandler(LimitsHandler):
    @operation("Give this document.", dict, rights="any")
    async def get(self) -> dict[str, Any]:
        return api_document(self.request.path.removesuffix("openapi.json"))


ADDRESSES: dict[str, type[LimitsHandler]] = {
    "users": UsersHandler,
    "users/{name}": UserHandler,
    "groups": GroupsHandler,
    "groups/{name}": GroupHandler,
    "default": DefaultHandler,
    "preview": PreviewHandler,
    "batch": BatchHandler,
    "history": HistoryHandler,
    "history/{batch}/undo": UndoHandler,
    "export": ExportHandler,
    "import": ImportHandler,
    "requests": RequestsHandler,
    "requests/{number}": RequestHandler,
    "requests/{number}/grant": GrantHandler,
    "requests/{number}/decline": DeclineHandler,
    "my": MyHandler,
    "my/requests": MyRequestsHandler,
    "my/requests/{number}": MyRequestHandler,
    "openapi.json": DocumentHandler,
}
METHODS = ("get", "post", "patch", "delete")


def limits_handlers(prefix: str, parts: Parts, limits: LimitsApi) -> list[Any]:
    """Return the URL table of the API below ``{prefix}limits/``."""
    settings = {"parts": parts, "limits": limits}
    return [(f"{prefix}limits/{_pattern(address)}", handler, settings) for address, handler in ADDRESSES.items()]


def _pattern(address: str) -> str:
    return re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(address))


def routes() -> list[Route]:
    """Return every operation with its address."""
    return [
        Route(method, address, getattr(handler, method).operation)
        for address, handler in ADDRESSES.items()
        for method in METHODS
        if hasattr(getattr(handler, method), "operation")
    ]


def api_document(base: str = "/services/gateway/limits/") -> dict[str, Any]:
    """Return the OpenAPI document of the API at `base`."""
    return document(routes(), base)
