"""A kernel as a YARN application: start, watch, interrupt, end.

Differences to Enterprise Gateway's own proxy: the application is found by its tag with one filtered question; a
restarted kernel's earlier application is never taken for the new one; every failed, timed out or abandoned start
ends its launcher and its application, also one that appears late; the cause of a failure is part of the answer; a
kernel that outlived a gateway is picked up again; nothing falls back to ssh; and no call to the ResourceManager is
made on the event loop (see also `managers`).
"""

import asyncio
import getpass
import os
import signal
import socket
import subprocess
import time
from typing import Any, ClassVar

from enterprise_gateway.services.processproxies.yarn import YarnClusterProcessProxy, cert_path

from . import failures, metrics
from .applications import applications_before, look
from .cleaning import FailedStart, end_later
from .definition import DefinitionError, user_of
from .launch import submitted_by
from .launcher import Launcher
from .phases import WORDS, Phases
from .remote_kernel_requests import signed
from .reports import Reports
from .resource_manager import ALIVE, ENDED, RefusedError, ResourceManager, UnreachableError, kerberos
from .start_failures import KernelStartError, outcome_of, seconds_of
from .story import REQUEST_ID, Story, request_id_of
from .submitter import Submitter, for_launcher
from .threads import in_thread

POLL_SECONDS = float(os.getenv("EG_POLL_INTERVAL", "0.5"))
#: How long an ended application may take until YARN says so.
KILL_SECONDS = 5.0
TELL_TIMEOUT = 2.0


