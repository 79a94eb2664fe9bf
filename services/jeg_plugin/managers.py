"""Enterprise Gateway's managers with the loose ends tied that concern kernels in YARN."""

import asyncio
import os
from typing import Any

from enterprise_gateway.services.kernels.remotemanager import RemoteKernelManager, RemoteMappingKernelManager
from enterprise_gateway.services.sessions.kernelsessionmanager import FileKernelSessionManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.session import Session
from jupyter_server._tz import utcnow
from tornado.web import HTTPError
from traitlets import default

from . import failures
from .activity import CELL, Doings
from .counted import DIGEST, DefinitionChangedError, check
from .definition import DefinitionError
from .launch import definition_in
from .process_proxy import YarnKernelProxy
from .start_failures import KernelStartError
from .threads import in_thread

LAUNCHER = "jeg_plugin.launch"
LAUNCH_ARGUMENTS = frozenset({"env", "cwd", "extra_arguments", "kernel_headers"})


class YarnKernelManager(RemoteKernelManager):
    """One kernel: everything that asks YARN or the driver runs in a worker thread, never on the event loop."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        #: Done unless the kernel is being restarted. Websocket requests wait for it: a client reconnects as soon as it
        #: hears of a restart, when the ports of the new driver are not known yet.
        self.ready: asyncio.Future[None] = asyncio.get_event_loop().create_future()
        self.ready.set_result(None)

    async def restart_kernel(self, now: bool = False, **kwargs: Any) -> None:
        """Restart the kernel; if that fails by itself (`now`), it is over and its clients hear so."""
        if not now:
            await self._check_definition()
        self.ready = asyncio.get_running_loop().create_future()
        if self.mapping_kernel_manager is not None:
            # What the old driver said while nobody was connected carries the old driver's signature.
            self.mapping_kernel_manager.stop_buffering(self.kernel_id)
        try:
            await super().restart_kernel(now, **kwargs)
        except BaseException as error:
            self.execution_state = "dead"
            self._tell_waiting(error)
            if now and self._restarter is not None:
                self._restarter._fire_callbacks("dead")
            raise
        self.ready.set_result(None)

    async def _check_definition(self) -> None:
        """Refuse a restart that the launcher would refuse, while the kernel still runs; of a dead one it is told so."""
        environment = (self._launch_args or {}).get("env") or {}
        if DIGEST not in environment or LAUNCHER not in self.kernel_spec.argv:
            return
        try:
            check(await in_thread(definition_in, self.kernel_spec.resource_dir), environment)
        except DefinitionChangedError:
            raise KernelStartError(failures.definition_changed()) from None
        except (DefinitionError, OSError) as error:
            raise KernelStartError(failures.bad_definition(str(error))) from None

    def _tell_waiting(self, error: BaseException) -> None:
        self.ready.set_exception(RuntimeError(f"The kernel could not be restarted: {error}"))
        # Often nobody waits, which is no error of its own.
        self.ready.exception()

    async def is_alive(self) -> bool:
        """Say whether the application lives."""
        proxy = self.kernel
        if not isinstance(proxy, YarnKernelProxy):
            return bool(await super().is_alive())
        return await asyncio.get_running_loop().run_in_executor(None, proxy.poll) is None

    async def signal_kernel(self, signum: int) -> None:
        """Send a signal to the driver, or end its application."""
        proxy = self.kernel
        if not isinstance(proxy, YarnKernelProxy):
            await super().signal_kernel(signum)
            return
        await asyncio.get_running_loop().run_in_executor(None, proxy.send_signal, signum)

    async def _send_kernel_sigterm(self) -> None:
        proxy = self.kernel
        if not isinstance(proxy, YarnKernelProxy):
            await super()._send_kernel_sigterm()
            return
        await asyncio.get_running_loop().run_in_executor(None, proxy.terminate)

    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        """Shut the kernel down; one whose restart failed has no process left and is only cleaned up."""
        if self.has_kernel:
            await super().shutdown_kernel(now=now, restart=restart)
            return
        self.shutting_down = True
        self.stop_restarter()
        self.cleanup_resources(restart=restart)


def has_failed(future: Any) -> bool:
    """Say whether a start has ended without a kernel."""
    return future.done() and (future.cancelled() or future.exception() is not None)


def first_answer(proxy: Any) -> None:
    """Note that a cell has run to its end, of a kernel that this gateway has started."""
    if isinstance(proxy, YarnKernelProxy) and "connected" in proxy.start_phases:
        proxy.start_phases.reach("first_answer")


class YarnMappingKernelManager(RemoteMappingKernelManager):
    """All kernels of this gateway."""

    def _kernel_manager_class_default(self) -> str:
        return "jeg_plugin.managers.YarnKernelManager"

    async def start_kernel(self, *args: Any, **kwargs: Any) -> str:
        """Start a kernel; a failed start leaves no trace here."""
        try:
            return str(await super().start_kernel(*args, **kwargs))
        finally:
            # One that has succeeded, perhaps another one, is still to be removed by whoever started it.
            for kernel_id in [kid for kid, future in self._starting_kernels.items() if has_failed(future)]:
                self._starting_kernels.pop(kernel_id, None)

    def start_kernel_from_session(self, kernel_id: str, *args: Any, **kwargs: Any) -> bool:
        """Take over a kernel of an earlier gateway, with what a started one has too."""
        started = bool(super().start_kernel_from_session(kernel_id, *args, **kwargs))
        if started:
            kernel = self._kernels[kernel_id]
            # The websocket handler compares with these ports.
            self._kernel_ports[kernel_id] = kernel.ports
            # The session keeps what the request was; a restart wants what the kernel was launched with.
            kernel._launch_args = {
                name: value for name, value in kernel._launch_args.items() if name in LAUNCH_ARGUMENTS
            }
        return started

    def kernel_model(self, kernel_id: str) -> dict[str, Any]:
        """Return what is told of a kernel, with the times of its start: seconds since 1970, by this gateway's clock.

        One whose start is not quite over has no state yet. It would fail the list of all kernels; so it is not there.
        """
        try:
            model = dict(super().kernel_model(kernel_id))
        except AttributeError:
            raise HTTPError(404, f"Kernel is starting: {kernel_id}") from None
        proxy = self._kernels[kernel_id].process_proxy
        if isinstance(proxy, YarnKernelProxy) and proxy.start_phases:
            model["start_phases"] = dict(proxy.start_phases)
        return model

    def start_watching_activity(self, kernel_id: str) -> None:
        """Follow what a kernel does, by `activity` instead of by its last status alone."""
        super().start_watching_activity(kernel_id)
        kernel = self._kernels[kernel_id]
        session = Session(config=kernel.session.config, key=kernel.session.key)
        doings = Doings()

        def hear(parts: list[Any]) -> None:
            _, parts = session.feed_identities(parts)
            message = session.deserialize(parts, content=False)
            is_status = message["header"]["msg_type"] == "status"
            status = session.deserialize(parts)["content"]["execution_state"] if is_status else None
            if doings.hears(message["parent_header"], status):
                self.last_kernel_activity = kernel.last_activity = utcnow()
            if is_status:
                kernel.execution_state = doings.state
            if status == "idle" and message["parent_header"].get("msg_type") == CELL:
                first_answer(kernel.process_proxy)

        kernel._activity_stream.on_recv(hear)


class Sessions(FileKernelSessionManager):
    """Kernel sessions on disk; one that can't be taken over does not keep the gateway from starting."""

    def _start_session(self, kernel_session: dict[str, Any]) -> bool:
        try:
            return bool(super()._start_session(kernel_session))
        except Exception:
            self.log.exception("The kernel %s could not be taken over.", kernel_session.get("kernel_id"))
            return False


class KernelSpecs(KernelSpecManager):
    """Kernelspecs of the configured folders (``JUPYTER_PATH``) alone.

    The environment's own kernelspec would run people's code on the gateway's machine, as the gateway.
    """

    ensure_native_kernel = False

    @default("kernel_dirs")
    def _kernel_dirs_default(self) -> list[str]:
        folders = [folder for folder in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if folder]
        return [os.path.join(folder, "kernels") for folder in folders]
