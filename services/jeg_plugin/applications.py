"""A kernel's applications, as its start looks for them."""

from typing import Any

from . import failures
from .resource_manager import RefusedError, ResourceManager, UnreachableError, newest
from .start_failures import KernelStartError
from .threads import in_thread


async def applications_before(manager: ResourceManager, kernel_id: str) -> frozenset[str]:
    """Return the ids of a kernel's earlier applications; also finds out whether YARN answers at all.

    Raises
    ------
    KernelStartError
        It does not, or refuses.
    """
    try:
        applications = await in_thread(manager.all_applications, kernel_id)
    except UnreachableError as error:
        raise KernelStartError(failures.unreachable(str(error))) from None
    except RefusedError as error:
        raise KernelStartError(failures.refused(str(error))) from None
    return frozenset(str(application.get("id")) for application in applications)


async def look(manager: ResourceManager, kernel_id: str, before: frozenset[str]) -> tuple[dict[str, Any] | None, str]:
    """Return this start's application, and what went wrong if the ResourceManager gave no answer."""
    try:
        return newest(await in_thread(manager.applications, kernel_id), before), ""
    except (UnreachableError, RefusedError) as error:
        return None, failures.one_line(str(error), 200)
