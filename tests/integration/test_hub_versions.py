"""A site's own Hub, of both supported versions, in front of the running platform's Hadoop side.

Names that authenticators let in go all the way to YARN, or are refused in one place with the reason.
"""

import html
import json
import os
import re
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
import requests

from tests.conftest import free_port
from tests.integration.kernel_client import KernelClient
from tests.support import Person, bearer, wait_for

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = {"6": ROOT / ".tools/hub/bin/python", "5.5": ROOT / ".tools/hub-5.5/bin/python"}

CONFIG = """
import os
from jupyterhub.auth import DummyAuthenticator
import hub_ext
from hub_ext.database import upgrade

class AnyName(DummyAuthenticator):
    def normalize_username(self, username):
        return username

c = get_config()
folder, ports = os.environ["SITE_FOLDER"], [int(port) for port in os.environ["SITE_PORTS"].split(",")]
c.JupyterHub.bind_url = f"http://127.0.0.1:{ports[0]}/site"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{ports[1]}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{ports[2]}"
c.JupyterHub.db_url = f"sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{folder}/cookie-secret"
c.JupyterHub.authenticator_class = AnyName
c.DummyAuthenticator.password = "p"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"root2"}
c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "shares!user"]}]
c.SimpleLocalProcessSpawner.home_dir_template = folder + "/home/{username}"
c.Spawner.ip = "127.0.0.1"
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []
c.RemoteKernelMixin.default_limits = {"kernels": 3, "memory_mb": 8192}
upgrade(f"sqlite:///{folder}/kernels.sqlite")
hub_ext.configure(
    c,
    enterprise_gateway_url=os.environ["SITE_ENTERPRISE_GATEWAY"],
    edge_url=os.environ["SITE_EDGE"],
    database_url=f"sqlite:///{folder}/kernels.sqlite",
    gateway_address=f"http://127.0.0.1:{ports[3]}",
    portal_address=f"http://127.0.0.1:{ports[4]}",
    user_domain=os.environ.get("SITE_DOMAIN", ""),
    service_environment={
        "HUB_EXT_EDGE_TOKEN_FILE": os.environ["SITE_EDGE_TOKEN"],
        "HUB_EXT_ENTERPRISE_GATEWAY_TOKEN_FILE": os.environ["SITE_ENTERPRISE_GATEWAY_TOKEN"],
    },
)
"""


