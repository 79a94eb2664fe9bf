import json
import sys

import jupyterhub.services.service
import pytest
from jupyterhub.spawner import Spawner
from traitlets.config import Config

from hub_ext import configure
from hub_ext.configure import ConfigurationError
from hub_ext.hub_services import WATCH_SECONDS, watch_services
from hub_ext.spawner import RemoteKernelLocalSpawner

WIRING = {
    "enterprise_gateway_url": "http://eg.test:8888",
    "edge_url": "http://edge.test:8899",
    "database_url": "sqlite:////data/x.sqlite",
    "service_environment": {"HUB_EXT_EDGE_TOKEN": "geheim-edge", "HUB_EXT_ENTERPRISE_GATEWAY_TOKEN": "geheim-eg"},
}
SIX = jupyterhub.version_info[0] >= 6


def named(items, name):
    found = [item for item in items if item["name"] == name]
    assert len(found) == 1
    return found[0]


def services(c):
    value = c.JupyterHub.services
    return value if isinstance(value, list) else value.to_dict()["extend"]


def roles(c):
    value = c.JupyterHub.load_roles
    return value if isinstance(value, list) else value.to_dict().get("extend", [])


def test_on_an_empty_config_everything_is_wired():
    c = Config()
    configure(c, **WIRING)
    gateway, portal = named(services(c), "gateway"), named(services(c), "portal")
    assert sys.executable in gateway["command"]
    assert "--HubGateway.enterprise_gateway_url=http://eg.test:8888" in gateway["command"]
    assert "access:services!service=gateway" in portal["oauth_client_allowed_scopes"]
    assert c.JupyterHub.spawner_class == "hub_ext.spawner.RemoteKernelLocalSpawner"
    assert c.RemoteKernelMixin.gateway_url == "http://127.0.0.1:8701/services/gateway"
    assert c.JupyterHub.default_url == "/services/portal/"
    assert named(roles(c), "remote-kernels-gateway") == {
        "name": "remote-kernels-gateway",
        "scopes": ["list:users", "read:users:groups", "read:servers"],
        "services": ["gateway"],
    }
    assert "custom:limits:admin" in portal["oauth_client_allowed_scopes"]
    assert c.RemoteKernelMixin.database_url == WIRING["database_url"]
    everyone = (
        c.JupyterHub.extra_user_scopes.to_dict()["update"] if SIX else set(named(roles(c), "user")["scopes"]) - {"self"}
    )
    assert set(everyone) == {"access:services!service=gateway", "access:services!service=portal"}


def test_what_a_site_has_already_stays_and_is_extended():
    c = Config()
    c.JupyterHub.services = [{"name": "culler", "command": ["x"]}]
    c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "shares!user"]}, {"name": "mine", "scopes": []}]
    c.JupyterHub.template_paths = ["/site/templates"]
    c.JupyterHub.template_vars = {"logo": "x"}
    c.JupyterHub.custom_scopes = {"custom:site:x": {"description": "x"}}
    c.JupyterHub.default_url = "/hub/home"
    c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    c.KubeSpawner.image = "site/image:1"
    c.Authenticator.admin_users = {"root2"}
    configure(c, **WIRING)
    assert [one["name"] for one in services(c)] == ["culler", "gateway", "portal"]
    user = named(roles(c), "user")["scopes"]
    assert user[:2] == ["self", "shares!user"]
    assert "access:services!service=gateway" in user
    assert named(roles(c), "mine") == {"name": "mine", "scopes": []}
    assert named(roles(c), "remote-kernels-admin")["users"] == ["root2"]
    assert c.JupyterHub.template_paths[0] == "/site/templates"
    assert "--HubPortal.template_paths=/site/templates" in named(services(c), "portal")["command"]
    assert c.JupyterHub.template_vars["logo"] == "x"
    assert callable(c.JupyterHub.template_vars["remote_kernels_limits"](None))
    assert set(c.JupyterHub.custom_scopes) == {"custom:site:x", "custom:kernels:admin", "custom:limits:admin"}
    assert c.JupyterHub.default_url == "/hub/home"
    assert c.JupyterHub.spawner_class == "hub_ext.spawner.RemoteKernelKubeSpawner"
    assert c.KubeSpawner.image == "site/image:1"
    assert "extra_user_scopes" not in c.JupyterHub


