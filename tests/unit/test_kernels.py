import pytest

from hub_ext.kernels import definition_of, public_model


def model(**block):
    return {
        "name": "k",
        "spec": {
            "display_name": "K",
            "language": "python",
            "argv": ["/opt/secret/bin/launch"],
            "env": {"SPARK_HOME": "/opt/spark"},
            "metadata": {"process_proxy": {"class_name": "x"}, **({"remote_kernel": block} if block else {})},
        },
        "resources": {"logo-svg": "/kernelspecs/k/logo-svg.svg"},
    }


@pytest.mark.parametrize(
    ("block", "user", "groups", "admin", "visible"),
    [
        ({}, "bob", set(), False, True),
        ({"visibility": "everyone"}, "bob", set(), False, True),
        ({"visibility": "private", "owner": "alice"}, "alice", set(), False, True),
        ({"visibility": "private", "owner": "alice"}, "bob", set(), False, False),
        ({"visibility": "private", "owner": "alice"}, "bob", set(), True, True),
        ({"visibility": "group", "groups": ["g"], "owner": "alice"}, "bob", {"g"}, False, True),
        ({"visibility": "group", "groups": ["g"], "owner": "alice"}, "bob", {"h"}, False, False),
        ({"visibility": "group", "groups": ["g"], "owner": "alice"}, "alice", set(), False, True),
        ({"visibility": "nonsense"}, "bob", {"g"}, False, False),
        ({"size": {"driver_memory_mb": -1}}, "bob", set(), False, False),
        ({"size": {"driver_memory_mb": 1, "unknown": 2}}, "bob", set(), True, True),
    ],
)
def test_who_may_see_a_kernel(block, user, groups, admin, visible):
    assert definition_of("k", model(**block)).visible_to(user, groups, admin) is visible


def test_the_public_model_keeps_the_edge_nodes_paths_to_itself():
    shown = public_model("k", model(type="spark-python", python="/opt/env/bin/python", archive="hdfs:///x"))
    assert "/opt" not in str(shown)
    assert "hdfs" not in str(shown)
    assert "process_proxy" not in str(shown)
    assert shown["spec"]["metadata"]["remote_kernel"] == {"type": "spark-python"}
    assert shown["resources"] == {"logo-svg": "/kernelspecs/k/logo-svg.svg"}


def test_a_block_cannot_rename_the_kernel():
    assert definition_of("k", model(name="other", display_name="other")).name == "k"