class Site:
    """A Hub with a configuration of its own."""

    password = "p"

    def __init__(self, platform, python, folder, domain=""):
        self.platform = platform
        self.folder = folder
        self.ports = [free_port() for _ in range(5)]
        self.url = f"http://127.0.0.1:{self.ports[0]}/site"
        self.gateway = f"http://127.0.0.1:{self.ports[3]}/site/services/gateway"
        (folder / "config.py").write_text(CONFIG)
        run = platform.folder / "run"
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(python.parent), str(ROOT / "node_modules/.bin"), os.environ["PATH"]]),
            "SITE_FOLDER": str(folder),
            "SITE_PORTS": ",".join(map(str, self.ports)),
            "SITE_ENTERPRISE_GATEWAY": f"http://127.0.0.1:{platform.ports.enterprise_gateway}",
            "SITE_EDGE": f"http://127.0.0.1:{platform.ports.edge}",
            "SITE_DOMAIN": domain,
            "SITE_EDGE_TOKEN": str(run / "edge-token"),
            "SITE_ENTERPRISE_GATEWAY_TOKEN": str(run / "enterprise-gateway-token"),
        }
        self.log = folder / "hub.log"
        self.process = subprocess.Popen(
            [str(python), "-m", "jupyterhub", "-f", str(folder / "config.py")],
            cwd=folder,
            env=environment,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        wait_for(self._ready, 90, what="the site's Hub")

    def _ready(self):
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return requests.get(f"{self.url}/services/portal/health", timeout=5).ok
        except requests.RequestException:
            return False

    def stop(self):
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.terminate()
        self.process.wait(60)
        for one in family:
            if one.is_running():
                one.kill()


@pytest.fixture(scope="module", params=sorted(VERSIONS))
def site(request, platform, tmp_path_factory):
    """A Hub whose people log in with plain names."""
    made = Site(platform, VERSIONS[request.param], tmp_path_factory.mktemp("site"))
    yield made
    made.stop()


def visit(person, path):
    return person.session.get(f"{person.platform.url}{path}", timeout=60)


@pytest.mark.parametrize("name", ["jürgen", "a b", "Alice@corp.com"])
def test_a_name_that_the_cluster_cannot_take_is_refused_with_the_reason(site, name):
    person = Person(site, name)
    answer = person.hub("POST", f"/users/{quote(name)}/server")
    assert answer.status_code == 403
    assert "can't be used on the Hadoop cluster" in answer.json()["message"]
    page = html.unescape(visit(person, "/hub/spawn").content.decode())
    for _ in range(20):
        if "can't be used" in page:
            break
        time.sleep(0.5)
        page = html.unescape(visit(person, f"/hub/spawn-pending/{quote(name)}").content.decode())
    assert f"The name '{name}' can't be used on the Hadoop cluster" in page
    assert "Reason: a name there begins with a letter" in page
    token = person.token()[0]
    start = requests.post(
        f"{site.gateway}/user/{quote(name)}/api/kernels",
        headers={"Authorization": f"token {token}"},
        json={"name": "python_yarn"},
        timeout=30,
    )
    assert (start.status_code, start.json()["code"]) == (403, "name-not-usable")


def run_through_the_notebook_server(person):
    """Start a kernel by the notebook server's own API and run a cell there; return its text and its id."""
    url = person.start_server()
    base = f"{person.platform.url.removesuffix('/site')}{url.rstrip('/')}"
    token = person.token(f"access:servers!user={person.name}")[0]
    kernel = KernelClient(base, {"Authorization": f"token {token}"})
    kernel.start("python_yarn")
    text = kernel.run("import getpass, os; print(os.environ['SPARK_USER'])", timeout=90)
    return kernel, text


def test_an_upper_case_name_goes_all_the_way_to_yarn(site, platform):
    person = Person(site, "UPPER")
    kernel, text = run_through_the_notebook_server(person)
    assert text.strip() == "UPPER"
    (application,) = platform.running_applications(kernel.kernel_id)
    assert application["user"] == "UPPER"
    kernel.delete()
    wait_for(lambda: not platform.running_applications(kernel.kernel_id), 30, what="the application's end")


def test_the_pages_and_roles_are_there_beside_the_sites_own(site):
    person = Person(site, "UPPER")
    home = visit(person, "/hub/home").text
    for entry in ("Cluster", "Kernels", "My kernels"):
        assert re.search(rf">\s*{entry}\s*</a>", home), entry
    page = visit(person, "/services/portal/")
    assert page.status_code == 200
    assert "Start my notebook" in page.text or "Open JupyterLab" in page.text
    scopes = person.hub("GET", "/user").json()["scopes"]
    assert "access:services!service=gateway" in scopes
    assert any(scope.startswith("shares") for scope in scopes)
    administrators = {"custom:kernels:admin", "custom:limits:admin"}
    assert not administrators & set(scopes)
    assert administrators <= set(Person(site, "root2").hub("GET", "/user").json()["scopes"])


def test_whoever_may_read_the_hubs_numbers_may_read_those_of_its_services(site):
    administrator, anybody = Person(site, "root2"), Person(site, "UPPER")
    reads = administrator.token("read:metrics")[0]
    assert requests.get(f"{site.url}/hub/metrics", headers=bearer(reads), timeout=30).status_code == 200
    for service in ("gateway", "portal"):
        url = f"{site.url}/services/{service}/metrics"
        answers = [
            requests.get(url, headers=headers, timeout=30)
            for headers in ({}, bearer("unknown"), bearer(anybody.token()[0]), bearer(reads))
        ]
        assert [answer.status_code for answer in answers] == [401, 401, 403, 200]
        assert f'hub_ext_service_info{{service="hub-{service}"' in answers[-1].text
        assert requests.get(f"{url}?token={reads}", timeout=30).status_code == 401


def words_of_the_box(person):
    """Return what the Hub's own home page says of limits, in one line."""
    page = visit(person, "/hub/home").text
    _, found, rest = page.partition('id="remote-kernels-limits"')
    return " ".join(re.sub(r"<[^>]*>", " ", rest.split("</section>")[0]).split()) if found else ""


def test_the_hubs_home_says_what_is_used_of_what_is_allowed(site):
    person = Person(site, "boxed")
    assert "Kernels 0 of 3 for everyone" in words_of_the_box(person)
    path = site.folder / "kernels.sqlite"
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute(
            "insert into limit_values (scope, name, field, value) values ('user', 'boxed', 'kernels', '7')"
        )
        connection.commit()
    assert "Kernels 0 of 7 set for you by an administrator" in words_of_the_box(person)
    with hidden(path):
        assert words_of_the_box(person) == ""
    assert "run 'hub-ext db upgrade'" in site.log.read_text()
    assert "Kernels 0 of 7 set for you by an administrator" in words_of_the_box(person)


def test_a_notebook_server_starts_while_the_database_is_away(site):
    person = Person(site, "patient")
    with hidden(site.folder / "kernels.sqlite"):
        assert person.start_server()
    said = "The notebook server of patient starts with the limits of the Hub's configuration alone"
    assert said in site.log.read_text()
    person.stop_server()


@contextmanager
def hidden(path):
    """Take a file away for a while; who has it open keeps it."""
    away = path.with_suffix(".away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_people_with_mail_addresses_go_all_the_way_where_the_domain_is_set(platform, tmp_path, version):
    site = Site(platform, VERSIONS[version], tmp_path, domain="corp.com")
    try:
        person = Person(site, "Alice@corp.com")
        kernel, text = run_through_the_notebook_server(person)
        assert text.strip() == "Alice"
        (application,) = platform.running_applications(kernel.kernel_id)
        assert application["user"] == "Alice"
        kernel.delete()
        stranger = Person(site, "alice@evil.com")
        refused = stranger.hub("POST", f"/users/{quote(stranger.name)}/server")
        assert refused.status_code == 403
        assert "only names that end in @corp.com" in json.dumps(refused.json())
    finally:
        site.stop()


@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_a_hub_that_cannot_work_ends_with_a_sentence(tmp_path, version):
    config = tmp_path / "config.py"
    config.write_text(
        "import hub_ext\nc = get_config()\nhub_ext.configure(c, enterprise_gateway_url='eg:8888', "
        "edge_url='http://127.0.0.1:1', database_url='sqlite:////x')\n"
    )
    ended = subprocess.run(
        [str(VERSIONS[version]), "-m", "jupyterhub", "-f", str(config)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "enterprise_gateway_url='eg:8888'): this has to be an http:// or https:// address." in ended.stderr
    assert "Traceback" not in ended.stderr
