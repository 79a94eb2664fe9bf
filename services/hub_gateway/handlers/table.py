"""The URL table of the kernel API."""

from typing import Any

from hub_ext.names import KERNEL_ID_PATTERN

from .base import ClosedHandler, Parts, VersionHandler
from .channels import ChannelsHandler
from .kernels import (
    AllKernelsHandler,
    EndedKernelsHandler,
    InterruptHandler,
    KernelHandler,
    KernelsHandler,
    RestartHandler,
    WarmStartHandler,
)
from .kernelspecs import KernelspecHandler, KernelspecsHandler, ResourceHandler


def kernel_handlers(prefix: str, parts: Parts) -> list[Any]:
    """Return the handlers below `prefix` that are about kernels."""
    base = {"parts": parts}
    user = f"{prefix}user/(?P<owner>[^/]+)"
    kernel = f"{user}/api/kernels/(?P<kernel_id>{KERNEL_ID_PATTERN})"
    return [
        (f"{user}/api/?", VersionHandler, base),
        (f"{user}/api/kernelspecs", KernelspecsHandler, base),
        (f"{user}/api/kernelspecs/(?P<kernelspec>[^/]+)", KernelspecHandler, base),
        (f"{user}/kernelspecs/(?P<kernelspec>[^/]+)/(?P<file>[^/]+)", ResourceHandler, base),
        (f"{user}/api/kernels", KernelsHandler, base),
        (kernel, KernelHandler, base),
        (f"{kernel}/interrupt", InterruptHandler, base),
        (f"{kernel}/restart", RestartHandler, base),
        (f"{kernel}/channels", ChannelsHandler, base),
        (f"{user}/api/ended-kernels", EndedKernelsHandler, base),
        (f"{user}/api/warm-start", WarmStartHandler, base),
        (f"{user}/api/sessions(?:/.*)?", ClosedHandler, base),
        (f"{prefix}admin/api/kernels", AllKernelsHandler, base),
    ]
