import json
from types import SimpleNamespace

import pytest
from jupyter_server.gateway import gateway_client

from hub_ext.singleuser_kernels import own, take_back


def model(kernel_id, server):
    return {"id": kernel_id, "remote_kernel": {"server": server}}


@pytest.mark.parametrize(
    ("models", "server", "expected"),
    [
        ([model("a", ""), model("b", None), model("c", "second")], "", ["a"]),
        ([model("a", ""), model("c", "second")], "second", ["c"]),
        ([{"id": "a"}, {"id": "b", "remote_kernel": None}, {}, "x"], "", []),
        ({"message": "no"}, "", []),
    ],
)
def test_a_notebook_server_knows_its_own_kernels_by_its_name(models, server, expected):
    assert own(models, server) == expected


class Manager(dict):
    kernels_url = "http://gateway.test/api/kernels"

    async def start_kernel(self, *, kernel_id):
        self[kernel_id] = "asked for"


async def test_kernels_of_an_earlier_run_are_asked_for_and_those_that_are_known_are_left_alone(monkeypatch):
    async def answer(url, method):
        assert (url, method) == (Manager.kernels_url, "GET")
        return SimpleNamespace(body=json.dumps([model("a", ""), model("b", ""), model("c", None)]))

    monkeypatch.setattr(gateway_client, "gateway_request", answer)
    monkeypatch.delenv("JUPYTERHUB_SERVER_NAME", raising=False)
    manager = Manager(a="known")
    assert await take_back(manager) == ["b"]
    assert manager == {"a": "known", "b": "asked for"}
