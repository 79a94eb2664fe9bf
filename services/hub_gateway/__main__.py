"""``python -m hub_gateway``."""

from .app import HubGateway

if __name__ == "__main__":
    HubGateway.launch_instance()
