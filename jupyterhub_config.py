"""Configuration of the embedded platform, and the example for a real site.

`make demo` runs the Hub with this file. What a site changes is marked with "Your site:".
"""

import os
from pathlib import Path

import hub_ext
from hub_ext.database import upgrade
from hub_ext.embedded.layout import LOOPBACK, Layout, Ports

c = get_config()  # noqa: F821 (JupyterHub provides it)

# Where the embedded platform keeps its data, and the ports it has chosen at this start.
# Your site: fixed folders and addresses instead.
layout = Layout.of(Path(__file__).resolve().parent)
ports = Ports.load(Path(os.environ["HUB_EXT_PORTS"]))

# --- The Hub itself -------------------------------------------------------------------------------------------------

c.JupyterHub.bind_url = f"http://{LOOPBACK}:{ports.proxy}"
c.JupyterHub.hub_bind_url = f"http://{LOOPBACK}:{ports.hub}"
c.ConfigurableHTTPProxy.api_url = f"http://{LOOPBACK}:{ports.proxy_api}"
# Ends the proxy with the Hub, so that a Hub that was killed can start again on the same port.
c.ConfigurableHTTPProxy.command = ["setpriv", "--pdeathsig", "TERM", "configurable-http-proxy"]
c.JupyterHub.db_url = f"sqlite:///{layout.data / 'jupyterhub.sqlite'}"
# Notebook servers go on while the Hub is started again, and their kernels with them.
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cookie_secret_file = str(layout.data / "cookie-secret")

# --- Who may log in -------------------------------------------------------------------------------------------------

# Your site: your own authenticator (OAuth, LDAP, …) and its groups. This one lets three prepared people in with one
# password and listens on this machine only.
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = os.environ.get("HUB_EXT_DEMO_PASSWORD") or "demo"
c.Authenticator.allowed_users = {"admin", "alice", "bob"}
c.Authenticator.admin_users = {"admin"}
c.JupyterHub.load_groups = {
    "analytics": {"users": ["alice"]},
    "research": {"users": ["bob"]},
}

# --- Notebook servers -----------------------------------------------------------------------------------------------

# Your site: nothing here when you run zero-to-jupyterhub; its KubeSpawner is replaced by ours with your settings kept.
c.JupyterHub.spawner_class = "hub_ext.spawner.RemoteKernelLocalSpawner"
c.SimpleLocalProcessSpawner.home_dir_template = str(layout.data / "home" / "{username}")
c.Spawner.ip = LOOPBACK
c.Spawner.default_url = "/lab"
c.Spawner.args = [
    "--ServerApp.allow_remote_access=False",
    # No question about news at the first visit.
    f"--LabApp.app_settings_dir={layout.root / 'hub_ext' / 'embedded' / 'lab-settings'}",
    *(["--allow-root"] if os.geteuid() == 0 else []),
]

# --- Limits ---------------------------------------------------------------------------------------------------------

# The ground: what administrators set on the pages "User limits" lies over it, field by field.
c.RemoteKernelMixin.default_limits = {
    "kernels": 3,
    "memory_mb": 6144,
    "cores": 6,
    "idle_timeout": 3600,
    "server_memory_mb": 1024,
}
c.RemoteKernelMixin.group_limits = {"analytics": {"kernels": 4, "memory_mb": 8192}}

# --- Remote kernels -------------------------------------------------------------------------------------------------

database_url = f"sqlite:///{layout.data / 'remote-kernels.sqlite'}"
# Your site: run `hub-ext db upgrade` when you install or update instead.
upgrade(database_url)

# Your site: the same call, with the addresses of your edge node. Secrets come as files or variables, never in here.
hub_ext.configure(
    c,
    enterprise_gateway_url=f"http://{LOOPBACK}:{ports.enterprise_gateway}",
    edge_url=f"http://{LOOPBACK}:{ports.edge}",
    database_url=database_url,
    gateway_address=f"http://{LOOPBACK}:{ports.gateway}",
    portal_address=f"http://{LOOPBACK}:{ports.portal}",
    service_config=os.environ.get("HUB_EXT_SERVICE_CONFIG", ""),
    # People may have their last kernel start together with their notebook server: a switch on My kernels, off at first.
    warm_start="chosen",
    service_environment={
        name: value
        for name, value in os.environ.items()
        if name.startswith(("HUB_EXT_EDGE_TOKEN", "HUB_EXT_ENTERPRISE_GATEWAY_TOKEN"))
    },
)
