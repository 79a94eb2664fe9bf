"""The mixin on both spawners, by what they would start: environment and pod manifest."""

import json

import pytest
from jupyterhub.objects import Hub, Server
from jupyterhub.orm import Spawner as ORMSpawner
from tornado import web
from traitlets.config import Config

from hub_ext.errors import PublicError
from hub_ext.spawner import RemoteKernelKubeSpawner, RemoteKernelLocalSpawner, spawn_refusal

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: none, context: {cluster: none, user: nobody}}]
current-context: none
"""


class Group:
    def __init__(self, name):
        self.name = name


class Person:
    """As much of the Hub's user as a spawner asks for."""

    def __init__(self, name, groups=()):
        self.name = name
        self.id = 1
        self.escaped_name = name
        self.groups = [Group(group) for group in groups]
        self.server = Server()
        self.url = "/user/x"
        self.settings = {}


@pytest.fixture(autouse=True)
def no_cluster(tmp_path, monkeypatch):
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))


def kube(name="alice", groups=(), **config):
    c = Config()
    c.RemoteKernelMixin.gateway_url = "http://proxy-public/services/gateway"
    for key, value in config.items():
        section, trait = key.split("__")
        c[section][trait] = value
    spawner = RemoteKernelKubeSpawner(
        _mock=True, hub=Hub(), user=Person(name, groups), orm_spawner=ORMSpawner(name=""), config=c
    )
    spawner.api_token = "the-server-token"
    return spawner


def container(pod):
    return pod.spec.containers[0]


async def started(spawner):
    await spawner.load_user_options()
    pod = await spawner.get_pod_manifest()
    return pod, {one.name: one.value for one in container(pod).env}


async def test_a_pod_gets_its_owners_gateway_and_token():
    _, env = await started(kube("Alice.B"))
    assert env["JUPYTER_GATEWAY_URL"] == "http://proxy-public/services/gateway/user/Alice.B"
    assert env["JUPYTER_GATEWAY_WS_URL"] == "ws://proxy-public/services/gateway/user/Alice.B"
    assert env["JUPYTER_GATEWAY_AUTH_TOKEN"] == "the-server-token"
    assert env["JUPYTER_GATEWAY_REQUEST_TIMEOUT"] == env["JUPYTER_GATEWAY_CONNECT_TIMEOUT"] == "600"


async def test_only_the_environment_and_the_ceilings_differ_from_a_plain_kubespawner():
    from kubespawner import KubeSpawner

    config = Config()
    config.KubeSpawner.image = "site/image:1"
    config.KubeSpawner.mem_limit = "8G"
    config.KubeSpawner.extra_labels = {"team": "x"}
    config.KubeSpawner.environment = {"SITE": "1"}
    plain = KubeSpawner(_mock=True, hub=Hub(), user=Person("alice"), orm_spawner=ORMSpawner(name=""), config=config)
    plain.api_token = "the-server-token"
    before = (await plain.get_pod_manifest()).to_dict()
    ours = kube(
        KubeSpawner__image="site/image:1",
        KubeSpawner__mem_limit="8G",
        KubeSpawner__extra_labels={"team": "x"},
        KubeSpawner__environment={"SITE": "1"},
        RemoteKernelMixin__default_limits={"server_memory_mb": 1024},
    )
    pod, _ = await started(ours)
    after = pod.to_dict()
    one, two = before["spec"]["containers"][0], after["spec"]["containers"][0]
    added = {e["name"] for e in two.pop("env")} - {e["name"] for e in one.pop("env")}
    assert added == {
        "HUB_EXT_LIMITS",
        "JUPYTER_GATEWAY_URL",
        "JUPYTER_GATEWAY_WS_URL",
        "JUPYTER_GATEWAY_AUTH_TOKEN",
        "JUPYTER_GATEWAY_CONNECT_TIMEOUT",
        "JUPYTER_GATEWAY_REQUEST_TIMEOUT",
        "MEM_LIMIT",
    } - {"MEM_LIMIT"}
    assert (one.pop("resources")["limits"], two.pop("resources")["limits"]) == (
        {"memory": 8 * 1024**3},
        {"memory": 1024**3},
    )
    assert after == before


