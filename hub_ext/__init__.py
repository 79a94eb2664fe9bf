"""What the Hub and the services of remote kernels share."""

from .configure import configure

__version__ = "0.1.0"

__all__ = ["__version__", "configure"]
