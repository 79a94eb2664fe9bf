"""A notebook server that was killed and started again finds the kernels of its earlier life.

Jupyter Server's gateway client knows the kernels alone that it has started itself since it runs. Notebooks that are
still open in a browser would ask for their kernels in vain, while these go on in the cluster.
"""

import asyncio
import json
import os
from typing import Any

#: Seconds after which it is tried again when the gateway does not answer.
PAUSE = 5.0


def own(models: Any, server: str) -> list[str]:
    """Return the ids of the kernels that this notebook server has started, out of the gateway's answer.

    Kernels that their owner's programs or other notebook servers have started are none of its business: it would end
    them when it is stopped.
    """
    if not isinstance(models, list):
        return []
    return [
        str(model["id"])
        for model in models
        if isinstance(model, dict) and "id" in model and (model.get("remote_kernel") or {}).get("server") == server
    ]


async def take_back(manager: Any) -> list[str]:
    """Let a `GatewayMappingKernelManager` know the kernels of this server's earlier life; return the new ones' ids."""
    from jupyter_server.gateway.gateway_client import gateway_request

    answer = await gateway_request(manager.kernels_url, method="GET")
    taken = []
    for kernel_id in own(json.loads(answer.body), os.environ.get("JUPYTERHUB_SERVER_NAME", "")):
        if kernel_id not in manager:
            # With an id it starts nothing: it asks the gateway for that kernel.
            await manager.start_kernel(kernel_id=kernel_id)
            taken.append(kernel_id)
    return taken


async def keep_trying(server: Any) -> None:
    """Take kernels back, as soon as the gateway answers."""
    while True:
        try:
            taken = await take_back(server.kernel_manager)
        except Exception as error:
            server.log.info("Kernels of an earlier run of this server are not known yet: %s", error)
            await asyncio.sleep(PAUSE)
            continue
        if taken:
            server.log.info("Kernels of an earlier run of this server go on: %s", ", ".join(taken))
        return


def mend_kernels(server: Any) -> None:
    """Begin to take back kernels when the server's loop runs; nothing happens on one whose kernels are its own."""
    from tornado.ioloop import IOLoop

    if hasattr(server.kernel_manager, "kernels_url"):
        IOLoop.current().add_callback(keep_trying, server)