class YarnKernelProxy(YarnClusterProcessProxy):
    """The process proxy of our kernelspecs."""

    #: Starts that are under way in this gateway, each with what is done when it has succeeded or failed.
    starting: ClassVar[dict["YarnKernelProxy", "asyncio.Future[None]"]] = {}
    #: Set when the gateway is being stopped: nothing is started any more.
    stopping: ClassVar[bool] = False
    submitter: ClassVar[Submitter | None] = None

    application_id: str | None
    last_known_state: str | None

    def __init__(self, kernel_manager: Any, proxy_config: dict[str, Any]) -> None:
        reports = Reports.instance()
        super().__init__(kernel_manager, proxy_config)
        self._reports: Reports = reports
        self._user = ""
        self._request = request_id_of(None)
        self._resource_manager: ResourceManager | None = None
        self._launcher: Launcher | None = None
        self._aborted = asyncio.Event()
        self.start_phases = Phases()
        #: Signs what the driver is told. A restarted kernel has another proxy, and another key.
        self._key = b""
        #: The application, if YARN would not end it when it was asked last.
        self._refused: str | None = None

    # -- start ---------------------------------------------------------------------------------

    async def launch_process(self, kernel_cmd: list[str], **kwargs: Any) -> "YarnKernelProxy":
        """Submit the application and wait until its driver has reported.

        Raises
        ------
        KernelStartError
            With the cause. Neither launcher nor application is left.
        """
        # The grandparent checks the user and completes the environment; the parent would scan all applications.
        await super(YarnClusterProcessProxy, self).launch_process(kernel_cmd, **kwargs)
        try:
            self._act_for(user_of(kwargs["env"]["KERNEL_USERNAME"]))
        except DefinitionError as error:
            raise KernelStartError(failures.bad_definition(str(error))) from None
        self._request = request_id_of(kwargs["env"].get(REQUEST_ID))
        kwargs["env"] = for_launcher(kwargs["env"], self.submitter)
        self.starting[self] = asyncio.get_running_loop().create_future()
        metrics.STARTING.set(len(self.starting))
        outcome = "connected"
        try:
            if self.stopping:
                raise KernelStartError(failures.STOPPING)
            before = await applications_before(self._manager(), self.kernel_id)
            try:
                await self._start(kernel_cmd, before, kwargs)
            except BaseException:
                failed = FailedStart(self._manager(), self._launcher, self.kernel_id, before, self.log)
                await failed.end(seen=self.application_id is not None)
                raise
        except BaseException as error:
            outcome = outcome_of(error)
            self.log.warning("Kernel start failed: outcome=%s %s", outcome, self.story)
            raise
        finally:
            self._reports.forget(self.kernel_id)
            self.starting.pop(self).set_result(None)
            metrics.STARTING.set(len(self.starting))
            metrics.STARTS.labels(outcome=outcome).inc()
        return self

    @property
    def story(self) -> Story:
        """Whose kernel this is, as every line of the log about it ends."""
        return Story(self.kernel_id, self._user, self._request)

    def abort(self) -> None:
        """Break off a start that is under way; it fails as if by itself."""
        self._aborted.set()

    async def _start(self, kernel_cmd: list[str], before: frozenset[str], kwargs: dict[str, Any]) -> None:
        process = self.launch_kernel(kernel_cmd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **kwargs)
        self._launcher = Launcher(process, self._told)
        seconds = seconds_of(self.kernel_launch_timeout)
        deadline = time.monotonic() + seconds
        report = asyncio.ensure_future(self._reports.report_of(self.kernel_id))
        aborted = asyncio.ensure_future(self._aborted.wait())
        try:
            while True:
                application, trouble = await look(self._manager(), self.kernel_id, before)
                if application is not None:
                    self._note(application)
                    if self.last_known_state in ENDED:
                        raise KernelStartError(failures.of_application(application))
                    host = str(application.get("amHostHttpAddress") or "").rpartition(":")[0]
                    if host and report.done():
                        await self._connect(host, report.result())
                        return
                elif self._launcher.has_failed(trouble):
                    output = await in_thread(self._launcher.output)
                    self.log.warning("Submission of kernel %s failed:\n%s", self.kernel_id, output)
                    raise KernelStartError(failures.of_client(output, self._launcher.exit_code or 0))
                if self._aborted.is_set():
                    raise KernelStartError(failures.STOPPING)
                if time.monotonic() > deadline:
                    raise KernelStartError(failures.of_timeout(seconds, application, trouble))
                waiting = {aborted} if report.done() else {aborted, report}
                await asyncio.wait(waiting, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            report.cancel()
            aborted.cancel()

    def _note(self, application: dict[str, Any]) -> None:
        if self.application_id != application["id"]:
            self.application_id = application["id"]
            self.last_known_state = None
            self.log.info("Kernel submitted: application=%s %s", self.application_id, self.story)
        state = application.get("state")
        self.start_phases.see(state)
        if state != self.last_known_state and state in WORDS:
            self.log.info("Kernel %s: application=%s %s", WORDS[state], self.application_id, self.story)
        self.last_known_state = state

    def _told(self, line: str) -> None:
        self.log.info("Launcher: %s", line)
        by = submitted_by(line)
        if by is not None:
            metrics.SUBMISSIONS.labels(by=by).inc()

    async def _connect(self, host: str, report: dict[str, Any]) -> None:
        self.assigned_host = host
        try:
            self.assigned_ip = await in_thread(socket.gethostbyname, host)
        except OSError:
            raise KernelStartError(failures.unknown_node(host)) from None
        self._key = str(report.get("key", "")).encode()
        self.start_phases.connect(report.pop("driver_seconds", None), self.kernel_launch_timeout)
        self._setup_connection_info(report)
        self._reports.listen(self.kernel_id, self._key, self._hear)
        self.log.info("Kernel connected: application=%s node=%s %s", self.application_id, host, self.story)
        # The launcher's work is done; the driver is a process of another machine.
        self.local_proc = None

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("spark_ready"):
            self.start_phases.reach("spark_ready")
            self.log.info("Spark is ready: application=%s %s", self.application_id, self.story)

    # -- life (called in worker threads) ---------------------------------------------------------

    def poll(self) -> bool | None:
        """Return None while the application lives, or while nobody can tell; False when it has ended."""
        if not self.application_id:
            return False
        try:
            application = self._manager().application(self.application_id)
        except (UnreachableError, RefusedError) as error:
            self.log.warning("The state of %s is not known: %s", self.application_id, error)
            return None
        if application is None:
            return False
        self.last_known_state = application.get("state")
        return None if self.last_known_state in ALIVE else False

    def send_signal(self, signum: int) -> bool | None:
        """Poll with 0, end the application with SIGKILL or SIGTERM, let the driver signal itself otherwise."""
        if signum == 0:
            return self.poll()
        if signum in (signal.SIGKILL, signal.SIGTERM):
            return self.kill()
        return self._tell({"signum": int(signum)})

    def terminate(self) -> bool | None:
        """End the application: whoever asks has waited for a polite end."""
        return self.kill()

    def kill(self) -> bool | None:
        """End the application through YARN. Returns None when it has ended, False when it lives or is unknown."""
        if not self.application_id:
            return None
        try:
            self._manager().kill(self.application_id)
        except (UnreachableError, RefusedError) as error:
            self.log.error("%s could not be ended: %s %s", self.application_id, error, self.story)
            self._refused = self.application_id
            return False
        self._refused = None
        deadline = time.monotonic() + KILL_SECONDS
        while self.poll() is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return None

    def wait(self) -> None:
        """Return at once: callers poll before they wait."""

    def shutdown_listener(self) -> None:
        """Tell the driver that its kernel is being shut down, without waiting for it."""
        asyncio.get_running_loop().run_in_executor(None, self._tell, {"shutdown": 1})

    def cleanup(self) -> None:
        """Forget the ended application; end a launcher that is still there, and later what YARN would not end."""
        if self._launcher is not None and self._launcher.exit_code is None:
            asyncio.get_running_loop().run_in_executor(None, self._launcher.end)
        self._launcher = None
        if self._refused is not None and self._resource_manager is not None:
            end_later(self._resource_manager, self._refused, self.log)
        if self.application_id is not None:
            metrics.ENDED.inc()
            self.log.info("Kernel ended: application=%s %s", self.application_id, self.story)
        self.application_id = self._refused = None
        self._reports.forget(self.kernel_id)
        self._reports.unlisten(self.kernel_id)
        super(YarnClusterProcessProxy, self).cleanup()

    def _tell(self, request: dict[str, Any]) -> bool | None:
        if not self.comm_port or not self._key:
            return False
        try:
            with socket.create_connection((self.comm_ip, self.comm_port), timeout=TELL_TIMEOUT) as connection:
                connection.sendall(signed(self._key, request))
        except OSError as error:
            self.log.warning("The driver of kernel %s takes no request: %s", self.kernel_id, error)
            return False
        return None

    # -- over a restart of the gateway -------------------------------------------------------------

    def get_process_info(self) -> dict[str, Any]:
        """Return what another gateway needs to take this kernel over."""
        return {**super().get_process_info(), "kernel_username": self._user, "kernel_request": self._request}

    def load_process_info(self, process_info: dict[str, Any]) -> None:
        """Take over a kernel that an earlier gateway started."""
        super().load_process_info(process_info)
        self._act_for(process_info["kernel_username"])
        self._request = request_id_of(process_info.get("kernel_request"))
        self.log.info("Kernel taken over: application=%s %s", self.application_id, self.story)
        # The session keeps it with the rest of the connection, which is loaded before.
        self._key = self.kernel_manager.session.key
        self._reports.forget(self.kernel_id)
        self._reports.listen(self.kernel_id, self._key, self._hear)

    # -- the ResourceManager -----------------------------------------------------------------------

    def _act_for(self, user: str) -> None:
        self._user = user
        endpoints = [endpoint for endpoint in (self.yarn_endpoint, self.alt_yarn_endpoint) if endpoint]
        auth = kerberos() if self.yarn_endpoint_security_enabled else None
        self._resource_manager = ResourceManager(endpoints, user, getpass.getuser(), auth, cert_path)

    def _manager(self) -> ResourceManager:
        if self._resource_manager is None:
            raise UnreachableError("the kernel has no user yet")
        return self._resource_manager
