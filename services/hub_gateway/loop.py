"""The event loop that the gateway runs on."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` on uvloop where that is installed, else on asyncio's own loop.

    Everything works on both; small messages pass with less work on uvloop (see ``bench/traffic.py``).
    """
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
