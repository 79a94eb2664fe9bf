"""What kernelspecs are called: asked of Enterprise Gateway now and then, and never a reason to fail."""

import asyncio
import time
from collections.abc import Mapping

from hub_ext.errors import PublicError
from hub_ext.kernels import definition_of

from ..upstream import EnterpriseGateway

#: Seconds for which one answer serves everybody, and that anybody waits for a new one.
FRESH = 30.0
PATIENCE = 3.0


class DisplayNames:
    """Keeps the last names that were told."""

    def __init__(self, upstream: EnterpriseGateway) -> None:
        self._upstream = upstream
        self._names: Mapping[str, str] = {}
        self._asked_at = float("-inf")

    async def all(self) -> Mapping[str, str]:
        """Return kernelspec names with their display names; those of last time while nobody answers."""
        if time.monotonic() - self._asked_at > FRESH:
            self._asked_at = time.monotonic()
            try:
                answer = await asyncio.wait_for(self._upstream.kernelspecs(), PATIENCE)
            except (PublicError, TimeoutError, asyncio.TimeoutError):
                return self._names
            models = answer.get("kernelspecs") or {}
            self._names = {name: definition_of(name, model).display_name for name, model in models.items()}
        return self._names
