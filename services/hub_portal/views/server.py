"""The button that leads to the notebook."""

from dataclasses import dataclass
from urllib.parse import quote

from ..models import Server


@dataclass(frozen=True)
class ServerView:
    """What the button says, where it leads, and a sentence about the server."""

    label: str
    href: str
    sentence: str


def server_view(server: Server, user: str, base_url: str, hub_prefix: str) -> ServerView:
    """Make the button for a person's default server.

    Parameters
    ----------
    server : Server
        What the Hub tells of it.
    user : str
        The person's Hub name.
    base_url, hub_prefix : str
        The deployment's and the Hub's path prefixes, each with a slash at its end.
    """
    lab = f"{server.url or f'{base_url}user/{quote(user)}/'}lab"
    if server.running:
        return ServerView("Open JupyterLab", lab, "Your notebook server is running.")
    if server.pending == "spawn":
        return ServerView(
            "See it start", f"{hub_prefix}spawn-pending/{quote(user)}", "Your notebook server is starting."
        )
    if server.pending == "stop":
        return ServerView("To the Hub's home page", f"{hub_prefix}home", "Your notebook server is stopping.")
    if server.known:
        return ServerView("Start my notebook", f"{hub_prefix}spawn", "It is small and starts in seconds.")
    # The Hub leads from there to a running server, and starts one otherwise.
    return ServerView("Open my notebook", f"{hub_prefix}spawn", "It is small and starts in seconds.")
