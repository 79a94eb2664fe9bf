"""Blocking calls beside the event loop."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call `function` in a worker thread and wait for its result."""
    return await asyncio.get_running_loop().run_in_executor(None, partial(function, *args))
