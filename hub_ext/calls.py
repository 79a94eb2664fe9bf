"""Calls to other services: counted when they bring no answer, and the smallest one there is."""

from prometheus_client import Counter
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

CALL_FAILURES = Counter(
    "hub_ext_call_failures_total", "Calls to another service that brought no answer, by whom was called", ["to"]
)


async def answers(http: AsyncHTTPClient, url: str, timeout: float, ca_certs: str | None = None) -> str:
    """Say in a health check that whoever is at `url` answers.

    Raises
    ------
    HTTPClientError
        It answers that it can't work.
    OSError
        It does not answer.
    """
    request = HTTPRequest(
        url, connect_timeout=timeout, request_timeout=timeout, follow_redirects=False, ca_certs=ca_certs
    )
    response = await http.fetch(request, raise_error=False)
    if response.code >= 500:
        raise HTTPClientError(response.code)
    return "answers"