async def test_a_profile_cannot_lift_a_ceiling():
    spawner = kube(
        KubeSpawner__profile_list=[
            {"slug": "big", "display_name": "Big", "kubespawner_override": {"mem_limit": "16G", "cpu_limit": 8}}
        ],
        RemoteKernelMixin__default_limits={"server_memory_mb": 2048, "server_cores": 2},
        KubeSpawner__mem_guarantee="4G",
    )
    spawner.user_options = {"profile": "big"}
    pod, _ = await started(spawner)
    resources = container(pod).resources
    assert resources.limits == {"memory": 2 * 1024**3, "cpu": 2}
    assert resources.requests == {"memory": 2 * 1024**3}


async def test_a_smaller_size_of_the_site_stays():
    pod, _ = await started(
        kube(KubeSpawner__mem_limit="512M", RemoteKernelMixin__default_limits={"server_memory_mb": 2048})
    )
    assert container(pod).resources.limits == {"memory": 512 * 1024**2}


async def test_limits_travel_with_their_source():
    _, env = await started(
        kube(
            groups=["analytics"],
            RemoteKernelMixin__default_limits={"kernels": 3, "cores": 6},
            RemoteKernelMixin__group_limits={"analytics": {"kernels": 4}, "other": {"kernels": 99}},
        )
    )
    limits = json.loads(env["HUB_EXT_LIMITS"])
    assert limits["kernels"] == {"value": 4, "source": "group analytics"}
    assert limits["cores"] == {"value": 6, "source": "default"}


async def test_a_sites_environment_cannot_replace_the_gateway():
    _, env = await started(kube(KubeSpawner__environment={"JUPYTER_GATEWAY_URL": "http://evil"}))
    assert env["JUPYTER_GATEWAY_URL"].startswith("http://proxy-public/")


async def sends_groups_apart(spawner):
    return f"http://{spawner.user.groups[0].name}.gateway/"


@pytest.mark.parametrize(
    "choose", [sends_groups_apart, lambda spawner: f"http://{spawner.user.groups[0].name}.gateway"]
)
async def test_groups_can_go_to_different_gateways(choose):
    _, env = await started(kube(groups=["analytics"], RemoteKernelMixin__gateway_url=choose))
    assert env["JUPYTER_GATEWAY_URL"] == "http://analytics.gateway/user/alice"


@pytest.mark.parametrize(
    ("name", "config", "code"),
    [
        ("jürgen", {}, "name-not-usable"),
        ("a b", {}, "name-not-usable"),
        ("alice@corp.com", {}, "name-not-usable"),
        ("alice", {"RemoteKernelMixin__gateway_url": lambda spawner: None}, "no-gateway"),
        ("alice", {"RemoteKernelMixin__default_limits": {"kernels": "many"}}, "limits-unreadable"),
    ],
)
async def test_who_may_not_start_is_told_why_before_a_pod_exists(name, config, code):
    with pytest.raises(web.HTTPError) as refused:
        await kube(name, **config).load_user_options()
    assert refused.value.reason == code
    assert refused.value.jupyterhub_message


async def test_people_with_mail_addresses_start_where_the_domain_is_set():
    _, env = await started(kube("Alice@corp.com", RemoteKernelMixin__user_domain="corp.com"))
    assert env["JUPYTER_GATEWAY_URL"].endswith("/user/Alice%40corp.com")


async def test_the_servers_token_reaches_the_gateway_and_nothing_else():
    assert kube().server_token_scopes == [
        "users:activity!user",
        "access:servers!server",
        "read:users:groups!user",
        "access:services!service=gateway",
    ]


async def test_the_local_spawner_refuses_before_it_starts_a_process(tmp_path):
    c = Config()
    c.SimpleLocalProcessSpawner.home_dir_template = str(tmp_path / "{username}")
    c.RemoteKernelMixin.gateway_url = "http://127.0.0.1:9/services/gateway"
    spawner = RemoteKernelLocalSpawner(hub=Hub(), user=Person("a b"), orm_spawner=ORMSpawner(name=""), config=c)
    with pytest.raises(web.HTTPError):
        await spawner.start()
    assert not (tmp_path / "a b").exists()


def test_a_refusal_is_shown_by_every_hub_version():
    refusal = spawn_refusal(PublicError("not-yours", "No 100 % chance.", remedy="Ask."))
    assert refusal.status_code == 403
    assert refusal.jupyterhub_message == "No 100 % chance. Ask."
