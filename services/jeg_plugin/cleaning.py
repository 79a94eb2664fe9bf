"""What YARN does not end at once: a start that failed, and an application that outlives its kernel.

Neither a launcher nor an application stays.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from .launcher import Launcher
from .resource_manager import ENDED, RefusedError, ResourceManager, UnreachableError
from .threads import in_thread

#: A submission that is broken off may have reached the ResourceManager: look at once, and these seconds later.
LATE_LOOKS = (0.5, 1.5)
RETRY_SECONDS = 5.0
RETRIES = 720

#: Keeps the tasks that still try, so that they are not collected.
_trying: set["asyncio.Task[None]"] = set()


def _keep_trying(end: Callable[[], Awaitable[bool]], what: str, log: Any) -> None:
    async def try_again() -> None:
        for _ in range(RETRIES):
            await asyncio.sleep(RETRY_SECONDS)
            if await end():
                return
        log.error("%s could not be ended.", what)

    task = asyncio.ensure_future(try_again())
    _trying.add(task)
    task.add_done_callback(_trying.discard)


def end_later(manager: ResourceManager, application_id: str, log: Any) -> None:
    """Try again, in the background, to end an application that YARN did not let us end.

    Parameters
    ----------
    manager : ResourceManager
        Acts for the kernel's user, and for the gateway where that is refused.
    application_id : str
        Only this one: a restarted kernel has another one by now, with the same tag.
    log : logging.Logger
        Enterprise Gateway's.
    """

    async def end() -> bool:
        try:
            await in_thread(manager.kill, application_id)
        except (UnreachableError, RefusedError) as error:
            log.warning("Ending %s failed again: %s", application_id, error)
            return False
        log.info("%s was ended at last.", application_id)
        return True

    _keep_trying(end, application_id, log)


@dataclass(frozen=True)
class FailedStart:
    """What is left of a start that failed.

    Attributes
    ----------
    manager : ResourceManager
        Acts for the kernel's user.
    launcher : Launcher or None
        The submitting process, if it came so far.
    kernel_id : str
        The tag of its applications.
    before : collection of str
        Applications of the same kernel that are older than this start.
    log : logging.Logger
        Enterprise Gateway's.
    """

    manager: ResourceManager
    launcher: Launcher | None
    kernel_id: str
    before: Collection[str]
    log: Any

    async def end(self, seen: bool) -> None:
        """End launcher and application. What YARN does not let us do now is tried again in the background.

        Parameters
        ----------
        seen : bool
            Whether the application was known, so that no other one can still appear.
        """
        submitting = self.launcher is not None and self.launcher.exit_code is None
        if self.launcher is not None:
            await in_thread(self.launcher.end)
        done = await self._end_applications()
        for delay in LATE_LOOKS if submitting and not seen else ():
            await asyncio.sleep(delay)
            done = await self._end_applications()
        if not done:
            _keep_trying(self._end_applications, f"What the failed start of kernel {self.kernel_id} left", self.log)

    async def _end_applications(self) -> bool:
        """End this start's applications; return whether none is left for certain."""
        try:
            for application in await in_thread(self.manager.applications, self.kernel_id):
                if application.get("id") not in self.before and application.get("state") not in ENDED:
                    self.log.info("Ending %s of the failed start of kernel %s.", application["id"], self.kernel_id)
                    await in_thread(self.manager.kill, application["id"])
        except (UnreachableError, RefusedError) as error:
            self.log.warning("Ending what kernel %s left failed: %s", self.kernel_id, error)
            return False
        return True
