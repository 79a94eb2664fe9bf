"""The API of limits on a port: its real handlers and database, before a server that answers tokens as the Hub does."""

import json
from datetime import datetime, timezone

from jupyterhub.services.auth import HubAuth
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from hub_ext.cluster import ClusterState
from hub_ext.database import Kernel, Person
from hub_ext.errors import PublicError
from hub_ext.limits.requests import RequestStore
from hub_gateway.handlers.base import Parts
from hub_gateway.handlers.limits import limits_handlers
from hub_gateway.limits_api.api import limits_api

ACCESS = "access:services!service=gateway"
LIMITS = "custom:limits:admin"
#: What the Hub would say of each token.
PEOPLE = {
    "root": {"kind": "user", "name": "root", "groups": [], "admin": True, "scopes": [ACCESS, LIMITS]},
    "hub-admin": {"kind": "user", "name": "hanna", "groups": [], "admin": True, "scopes": [ACCESS, "admin-ui"]},
    "admins-narrow-token": {"kind": "user", "name": "hanna", "groups": [], "admin": True, "scopes": [ACCESS]},
    "lena": {"kind": "user", "name": "lena", "groups": [], "admin": False, "scopes": [ACCESS, LIMITS]},
    "kernels": {"kind": "user", "name": "karl", "groups": [], "scopes": [ACCESS, "custom:kernels:admin"]},
    "alice": {"kind": "user", "name": "alice", "groups": ["analytics"], "scopes": [ACCESS]},
    "alices-server": {
        "kind": "user",
        "name": "alice",
        "groups": ["analytics"],
        "scopes": [ACCESS, "access:servers!server=alice/"],
    },
    "new": {"kind": "user", "name": "new", "groups": ["analytics"], "scopes": [ACCESS]},
    "bot": {"kind": "service", "name": "bot", "scopes": [ACCESS, LIMITS]},
    "elsewhere": {"kind": "user", "name": "alice", "groups": [], "scopes": ["access:services!service=portal"]},
}


class TokenHandler(web.RequestHandler):
    """``GET /hub/api/user``"""

    def get(self):
        token = self.request.headers.get("Authorization", "").removeprefix("token ")
        if token not in PEOPLE:
            raise web.HTTPError(403)
        self.finish(PEOPLE[token])


class Server:
    """Both servers, on free ports."""

    def __init__(self, database, store, *, maximum_body_bytes=1024 * 1024):
        #: What the edge service would say; an error for one that does not answer.
        self.cluster = ClusterState()
        self._servers = []
        hub = self._listen([("/hub/api/user", TokenHandler)])
        auth = HubAuth(api_url=f"http://127.0.0.1:{hub}/hub/api", api_token="x", access_scopes={ACCESS})
        parts = Parts(
            lifecycle=None,
            upstream=None,
            hub_auth=auth,
            maximum_body_bytes=maximum_body_bytes,
            maximum_upload_bytes=32 * 1024 * 1024,
            reauthorize_interval=60,
            connect_timeout=5,
            sockets=None,
            warm=None,
        )
        requests = RequestStore(database, store)
        self.api = limits_api(database, store, requests, cluster=self.current_cluster, display_names=self.display_names)
        self.port = self._listen(limits_handlers("/services/gateway/", parts, self.api))
        self.base = f"http://127.0.0.1:{self.port}/services/gateway/limits"

    def _listen(self, handlers):
        socket, port = bind_unused_port()
        server = HTTPServer(web.Application(handlers))
        server.add_socket(socket)
        self._servers.append(server)
        return port

    async def current_cluster(self):
        if isinstance(self.cluster, PublicError):
            raise self.cluster
        return self.cluster

    async def display_names(self):
        return {"spark_python": "Spark (Python)"}

    async def stop(self):
        for server in self._servers:
            server.stop()
            await server.close_all_connections()

    async def call(self, method, path, body=None, *, caller="root"):
        """Call and return status and body: JSON as a value, anything else as text."""
        headers = {"Authorization": f"token {caller}"} if caller else {}
        raw = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        request = HTTPRequest(
            f"{self.base}/{path}", method=method, headers=headers, body=raw, allow_nonstandard_methods=True
        )
        answer = await AsyncHTTPClient().fetch(request, raise_error=False)
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            return answer.code, json.loads(answer.body)
        return answer.code, answer.body.decode()

    async def good(self, method, path, body=None, *, caller="root", status=200):
        """Call and return the body of an answer that must be all right."""
        code, answer = await self.call(method, path, body, caller=caller)
        assert code == status, answer
        return answer

    async def refused(self, method, path, body=None, *, caller="root"):
        """Call and return the status and code of a refusal."""
        status, answer = await self.call(method, path, body, caller=caller)
        assert status >= 400, answer
        return status, answer["code"]


async def add_person(database, name, *groups, last=None):
    async with database.transaction() as session:
        seen = datetime.now(timezone.utc)
        session.add(Person(name=name, groups=list(groups), seen_at=seen, last_kernel_at=last))


async def add_kernel(database, kernel_id, owner, memory_mb=0, cores=0, state="running"):
    async with database.transaction() as session:
        session.add(
            Kernel(
                id=kernel_id,
                owner=owner,
                cluster_user=owner,
                kernelspec="spark_python",
                server=None,
                state=state,
                started_at=datetime.now(timezone.utc),
                memory_mb=memory_mb,
                cores=cores,
                queue="root.default",
            )
        )
