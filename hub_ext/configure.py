"""The one call that a site adds to its jupyterhub_config.py."""


def configure() -> None:
    """Wired below."""