def test_lists_that_a_site_has_appended_to_are_extended_too():
    c = Config()
    c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self"]})
    c.JupyterHub.services.append({"name": "culler", "command": ["x"]})
    c.Authenticator.admin_users.add("root2")
    configure(c, **WIRING)
    assert "access:services!service=portal" in named(roles(c), "user")["scopes"]
    assert [one["name"] for one in services(c)] == ["culler", "gateway", "portal"]
    assert named(roles(c), "remote-kernels-admin")["users"] == ["root2"]


def test_roles_of_ours_that_a_site_has_begun_are_completed():
    c = Config()
    c.JupyterHub.load_roles = [{"name": "remote-kernels-admin", "users": ["carol"], "groups": ["support"]}]
    c.GenericOAuthenticator.admin_users = {"root2"}
    configure(c, **WIRING)
    role = named(roles(c), "remote-kernels-admin")
    assert role["users"] == ["carol", "root2"]
    assert role["groups"] == ["support"]
    assert {"custom:kernels:admin", "custom:limits:admin"} <= set(role["scopes"])


def test_services_that_run_elsewhere_get_their_address_and_scopes():
    c = Config()
    c.JupyterHub.services = [{"name": "gateway", "api_token": "g"}, {"name": "portal", "api_token": "p"}]
    configure(c, **WIRING, managed=False, gateway_address="http://gw:80", portal_address="http://portal:80")
    gateway = named(services(c), "gateway")
    assert gateway["url"] == "http://gw:80"
    assert gateway["api_token"] == "g"
    assert "command" not in gateway


def test_a_base_path_is_part_of_every_address():
    c = Config()
    c.JupyterHub.bind_url = "http://127.0.0.1:8000/jupyter"
    configure(c, **WIRING)
    assert c.RemoteKernelMixin.gateway_url == "http://127.0.0.1:8701/jupyter/services/gateway"
    assert c.JupyterHub.default_url == "/jupyter/services/portal/"


def test_a_database_password_does_not_go_into_arguments():
    c = Config()
    configure(c, **{**WIRING, "database_url": "postgresql://u:geheim@db/x"})
    gateway, portal = named(services(c), "gateway"), named(services(c), "portal")
    assert gateway["environment"]["HUB_EXT_DATABASE_URL"] == "postgresql://u:geheim@db/x"
    assert "geheim" not in str(gateway["command"] + portal["command"])


def test_a_service_gets_no_secret_that_it_does_not_need():
    c = Config()
    configure(c, **WIRING)
    assert named(services(c), "portal")["environment"] == {"HUB_EXT_EDGE_TOKEN": "geheim-edge"}
    assert named(services(c), "gateway")["environment"]["HUB_EXT_ENTERPRISE_GATEWAY_TOKEN"] == "geheim-eg"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"edge_url": "edge:8899"}, "edge_url"),
        ({"enterprise_gateway_url": ""}, "enterprise_gateway_url"),
        ({"managed": False}, "api_token"),
        ({"service_environment": {}}, "HUB_EXT_EDGE_TOKEN"),
        (
            {"service_environment": {"HUB_EXT_EDGE_TOKEN": "x", "HUB_EXT_ENTERPRISE_GATEWAY_TOKEN_FILE": "/nowhere"}},
            "/nowhere, which can't be read",
        ),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(change, words):
    with pytest.raises(ConfigurationError, match=words):
        configure(Config(), **{**WIRING, **change})


def test_a_foreign_service_of_the_same_name_is_named():
    c = Config()
    c.JupyterHub.services = [{"name": "portal", "url": "http://other"}]
    with pytest.raises(ConfigurationError, match="'portal'"):
        configure(c, **WIRING)


@pytest.mark.parametrize("spawner", ["systemdspawner.SystemdSpawner", dict])
def test_a_spawner_without_the_mixin_is_refused(spawner):
    c = Config()
    c.JupyterHub.spawner_class = spawner
    with pytest.raises(ConfigurationError, match="RemoteKernelMixin"):
        configure(c, **WIRING)


