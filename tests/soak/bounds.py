"""How much may have grown at the end of a soak, and why that much. Compared is idle with idle: nothing runs at both."""

#: Words of each watched process's command.
WATCHED = {
    "Hub": "jupyterhub_config.py",
    "proxy": "configurable-http-proxy",
    "gateway": "hub_gateway",
    "portal": "hub_portal",
    "edge": "hadoop_edge",
    "Enterprise Gateway": "jeg_plugin.app",
}
#: Resident memory, MiB. The first hundred operations fill caches (tokens, catalogue, compiled templates, statements)
#: and widen the allocators' arenas, which Python and Node keep; the rest would show a leak of the size of a message.
MEMORY_MB = 30
#: Further MiB for each thousand operations: 8 KiB for each, less than one kernel's model or one websocket's buffers.
MEMORY_MB_PER_THOUSAND = 8
#: Enterprise Gateway makes managers, sessions and ZeroMQ sockets for every kernel; MiB for each thousand starts and
#: restarts, beside the above.
ENTERPRISE_GATEWAY_MB_PER_THOUSAND_STARTS = 60
#: File descriptors: connections that are kept for reuse (the Hub's database pool, the proxy's and services' idle HTTP
#: connections, which close within a minute).
DESCRIPTORS = 24
#: Rows in tables other than those of the kernels, for each of the people: themselves.
ROWS_PER_PERSON = 1


def memory_mb(name: str, operations: int, starts: int) -> float:
    """Return the most that a process may have grown."""
    more = ENTERPRISE_GATEWAY_MB_PER_THOUSAND_STARTS * starts / 1000 if name == "Enterprise Gateway" else 0.0
    return MEMORY_MB + MEMORY_MB_PER_THOUSAND * operations / 1000 + more
