"""The mixin on both spawners, by what they would start: environment and pod manifest."""

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest
from jupyterhub.objects import Hub, Server
from jupyterhub.orm import Spawner as ORMSpawner
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from traitlets.config import Config

from hub_ext import hub_limits
from hub_ext.database import Database, LimitValue, upgrade
from hub_ext.errors import PublicError
from hub_ext.spawn_refusals import spawn_refusal
from hub_ext.spawner import RemoteKernelKubeSpawner, RemoteKernelLocalSpawner

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
        "JUPYTER_GATEWAY_RETRY_INTERVAL_MAX",
        "JUPYTER_GATEWAY_RETRY_MAX",
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
    assert limits["kernels"] == {"value": 4, "source": "group analytics", "configured": True, "until": None}
    assert limits["cores"] == {"value": 6, "source": "default", "configured": True, "until": None}


async def stored(url, *rows):
    """Write into the table of limits, without the code that reads it: scope, name, field, value, until, value after."""
    upgrade(url)
    database = Database(url)
    async with database.transaction() as session:
        for scope, name, field, value, *rest in rows:
            until, after = rest or (None, None)
            session.add(LimitValue(scope=scope, name=name, field=field, value=value, until=until, value_after=after))
    await database.close()


YESTERDAY, TOMORROW = (datetime.now(timezone.utc) + timedelta(days=days) for days in (-1, 1))


async def test_values_of_the_administration_pages_win_over_the_configured_ones(tmp_path):
    url = f"sqlite:///{tmp_path / 'limits.sqlite'}"
    await stored(
        url,
        ("default", "", "server_memory_mb", 512),
        ("group", "analytics", "kernels", 7),
        ("group", "other", "kernels", 99),
        ("user", "alice", "cores", 2, TOMORROW, 1),
        ("user", "alice", "executors", 9, YESTERDAY, 3),
        ("user", "alice", "lifetime", 9, YESTERDAY, None),
        ("user", "bob", "cores", 99),
    )
    pod, env = await started(
        kube(
            groups=["analytics"],
            RemoteKernelMixin__database_url=url,
            RemoteKernelMixin__default_limits={"kernels": 3, "memory_mb": 6144, "server_memory_mb": 1024},
            RemoteKernelMixin__group_limits={"analytics": {"kernels": 4}},
        )
    )
    found = {name: (one["value"], one["source"]) for name, one in json.loads(env["HUB_EXT_LIMITS"]).items()}
    assert found["kernels"] == (7, "group analytics")
    assert found["memory_mb"] == (6144, "default")
    assert found["cores"] == (2, "user")
    assert found["executors"] == (3, "user")
    assert found["lifetime"] == ("unlimited", "default")
    assert container(pod).resources.limits["memory"] == 512 * 1024**2


async def absent(path):
    pass


async def empty(path):
    path.touch()


async def older(path):
    upgrade(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update alembic_version set version_num = '0001'")
        connection.commit()


async def unreadable(path):
    await stored(f"sqlite:///{path}", ("default", "", "server_memory_mb", "many"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (absent, "the database's file does not exist: run 'hub-ext db upgrade'"),
        (empty, "run 'hub-ext db upgrade'"),
        (older, "run 'hub-ext db upgrade'"),
        (unreadable, "The stored limits can't be read"),
    ],
)
async def test_a_notebook_server_starts_within_the_configured_limits_when_the_table_cannot_be_read(
    tmp_path, caplog, make, reason
):
    path = tmp_path / "limits.sqlite"
    await make(path)
    pod, _ = await started(with_database(f"sqlite:///{path}"))
    assert container(pod).resources.limits["memory"] == 1024**3
    assert "The notebook server of alice starts with the limits of the Hub's configuration alone" in caplog.text
    assert reason in caplog.text
    assert path.exists() == (make is not absent)


def with_database(url, **more):
    return kube(
        RemoteKernelMixin__database_url=url,
        RemoteKernelMixin__default_limits={"server_memory_mb": 1024},
        **more,
    )


async def test_a_notebook_server_does_not_wait_for_a_database_that_is_silent(caplog):
    accepted = []
    silent = await asyncio.start_server(lambda reader, writer: accepted.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    spawner = with_database(f"postgresql://u:geheim@127.0.0.1:{port}/x", RemoteKernelMixin__database_timeout=0.3)
    began = time.monotonic()
    pod, _ = await started(spawner)
    assert time.monotonic() - began < 4.5  # a connection alone may take 5 s
    assert accepted
    assert container(pod).resources.limits["memory"] == 1024**3
    assert "did not answer within 0.3 seconds" in caplog.text
    assert "geheim" not in caplog.text
    for writer in accepted:
        writer.close()
    silent.close()


async def test_one_pool_of_connections_serves_every_start(tmp_path):
    url = f"sqlite:///{tmp_path / 'limits.sqlite'}"
    upgrade(url)
    for _ in range(3):
        await started(with_database(url))
    assert len(hub_limits._databases[asyncio.get_running_loop()]) == 1


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
        ("alice", {"RemoteKernelMixin__default_limits": {"server_memory_mb": 0}}, "server-not-allowed"),
        ("alice", {"RemoteKernelMixin__user_limits": {"alice": {"server_cores": 0}}}, "server-not-allowed"),
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
    c.RemoteKernelMixin.user_limits = {"nobody": {"server_memory_mb": 0}}
    for name, words in (
        ("a b", "'a b'"),
        ("nobody", "its limit of memory is 0 (set for you in the Hub's configuration)"),
    ):
        spawner = RemoteKernelLocalSpawner(hub=Hub(), user=Person(name), orm_spawner=ORMSpawner(name=""), config=c)
        with pytest.raises(web.HTTPError) as refused:
            await spawner.start()
        assert words in refused.value.jupyterhub_message
        assert not (tmp_path / name).exists()


def test_a_refusal_is_shown_by_every_hub_version():
    refusal = spawn_refusal(PublicError("not-yours", "No 100 % chance.", remedy="Ask."))
    assert refusal.status_code == 403
    assert refusal.jupyterhub_message == "No 100 % chance. Ask."


class Said:
    """A gateway that is told when a notebook server starts."""

    def __init__(self, status=202):
        self.requests = []
        said = self

        class Handler(web.RequestHandler):
            async def post(self, path):
                said.requests.append((path, self.request.headers["Authorization"]))
                self.set_status(status)

        socket, self.port = bind_unused_port()
        self.server = HTTPServer(web.Application([(r"(/.*)", Handler)]))
        self.server.add_socket(socket)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/services/gateway"


@pytest.mark.parametrize("status", [202, 503])
async def test_the_gateway_is_told_that_a_notebook_server_starts_and_nothing_depends_on_it(status):
    said = Said(status)
    spawner = kube("Alice", RemoteKernelMixin__gateway_url=said.url, RemoteKernelMixin__warm_start=True)
    await spawner.load_user_options()
    await asyncio.wait_for(spawner._announcing, 10)
    assert said.requests == [("/services/gateway/user/Alice/api/warm-start", "token the-server-token")]
    said.server.stop()
    await spawner.load_user_options()  # nobody answers
    await asyncio.wait_for(spawner._announcing, 10)


async def test_the_gateway_is_told_nothing_where_no_kernel_starts_in_advance():
    spawner = kube()
    await spawner.load_user_options()
    assert spawner._announcing is None
