"""What the gateway runs on: its event loop, and as many open files as it may have."""

import asyncio
import resource
from collections.abc import Coroutine
from typing import Any


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
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
