"""Restarting a kernel over HTTP, with an answer that says why it can't be.

The stock handler answers every failure of a restart with "Exception restarting kernel" and a traceback.
"""

import json
from typing import Any

from enterprise_gateway.mixins import CORSMixin, JSONErrorsMixin, TokenAuthorizationMixin
from jupyter_server.services.kernels import handlers as stock
from jupyter_server.utils import ensure_async
from tornado import web


class KernelActionHandler(TokenAuthorizationMixin, CORSMixin, JSONErrorsMixin, stock.KernelActionHandler):
    """Passes the cause of a failed restart on, in the form that failed starts have."""

    async def post(self, kernel_id: str, action: str) -> None:
        """Interrupt or restart."""
        if action != "restart":
            await ensure_async(super().post(kernel_id, action))
            return
        manager: Any = self.kernel_manager
        try:
            await manager.restart_kernel(kernel_id)
        except web.HTTPError:
            raise
        except Exception:
            self.log.exception("The kernel %s could not be restarted.", kernel_id)
            raise web.HTTPError(500, "Exception restarting kernel") from None
        self.finish(json.dumps(await ensure_async(manager.kernel_model(kernel_id)), default=stock.json_default))
