import ast
import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hub_ext.embedded import hadoop, kernelspecs
from hub_ext.embedded.hadoop_sites import has_leveldb, render_properties, render_xml
from hub_ext.embedded.layout import NODE_ADDRESSES, Layout, Ports
from hub_ext.kernels import definition_of
from hub_ext.sizes import Rules, footprint
from jeg_plugin.definition import definition_of as plugin_definition_of


@pytest.fixture
def layout(tmp_path):
    packages = tmp_path / ".tools" / "spark" / "lib" / "python3.11" / "site-packages"
    for name in ("pyspark", "py4j", "numpy"):
        (packages / name).mkdir(parents=True)
    made = Layout(tmp_path, tmp_path / "platform")
    made.run.mkdir(parents=True)
    return made


@pytest.fixture
def ports():
    return Ports.choose(8000)


def site(layout, name):
    root = ElementTree.parse(layout.hadoop_conf / name).getroot()  # noqa: S314 - our own file
    return {p.findtext("name"): p.findtext("value") for p in root}


def test_everything_listens_on_loopback_and_on_our_ports(layout, ports):
    hadoop.write_configuration(layout, ports, 4096)
    yarn = site(layout, "yarn-site.xml")
    addresses = {name: value for name, value in yarn.items() if name.endswith("address")}
    assert len(addresses) == 8
    for value in addresses.values():
        host, _, port = value.rpartition(":")
        assert host in ("127.0.0.1", "${yarn.nodemanager.hostname}")
        assert int(port) in vars(ports).values()
    commands = hadoop.java_processes(layout, ports)
    names = [part.partition("=")[2] for argv in commands.values() for part in argv if "nodemanager.hostname" in part]
    assert tuple(names) == NODE_ADDRESSES
    assert all(name.startswith("127.") for name in names)
    assert "0.0.0.0" not in "".join(path.read_text() for path in layout.hadoop_conf.iterdir())  # noqa: S104 - its absence


def test_queues_share_the_whole_and_only_the_service_administers(layout, ports):
    hadoop.write_configuration(layout, ports, 4096)
    scheduler = site(layout, "capacity-scheduler.xml")
    queues = scheduler["yarn.scheduler.capacity.root.queues"].split(",")
    assert sum(int(scheduler[f"yarn.scheduler.capacity.root.{queue}.capacity"]) for queue in queues) == 100
    assert scheduler["yarn.scheduler.capacity.root.acl_administer_queue"] == hadoop.service_user()
    yarn = site(layout, "yarn-site.xml")
    assert (yarn["yarn.acl.enable"], yarn["yarn.admin.acl"]) == ("true", hadoop.service_user())
    assert yarn["yarn.nodemanager.resource.memory-mb"] == yarn["yarn.scheduler.maximum-allocation-mb"] == "4096"


def test_people_are_in_the_same_groups_on_the_cluster_as_on_the_hub(layout, ports):
    config = ast.parse((Path(__file__).parents[2] / "jupyterhub_config.py").read_text())
    (groups,) = [
        ast.literal_eval(node.value)
        for node in config.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "c.JupyterHub.load_groups"
    ]
    hub = {user: group for group, settings in groups.items() for user in settings["users"]}
    assert {"alice", "bob"} <= set(hub)
    hadoop.write_configuration(layout, ports, 4096)
    mapping = site(layout, "core-site.xml")["hadoop.user.group.static.mapping.overrides"]
    cluster = dict(one.split("=") for one in mapping.split(";"))
    assert {user: cluster[user] for user in hub} == hub
    assert cluster["admin"] == cluster[hadoop.service_user()] == "administrators"


def test_a_stopping_node_has_done_waiting_before_its_time_is_over(layout, ports):
    hadoop.write_configuration(layout, ports, 4096)
    allowed = int(site(layout, "core-site.xml")["hadoop.service.shutdown.timeout"].removesuffix("s"))
    # The node adds the time to a container's SIGKILL, 250 ms, and a second, and looks every second.
    waits = math.ceil((int(site(layout, "yarn-site.xml")["yarn.nodemanager.process-kill-wait.ms"]) + 1250) / 1000)
    assert waits < allowed <= 3


