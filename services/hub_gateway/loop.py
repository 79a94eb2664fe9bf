"""What the gateway runs on: its event loop, and as many open files as it may have."""

import asyncio
import logging
import resource
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("hub_gateway")


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` on uvloop where that is installed, else on asyncio's own loop.

    Everything works on both; small messages pass with less work on uvloop (see ``bench/traffic.py``).
    """
    open_files()
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def open_files() -> None:
    """Allow as many as the system lets: each kernel websocket takes two, and the usual limit is 1024."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as error:
        # As where "unlimited" is more than the system takes, or a sandbox forbids the call.
        log.warning("The gateway stays at %d open files, two for each kernel websocket: %s", now, error)
