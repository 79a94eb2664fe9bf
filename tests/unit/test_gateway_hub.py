import json

import pytest
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from hub_gateway import hub


@pytest.fixture
def hub_of():
    """Starts a Hub that has these users."""
    servers = []

    def start(users, broken=False):
        class UsersHandler(web.RequestHandler):
            def get(self):
                if broken or self.request.headers["Authorization"] != "token ours":
                    raise web.HTTPError(403)
                offset, limit = int(self.get_query_argument("offset")), int(self.get_query_argument("limit"))
                wanted = [user for user in users if not self.get_query_argument("state", "") or user.get("servers")]
                rest = wanted[offset + limit :]
                following = {"offset": offset + limit, "limit": limit} if rest else None
                page = {"items": wanted[offset : offset + limit], "_pagination": {"next": following}}
                self.finish(json.dumps(page))

        socket, port = bind_unused_port()
        server = HTTPServer(web.Application([("/hub/api/users", UsersHandler)]))
        server.add_socket(socket)
        servers.append(server)
        return f"http://127.0.0.1:{port}/hub/api/"

    yield start
    for server in servers:
        server.stop()


async def test_users_and_their_groups_are_read_page_by_page(hub_of, monkeypatch):
    monkeypatch.setattr(hub, "PAGE", 3)
    url = hub_of([{"name": f"u{n}", "groups": ["analytics"] if n % 2 else []} for n in range(10)])
    found = await hub.groups_of_users(url, "ours")
    assert len(found) == 10
    assert (found["u0"], found["u9"]) == ([], ["analytics"])


async def test_a_hub_that_does_not_tell_groups_is_not_believed_that_there_are_none(hub_of):
    assert await hub.groups_of_users(hub_of([{"name": "alice"}]), "ours") is None


@pytest.mark.parametrize("ask", [hub.groups_of_users, hub.notebook_servers])
async def test_a_hub_that_does_not_answer_says_nothing(hub_of, ask):
    assert await ask(hub_of([], broken=True), "ours") is None
    assert await ask("http://127.0.0.1:9/hub/api", "ours", 2.0) is None


async def test_the_notebook_servers_of_everybody_are_read(hub_of, monkeypatch):
    monkeypatch.setattr(hub, "PAGE", 1)
    url = hub_of([{"name": "alice", "servers": {"": {}, "named": {}}}, {"name": "bob", "servers": {"": {}}}])
    assert await hub.notebook_servers(url, "ours") == {("alice", ""), ("alice", "named"), ("bob", "")}