def test_writing_twice_is_as_writing_once(layout, ports):
    hadoop.write_configuration(layout, ports, 4096)
    first = {path.name: path.read_text() for path in layout.hadoop_conf.iterdir()}
    hadoop.write_configuration(layout, ports, 4096)
    assert {path.name: path.read_text() for path in layout.hadoop_conf.iterdir()} == first
    assert sorted(path.name for path in hadoop.pyspark_folder(layout).iterdir()) == ["py4j", "pyspark"]


def test_values_are_escaped():
    text = render_xml({"a": "<b> & 'c'"})
    assert ElementTree.fromstring(text.partition("\n")[2])[0].findtext("value") == "<b> & 'c'"  # noqa: S314 - our own
    assert render_properties({"k": "C:\\x"}) == "k C:\\\\x\n"


def test_enterprise_gateway_gets_no_secret_and_binds_loopback(layout, ports):
    environment = hadoop.enterprise_gateway_environment(layout, ports)
    assert environment["EG_IP"] == environment["EG_RESPONSE_IP"] == "127.0.0.1"
    assert environment["EG_PORT_RETRIES"] == environment["EG_RESPONSE_PORT_RETRIES"] == "0"
    assert not any("TOKEN" in name or "PASSWORD" in name for name in environment)
    inherited = set(environment["EG_INHERITED_ENVS"].split(","))
    assert inherited <= set(environment)
    assert not any(name.startswith("EG_") for name in inherited)
    root = Path(environment["EG_PERSISTENCE_ROOT"])
    assert root.stat().st_mode & 0o777 == 0o700
    assert layout.run in root.parents
    command = hadoop.enterprise_gateway_command(layout, ports)
    assert command[0] == str(layout.enterprise_gateway_python)
    assert command[1:4] == ["-I", "-m", "jeg_plugin.app"]


def test_a_missing_spark_is_said_in_words(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no pyspark in"):
        hadoop.spark_home(Layout(tmp_path, tmp_path))


def test_a_missing_java_is_said_in_words(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Java is not installed"):
        hadoop.java_home()


def test_the_ready_made_kernelspecs(layout):
    kernelspecs.write_kernelspecs(layout)
    kernelspecs.write_kernelspecs(layout)
    folder = layout.kernelspecs / "kernels"
    assert sorted(path.name for path in folder.iterdir()) == ["python_yarn", "spark_python"]
    specs = {}
    for path in folder.iterdir():
        assert sorted(file.name for file in path.iterdir()) == ["kernel.json", "logo-svg.svg"]
        ElementTree.parse(path / "logo-svg.svg")  # noqa: S314 - our own file
        specs[path.name] = json.loads((path / "kernel.json").read_text())
    hub = {name: definition_of(name, {"spec": spec}) for name, spec in specs.items()}
    assert (hub["spark_python"].display_name, hub["python_yarn"].display_name) == ("Spark (Python)", "Python in YARN")
    assert all(definition.visibility == "everyone" for definition in hub.values())
    assert footprint(hub["spark_python"].size.as_kernel_size(), Rules(256)).memory_mb == 2048
    assert footprint(hub["python_yarn"].size.as_kernel_size(), Rules(256)).memory_mb == 1024
    for name, spec in specs.items():
        assert spec["argv"][:4] == [str(layout.enterprise_gateway_python), "-I", "-m", "jeg_plugin.launch"]
        # The Hub's reading and the launcher's are the same.
        plugin = plugin_definition_of(spec)
        assert plugin.type == hub[name].type
        assert vars(plugin.size) == hub[name].size.model_dump()


def test_yarn_remembers_within_a_run_and_starts_each_with_nothing(layout, ports):
    hadoop.write_configuration(layout, ports, 4096)
    yarn = site(layout, "yarn-site.xml")
    assert yarn["yarn.resourcemanager.recovery.enabled"] == "true"
    store = Path(yarn["yarn.resourcemanager.fs.state-store.uri"].removeprefix("file://"))
    assert layout.platform in store.parents
    assert Path(yarn["yarn.nodemanager.recovery.dir"]).parent == store.parent
    store.mkdir()
    hadoop.write_configuration(layout, ports, 4096)
    assert not list(store.parent.iterdir())


@pytest.mark.parametrize(("machine", "expected"), [("x86_64", True), ("AMD64", True), ("aarch64", False)])
def test_nodes_remember_where_hadoop_brings_the_library_for_it(machine, expected):
    assert has_leveldb(machine) is expected