def test_a_hub_with_tls_inside_is_refused_at_start_and_not_at_the_first_websocket():
    c = Config()
    c.JupyterHub.internal_ssl = True
    with pytest.raises(ConfigurationError, match="internal_ssl is on"):
        configure(c, **WIRING)
    c.JupyterHub.internal_ssl = False
    configure(c, **WIRING)
    assert named(services(c), "gateway")


def told_limits(c):
    return json.loads(named(services(c), "gateway")["environment"]["HUB_EXT_CONFIGURED_LIMITS"])


def test_the_gateway_is_told_the_configured_limits_and_not_by_its_arguments():
    c = Config()
    c.RemoteKernelMixin.default_limits = {"kernels": 3, "queues": ["notebooks"], "cores": "unlimited"}
    c.RemoteKernelMixin.group_limits = {"analytics": {"kernels": 0}}
    c.RemoteKernelMixin.user_limits = {"alice": {"memory_mb": None}}
    c.RemoteKernelMixin.most_restrictive_group = True
    configure(c, **WIRING)
    assert told_limits(c) == {
        "default": {"kernels": 3, "queues": ["notebooks"], "cores": "unlimited"},
        "groups": {"analytics": {"kernels": 0}},
        "users": {"alice": {"memory_mb": None}},
        "most_restrictive_group": True,
    }
    assert "analytics" not in str(named(services(c), "gateway")["command"])


class SitesSpawner(RemoteKernelLocalSpawner):
    pass


@pytest.mark.parametrize(
    ("spawner", "section"),
    [
        ("simple", "RemoteKernelLocalSpawner"),
        ("remote-kernel-local", "RemoteKernelLocalSpawner"),
        (SitesSpawner, "SitesSpawner"),
        (SitesSpawner, "Spawner"),
        ("kubespawner.KubeSpawner", "RemoteKernelKubeSpawner"),
        ("kubespawner.KubeSpawner", "KubeSpawner"),
    ],
)
def test_limits_count_under_every_name_under_which_the_spawner_reads_them(spawner, section):
    c = Config()
    c.JupyterHub.spawner_class = spawner
    c[section].default_limits.update({"kernels": 2})
    configure(c, **WIRING)
    assert told_limits(c)["default"] == {"kernels": 2}


def test_the_more_special_name_wins_as_it_does_for_the_spawner():
    c = Config()
    c.RemoteKernelMixin.default_limits = {"kernels": 1, "cores": 1}
    c.RemoteKernelLocalSpawner.default_limits = {"kernels": 2}
    configure(c, **WIRING)
    assert told_limits(c)["default"] == {"kernels": 2}
    assert RemoteKernelLocalSpawner(config=c).default_limits == {"kernels": 2}


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("default_limits", {"kernel": 3}, "default_limits: There is no limit named 'kernel'"),
        ("group_limits", {"analytics": {"kernels": "many"}}, r"group_limits\['analytics'\]: Limit 'kernels' takes"),
        ("user_limits", {"alice": 3}, r"user_limits\['alice'\]: this has to be a dict of limits, not 3"),
    ],
)
def test_a_limit_that_cannot_be_read_is_named_when_the_hub_starts(trait, value, words):
    c = Config()
    c.RemoteKernelMixin[trait] = value
    with pytest.raises(ConfigurationError, match=words):
        configure(c, **WIRING)


def test_the_hub_looks_after_its_services_within_seconds():
    """It looks every 30 s by itself, and has no setting for it."""
    watch_services()
    watch_services()
    watched = jupyterhub.services.service._ServiceSpawner
    assert watched(cmd=["true"]).poll_interval == WATCH_SECONDS
    assert Spawner().poll_interval == 30


@pytest.mark.parametrize(("given", "told"), [("never", False), ("chosen", True), ("always", True)])
def test_kernels_in_advance_are_one_setting(given, told):
    c = Config()
    configure(c, **WIRING, warm_start=given)
    assert f"--HubGateway.warm_start={given}" in named(services(c), "gateway")["command"]
    assert c.RemoteKernelMixin.warm_start is told


def test_a_warm_start_that_there_is_not_is_refused():
    with pytest.raises(ConfigurationError, match="one of never, chosen, always"):
        configure(Config(), **WIRING, warm_start="sometimes")
