"""Base of every request handler: errors in one shape, a request id in every log line, no secret in any."""

import json
import logging
from http.client import responses
from typing import Any

from tornado import web

from ..errors import PublicError, as_json, internal_error
from ..logs import REQUEST_ID_HEADER, begin, checked_request_id

log = logging.getLogger("hub_ext.web")


class BaseHandler(web.RequestHandler):
    """Turns every error into a `PublicError` and shows that; what is not public is logged with a reference."""

    request_id: str = ""

    def set_default_headers(self) -> None:
        # Called once more when an answer becomes an error: that is still the same request.
        if not self.request_id:
            self.request_id = checked_request_id(self.request.headers.get(REQUEST_ID_HEADER))
            begin(self.request_id)
        self.clear_header("Server")
        self.set_header(REQUEST_ID_HEADER, self.request_id)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")

    def public_error(self, error: BaseException | None, status: int) -> PublicError:
        """Say what the person may see of `error`."""
        if isinstance(error, PublicError):
            return error
        if isinstance(error, web.HTTPError):
            return _of_http_error(error)
        public = internal_error(self.request_id)
        log.error("Unexpected error", exc_info=error)
        return public

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log nothing here: `public_error` logs what is unexpected, once."""

    def _handle_request_exception(self, e: BaseException) -> None:
        if isinstance(e, PublicError) and not self._finished:
            self.send_error(e.status, exc_info=(type(e), e, e.__traceback__))
            return
        super()._handle_request_exception(e)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = self.public_error((kwargs.get("exc_info") or (None, None))[1], status_code)
        self.set_status(error.status, responses.get(error.status, "Error"))
        self.render_public_error(error)

    def render_public_error(self, error: PublicError) -> None:
        """Write the answer; pages override this."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(as_json(error)))


class JSONHandler(BaseHandler):
    """A handler of an API: reads and writes JSON."""

    def write_json(self, value: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(value if isinstance(value, (str, bytes)) else json.dumps(value))

    def json_body(self, body: bytes | None = None) -> dict[str, Any]:
        """Return the body as a JSON object; an empty body is an empty object."""
        raw = self.request.body if body is None else body
        if not raw.strip():
            return {}
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise PublicError("bad-request", "The request body is not JSON.") from error
        if not isinstance(value, dict):
            raise PublicError("bad-request", "The request body has to be a JSON object.")
        return value


class NotFoundHandler(BaseHandler):
    """Answers every path that is not part of a service."""

    def prepare(self) -> None:
        raise PublicError("no-such-page", "There is nothing at this address.")


def _of_http_error(error: web.HTTPError) -> PublicError:
    known = {
        401: ("login-expired", "You are not logged in, or your login has expired."),
        403: ("not-yours", "You may not do this."),
        404: ("no-such-page", "There is nothing at this address."),
        405: ("method-not-allowed", "This address does not take that method."),
        413: ("request-too-large", "The request is too large."),
    }
    code, message = known.get(error.status_code, ("bad-request", "The request can't be understood."))
    if error.status_code >= 500:
        code, message = "hub-unreachable", "JupyterHub does not answer, so it can't be checked who you are."
    return PublicError(code, message, status=error.status_code if error.status_code < 500 else 503)


def log_request(handler: web.RequestHandler) -> None:
    """Log one line a request: method, path without its query, status, milliseconds."""
    request = handler.request
    path = request.path.split("?", 1)[0]
    level = logging.WARNING if handler.get_status() >= 500 else logging.INFO
    if path.endswith(("/health", "/health/live", "/metrics")):
        level = logging.DEBUG
    log.log(
        level,
        "%s %s %s %.0f ms",
        request.method,
        path,
        handler.get_status(),
        request.request_time() * 1000,
    )
