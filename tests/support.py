"""What tests do to a running platform, as people and programs would do it."""

import json
import re
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import requests

from hub_ext.embedded.layout import Ports

TIMEOUT = 30
#: A start is answered when the kernel runs or could not start; without this, at once.
PATIENT = {"Prefer": "wait=300"}


def wait_for(question, seconds=60, every=0.5, what="the condition"):
    """Ask until the answer is true and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(every)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def wait_for_lasting(question, lasting=5, seconds=90, what="the condition"):
    """Ask until the answer has been true for `lasting` seconds running: something late might still turn up."""
    deadline, since = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        since = (since or time.monotonic()) if question() else None
        if since is not None and time.monotonic() - since >= lasting:
            return
        time.sleep(0.5)
    raise AssertionError(f"{what} did not hold for {lasting} s within {seconds} s")


def bearer(token):
    """Return the headers that carry a Hub token, of a client that waits until its start has ended."""
    return {"Authorization": f"token {token}", **PATIENT}


@dataclass
class Platform:
    """A running platform."""

    url: str
    password: str
    folder: Path
    process: subprocess.Popen
    people: dict = field(default_factory=dict)

    @property
    def ports(self):
        (path,) = list((self.folder / "run").glob("ports*.json"))
        return Ports.load(path)

    @property
    def gateway(self):
        return f"http://127.0.0.1:{self.ports.gateway}/services/gateway"

    def is_ready(self):
        """Say whether pages are there and the cluster is known: before, no kernel can be started."""
        try:
            if requests.get(f"{self.url}/services/portal/health", timeout=5).status_code != 200:
                return False
            checks = requests.get(f"http://127.0.0.1:{self.ports.edge}/health", timeout=5).json()["checks"]
        except requests.RequestException:
            return False
        return all(check["ok"] for check in checks if check["name"] == "resource-manager")

    def person(self, name):
        """Log in as somebody, once."""
        if name not in self.people:
            self.people[name] = Person(self, name)
        return self.people[name]

    def rm(self, path):
        """Ask the ResourceManager itself."""
        url = f"http://127.0.0.1:{self.ports.rm_web}/ws/v1/cluster{path}"
        answer = requests.get(url, params={"user.name": "root"}, timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.json()

    def applications(self, kernel_id=None, states=None):
        """Return YARN's applications, of a kernel, in some states."""
        apps = (self.rm("/apps").get("apps") or {}).get("app") or []
        return [
            app
            for app in apps
            if (kernel_id is None or kernel_id in app["applicationTags"]) and (states is None or app["state"] in states)
        ]

    def add_kernelspec(self, name, display_name, **changes):
        """Add a kernelspec beside the ready-made ones, as an administrator would: a copy with another size or owner."""
        folder = self.folder / "kernelspecs" / "kernels"
        spec = json.loads((folder / "spark_python" / "kernel.json").read_text())
        spec["display_name"] = display_name
        block = spec["metadata"]["remote_kernel"]
        for key, value in changes.items():
            (block["size"] if key in block["size"] else block)[key] = value
        made = folder / name
        made.mkdir()
        (made / "kernel.json").write_text(json.dumps(spec))
        return Kernelspec(made)

    def kill_application(self, application_id):
        """End an application at the ResourceManager, as an administrator of the cluster would."""
        url = f"http://127.0.0.1:{self.ports.rm_web}/ws/v1/cluster/apps/{application_id}/state"
        answer = requests.put(url, params={"user.name": "root"}, json={"state": "KILLED"}, timeout=TIMEOUT)
        assert answer.status_code in {200, 202}, answer.text

    def registered(self):
        """Return what the gateway's database says of every kernel so far: state and reason of its end, by id."""
        path = self.folder / "data" / "remote-kernels.sqlite"
        with closing(sqlite3.connect(path, timeout=TIMEOUT)) as connection:
            rows = connection.execute("select id, state, end_reason from kernels").fetchall()
        return {kernel_id: (state, reason) for kernel_id, state, reason in rows}

    def kernels_of_enterprise_gateway(self):
        """Return the ids of everyone's kernels, as Enterprise Gateway itself lists them."""
        token = (self.folder / "run" / "enterprise-gateway-token").read_text().strip()
        answer = requests.get(
            f"http://127.0.0.1:{self.ports.enterprise_gateway}/api/kernels",
            headers={"Authorization": f"token {token}"},
            timeout=TIMEOUT,
        )
        answer.raise_for_status()
        return {kernel["id"] for kernel in answer.json()}

    def running_applications(self, kernel_id=None):
        return self.applications(kernel_id, {"NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING"})


