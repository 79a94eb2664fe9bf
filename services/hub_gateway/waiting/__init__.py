"""The waiting room: what answers a kernel's websocket until the kernel is there, and the line of starts."""
