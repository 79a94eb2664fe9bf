"""What was counted for a kernel, told to the launcher in Enterprise Gateway, which keeps to it also at restarts. Pure.

`jeg_plugin.counted` is the other side; a test holds them against each other.
"""

import hashlib
import json

from hub_ext.kernels import KernelDefinition
from hub_ext.sizes import Rules, driver_overhead_mb, executor_overhead_mb

DIGEST = "KERNEL_DEFINITION_DIGEST"
DRIVER_OVERHEAD = "KERNEL_DRIVER_OVERHEAD_MB"
EXECUTOR_OVERHEAD = "KERNEL_EXECUTOR_OVERHEAD_MB"


def digest_of(definition: KernelDefinition) -> str:
    """Return what two definitions have in common that ask the same of YARN: type, size and queue."""
    size = definition.size.model_dump() if definition.size is not None else None
    asked = {"type": definition.type, "size": size, "queue": definition.queue}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def counted_environment(definition: KernelDefinition, rules: Rules) -> dict[str, str]:
    """Return the variables of a kernel that say what was counted for it under these rules."""
    environment = {DIGEST: digest_of(definition)}
    if definition.size is None:
        return environment
    size = definition.size.as_kernel_size()
    return environment | {
        DRIVER_OVERHEAD: str(driver_overhead_mb(size, rules)),
        EXECUTOR_OVERHEAD: str(executor_overhead_mb(size, rules)),
    }
