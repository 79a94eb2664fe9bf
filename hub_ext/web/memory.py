"""What a service does about its own garbage collection."""

import gc


def settle() -> None:
    """Keep what is loaded by now out of garbage collections, which stop everything for as long as they look at it.

    In the gateway that is 127,000 objects, and took 59 ms on a slow machine, every few seconds under load.
    """
    gc.collect()
    gc.freeze()
