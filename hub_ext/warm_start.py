"""What the Hub tells the gateway when a notebook server starts, so that its owner's last kernel can start beside it."""

import logging

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

log = logging.getLogger("hub_ext")


async def announce(gateway: str, token: str, timeout: float = 10.0) -> None:
    """Say that a notebook server starts. A gateway that does not take it only means that no kernel starts beside it.

    Parameters
    ----------
    gateway : str
        The gateway's address with the user's part.
    token : str
        The notebook server's own.
    timeout : float
        Seconds.
    """
    request = HTTPRequest(
        f"{gateway}/api/warm-start",
        method="POST",
        headers={"Authorization": f"token {token}"},
        body=b"",
        connect_timeout=timeout,
        request_timeout=timeout,
        follow_redirects=False,
    )
    # A client of its own: the Hub's other calls do not wait behind a gateway that hangs.
    client = AsyncHTTPClient(force_instance=True)
    try:
        await client.fetch(request)
    except (OSError, HTTPClientError) as error:
        log.info("The gateway was not told that a notebook server starts: %s", error)
    finally:
        client.close()