@dataclass
class Kernelspec:
    """A kernelspec that a test has added."""

    folder: Path

    def remove(self):
        shutil.rmtree(self.folder)


class Person:
    """Somebody who is logged in, as their browser would be."""

    def __init__(self, platform, name):
        self.platform = platform
        self.name = name
        #: Every token that was made for them.
        self.tokens = []
        self.session = requests.Session()
        login = f"{platform.url}/hub/login"
        page = self.session.get(login, timeout=TIMEOUT)
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page.text).group(1)
        answer = self.session.post(
            login,
            data={"username": name, "password": platform.password, "_xsrf": xsrf},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        assert answer.status_code == 302, answer.text[:500]
        self.session.get(f"{platform.url}/hub/home", timeout=TIMEOUT)

    def hub(self, method, path, **more):
        """Call the Hub's API as the logged-in browser."""
        xsrf = next(c.value for c in self.session.cookies if c.name == "_xsrf" and c.path.endswith("/hub/"))
        return self.session.request(
            method, f"{self.platform.url}/hub/api{path}", headers={"X-XSRFToken": xsrf}, timeout=TIMEOUT, **more
        )

    def token(self, *scopes):
        """Make an API token with these scopes (by default: what a person's own programs need)."""
        wanted = list(scopes) or ["access:services!service=gateway", "read:users:groups!user", "read:users:name!user"]
        answer = self.hub("POST", f"/users/{quote(self.name)}/tokens", json={"scopes": wanted, "note": "test"})
        assert answer.status_code == 201, answer.text
        self.tokens.append(answer.json()["token"])
        return answer.json()["token"], answer.json()["id"]

    def client(self, token=None, owner=None):
        """Return a kernel client of this person at the gateway."""
        from tests.integration.kernel_client import KernelClient

        base = f"{self.platform.gateway}/user/{quote(owner or self.name, safe='')}"
        return KernelClient(base, bearer(token or self.token()[0]))

    def start(self, kernelspec, env=None, token=None):
        """Start a kernel and return the client that is connected to it."""
        client = self.client(token)
        client.start(kernelspec, env)
        return client

    def kernels(self):
        """Return the models of this person's kernels, as the gateway lists them."""
        answer = self.client().request("GET", "kernels")
        answer.raise_for_status()
        return answer.json()

    def start_from_server(self, kernelspec):
        """Start a kernel as JupyterLab does, by the own notebook server; return the client."""
        from tests.integration.kernel_client import KernelClient

        url = self.start_server()
        token, _ = self.token(f"access:servers!user={self.name}")
        client = KernelClient(f"{self.platform.url}{url.rstrip('/')}", {"Authorization": f"token {token}"})
        client.start(kernelspec)
        return client

    def start_server(self):
        answer = self.hub("POST", f"/users/{quote(self.name)}/server")
        assert answer.status_code in {201, 202, 400}, answer.text
        return wait_for(self.server, 60, what=f"the notebook server of {self.name}")

    def server(self):
        """Return the ready notebook server's address, or None."""
        answer = self.hub("GET", f"/users/{quote(self.name)}").json()
        server = (answer.get("servers") or {}).get("")
        return server["url"] if server and server["ready"] else None

    def stop_server(self):
        self.hub("DELETE", f"/users/{quote(self.name)}/server")
        wait_for(lambda: not self.server(), 60, what="the notebook server's end")


def end_kernels(person):
    """End what an earlier test has left running, also what only YARN still knows of: one failure stays one."""
    platform = person.platform
    for kernel in person.kernels():
        person.client().request("DELETE", f"kernels/{kernel['id']}")
    for application in platform.running_applications():
        platform.kill_application(application["id"])
    wait_for(lambda: not platform.running_applications(), 60, what="the end of all applications")
