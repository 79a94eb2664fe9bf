import pytest

from hub_gateway.environment import reserved, upstream_body

ID = "f9ed359d-07f3-45e0-a3f6-b7f676625dd8"


def env_of(client_env, allowed=("SITE_PROJECT",)):
    return upstream_body("spark_python", ID, "alice", 300, client_env, allowed, COUNTED)["env"]


COUNTED = {"KERNEL_DEFINITION_DIGEST": "d1", "KERNEL_DRIVER_OVERHEAD_MB": "384", "KERNEL_EXECUTOR_OVERHEAD_MB": "384"}
OURS = {"KERNEL_ID": ID, "KERNEL_USERNAME": "alice", "KERNEL_LAUNCH_TIMEOUT": "300", **COUNTED}


@pytest.mark.parametrize(
    "client_env",
    [
        {},
        {"KERNEL_USERNAME": "bob"},
        {"KERNEL_ID": "x"},
        {"KERNEL_DEFINITION_DIGEST": "x", "KERNEL_DRIVER_OVERHEAD_MB": "0"},
        {"KERNEL_EXTRA_SPARK_OPTS": "--proxy-user hdfs"},
        {"KERNEL_LAUNCH_TIMEOUT": "999999"},
        {"PATH": "/tmp", "LD_PRELOAD": "/tmp/x.so", "SPARK_OPTS": "x"},
        {"SITE_PROJECT": "$(id)"},
        {"SITE_PROJECT": "`id`"},
        {"SITE_PROJECT": "${KERNEL_ID}"},
        {"SITE_PROJECT": "{kernel_id}"},
        {"SITE_PROJECT": "a\nb"},
        {"SITE_PROJECT": "x" * 2000},
        {"SITE_PROJECT": 3},
        {"SITE_PROJECT": ["a"]},
    ],
)
def test_nothing_that_a_client_forges_goes_upstream(client_env):
    assert env_of(client_env) == OURS


def test_an_allowed_variable_passes():
    assert env_of({"SITE_PROJECT": "churn 2026"}) == {**OURS, "SITE_PROJECT": "churn 2026"}


def test_allowing_our_own_names_does_not_hand_them_over():
    assert env_of({"KERNEL_USERNAME": "bob"}, allowed=("KERNEL_USERNAME",)) == OURS
    assert env_of({"KERNEL_DEFINITION_DIGEST": "x"}, allowed=("KERNEL_DEFINITION_DIGEST",)) == OURS


SIZES = [
    "KERNEL_EXTRA_SPARK_OPTS",
    "KERNEL_QUEUE",
    "KERNEL_DRIVER_MEMORY",
    "KERNEL_EXECUTOR_MEMORY",
    "KERNEL_CPUS",
    "SPARK_OPTS",
    "SPARK_HOME",
    "spark_opts",
    "PYSPARK_SUBMIT_ARGS",
    "HADOOP_USER_NAME",
    "YARN_CONF_DIR",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LAUNCH_OPTS",
    "LD_PRELOAD",
    "PYTHONPATH",
    "PATH",
]


@pytest.mark.parametrize("name", SIZES)
def test_a_name_that_could_change_a_size_passes_for_nobody_even_if_it_is_allowed(name):
    assert env_of({name: "x"}, allowed=(name,)) == OURS
    assert reserved([name, "SITE_PROJECT"]) == [name]


def test_the_gateway_refuses_to_allow_such_a_name_when_it_starts():
    from traitlets import TraitError

    from hub_gateway.app import HubGateway

    assert HubGateway(allowed_env=["SITE_PROJECT"]).allowed_env == ["SITE_PROJECT"]
    with pytest.raises(TraitError, match="KERNEL_EXTRA_SPARK_OPTS"):
        HubGateway(allowed_env=["SITE_PROJECT", "KERNEL_EXTRA_SPARK_OPTS"])
