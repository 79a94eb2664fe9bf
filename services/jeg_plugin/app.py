"""Enterprise Gateway with our parts: ``python -m jeg_plugin.app``. Settings are Enterprise Gateway's own.

``REMOTE_KERNELS_KEEP=true`` leaves running kernels alone when the gateway is stopped, for the next one to take over;
without it they are ended. Starts that are under way are always ended. ``REMOTE_KERNELS_NODE`` names the folder that
``hub-ext edge prepare-node`` has filled; with it kernels start faster, see docs/kernel-start.md.
``REMOTE_KERNELS_LOG_STYLE=json`` writes one JSON object a log line. ``HUB_EXT_METRICS_TOKEN``, also as ``…_FILE``, is
one more token with which ``/metrics`` can be read.
"""

import asyncio
import getpass
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jupyter_client import localinterfaces
from jupyter_core.paths import jupyter_runtime_dir
from tornado.ioloop import IOLoop
from traitlets import Bool, default


def allow_loopback_only() -> None:
    """Let Enterprise Gateway be imported on a machine without any address but loopback; it takes the first other."""
    if not localinterfaces.public_ips():
        localinterfaces.PUBLIC_IPS.append("127.0.0.1")


allow_loopback_only()

from enterprise_gateway.enterprisegatewayapp import EnterpriseGatewayApp  # noqa: E402 - needs the line above
from enterprise_gateway.services.processproxies.yarn import cert_path  # noqa: E402 - needs the line above

from . import logs, watching  # noqa: E402 - needs the line above
from .channels import request_handlers  # noqa: E402 - needs the line above
from .driver_files import PACKED, packed  # noqa: E402 - needs the line above
from .managers import KernelSpecs, Sessions, YarnMappingKernelManager  # noqa: E402 - needs the line above
from .process_proxy import YarnKernelProxy  # noqa: E402 - needs the line above
from .reports import Reports  # noqa: E402 - needs the line above
from .resource_manager import ResourceManager, kerberos  # noqa: E402 - needs the line above
from .submitter import Submitter  # noqa: E402 - needs the line above

#: Calls to YARN and to drivers that may be under way at once.
WORKER_THREADS = 32
STOP_SECONDS = 20.0


class RemoteKernelsGatewayApp(EnterpriseGatewayApp):
    """The application: other managers, and a stop that leaves nothing behind."""

    keep_kernels = Bool(
        config=True, help="Leave running kernels alone when the gateway stops (REMOTE_KERNELS_KEEP env var)."
    )

    @default("keep_kernels")
    def _keep_kernels_default(self) -> bool:
        return os.environ.get("REMOTE_KERNELS_KEEP", "").lower() == "true"

    @default("kernel_manager_class")
    def _kernel_manager_class_default(self) -> type:
        return YarnMappingKernelManager

    @default("kernel_session_manager_class")
    def _kernel_session_manager_class_default(self) -> type:
        return Sessions

    @default("kernel_spec_manager_class")
    def _kernel_spec_manager_class_default(self) -> type:
        return KernelSpecs

    def initialize(self, argv: list[str] | None = None) -> None:
        """Prepare the event loop before anything uses it."""
        asyncio.get_event_loop().set_default_executor(ThreadPoolExecutor(WORKER_THREADS, "yarn"))
        super().initialize(argv)
        # Before any kernel asks for the stock one, and so that a port that is taken is told at once.
        Reports.instance()
        logs.set_up(os.environ.get("REMOTE_KERNELS_LOG_STYLE", "text"), self.log)
        logs.use(self.web_app)
        self._start_submitter()

    def _start_submitter(self) -> None:
        folder = jupyter_runtime_dir()
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.environ[PACKED] = str(packed(folder))
        submitter = Submitter(folder, os.environ, self.log)
        if submitter.prepared():
            YarnKernelProxy.submitter = submitter
            IOLoop.current().add_callback(submitter.start)

    def _health(self) -> watching.Health:
        endpoints = [one for one in (self.yarn_endpoint, self.alt_yarn_endpoint) if one]
        own = getpass.getuser()
        auth = kerberos() if self.yarn_endpoint_security_enabled else None
        manager = ResourceManager(endpoints, own, own, auth, cert_path)
        return watching.Health(watching.checks(lambda: Reports.instance().served, manager, os.environ), self.log)

    def _create_request_handlers(self) -> list[tuple[Any, ...]]:
        ours = watching.watching_handlers(
            self.base_url, self._health(), lambda: len(self.kernel_manager.list_kernel_ids())
        )
        return [*ours, *request_handlers(super()._create_request_handlers())]

    def shutdown(self) -> None:
        """End every start that is under way and, unless they are to be kept, every kernel; all at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        self.http_server.stop()
        YarnKernelProxy.stopping = True
        asyncio.get_event_loop().run_until_complete(self._end())
        self.log.info("Stopped.")

    async def _end(self) -> None:
        for proxy in list(YarnKernelProxy.starting):
            proxy.abort()
        kernels = [] if self.keep_kernels else self.kernel_manager.list_kernel_ids()
        self.log.info("Ending %d starts and %d kernels.", len(YarnKernelProxy.starting), len(kernels))
        results = await asyncio.gather(*map(self._end_kernel, kernels), return_exceptions=True)
        for kernel_id, result in zip(kernels, results, strict=True):
            if isinstance(result, BaseException):
                self.log.warning("Kernel %s could not be ended: %r", kernel_id, result)
        if YarnKernelProxy.submitter is not None:
            await YarnKernelProxy.submitter.stop()
        starts = list(YarnKernelProxy.starting.values())
        if starts:
            await asyncio.wait(starts, timeout=STOP_SECONDS)
        # Requests that waited for those starts get their answers.
        await asyncio.sleep(0.1)

    async def _end_kernel(self, kernel_id: str) -> Any:
        return await asyncio.wait_for(self.kernel_manager.shutdown_kernel(kernel_id, now=True), STOP_SECONDS)


def main() -> None:
    """Run the gateway; what it writes is for its own account only."""
    os.umask(0o077)
    RemoteKernelsGatewayApp.launch_instance(sys.argv[1:])


if __name__ == "__main__":
    main()
