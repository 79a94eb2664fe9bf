"""The parts of the embedded platform: which programs run, with which environment, in which order they stop."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import hadoop
from .layout import LOOPBACK, Layout, Ports

#: Settings of other Hadoop, Spark, Jupyter or Python installations of this person would reach into the platform.
_FOREIGN_PREFIXES = ("HADOOP_", "YARN_", "HDFS_", "SPARK_", "PYSPARK_", "JUPYTER", "EG_", "KERNEL_", "PYTHON")
_FOREIGN_NAMES = ("CLASSPATH", "VIRTUAL_ENV", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
SECRETS = ("edge", "enterprise-gateway", "proxy")


@dataclass(frozen=True)
class Part:
    """One supervised program.

    Attributes
    ----------
    group
        Parts of one group stop together; see `STOP_ORDER`.
    environment
        The whole environment; holds secrets.
    stop_seconds
        How long it may take to end by itself.
    """

    name: str
    group: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path
    stop_seconds: int


#: Groups as they stop, first to last: who uses others goes before them. A NodeManager that has lost its
#: ResourceManager does not end before it has tried for a while to reach it.
STOP_ORDER = ("hub", "services", "nodes", "scheduler")
_GROUP_OF_JAVA = {"resourcemanager": "scheduler"}
#: A NodeManager ends its containers within a second; then it may wait long for word that their application is over.
_JAVA_STOP_S = 8


def parts(layout: Layout, ports: Ports, tokens: Mapping[str, str], environment: Mapping[str, str]) -> list[Part]:
    """Return every part in the order to start them.

    Parameters
    ----------
    layout, ports
        Where things are; the ports that they hold.
    tokens
        Value of each of `SECRETS`.
    environment
        That of the person who starts the platform.
    """
    java = hadoop.java_environment(layout)
    found = [
        Part(name, _GROUP_OF_JAVA.get(name, "nodes"), tuple(argv), java, layout.logs, _JAVA_STOP_S)
        for name, argv in hadoop.java_processes(layout, ports).items()
    ]
    own = platform_environment(layout, environment)
    gateway_environment = {
        **hadoop.enterprise_gateway_environment(layout, ports),
        "EG_AUTH_TOKEN": tokens["enterprise-gateway"],
        # When the platform stops, YARN ends them; when Enterprise Gateway alone does, they go on.
        "REMOTE_KERNELS_KEEP": "true",
    }
    gateway = tuple(hadoop.enterprise_gateway_command(layout, ports))
    found.append(Part("enterprise_gateway", "services", gateway, gateway_environment, layout.logs, stop_seconds=30))
    edge_environment = {**own, "HUB_EXT_EDGE_TOKEN": tokens["edge"]}
    found.append(Part("edge", "services", _edge_command(layout, ports), edge_environment, layout.logs, stop_seconds=10))
    hub = (str(layout.hub_python), "-m", "jupyterhub", "-f", str(layout.root / "jupyterhub_config.py"))
    hub_environment = {
        **own,
        "HUB_EXT_EDGE_TOKEN": tokens["edge"],
        "HUB_EXT_ENTERPRISE_GATEWAY_TOKEN": tokens["enterprise-gateway"],
        "CONFIGPROXY_AUTH_TOKEN": tokens["proxy"],
    }
    return [*found, Part("hub", "hub", hub, hub_environment, layout.data, stop_seconds=30)]


def _edge_command(layout: Layout, ports: Ports) -> tuple[str, ...]:
    return (
        str(layout.hub_python),
        "-m",
        "hadoop_edge",
        f"--HadoopEdge.ip={LOOPBACK}",
        f"--HadoopEdge.port={ports.edge}",
        # The embedded YARN tells sizes of applications to its administrator alone.
        f"--HadoopEdge.user={hadoop.service_user()}",
        f'--HadoopEdge.resource_manager_urls=["http://{LOOPBACK}:{ports.rm_web}"]',
    )


def platform_environment(layout: Layout, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of our own programs: the person's, without what would reach into them, plus ours."""
    kept = {
        name: value
        for name, value in environment.items()
        if name not in _FOREIGN_NAMES and not name.startswith(_FOREIGN_PREFIXES)
    }
    programs = [str(layout.hub_python.parent), str(layout.root / "node_modules" / ".bin")]
    return {
        **kept,
        "PATH": os.pathsep.join([*programs, environment.get("PATH", os.defpath)]),
        "HUB_EXT_PLATFORM": str(layout.platform),
        "HUB_EXT_PORTS": str(ports_file(layout)),
        "PYTHONUNBUFFERED": "1",
    }


def ports_file(layout: Layout) -> Path:
    """Return where the running platform's ports are written down."""
    return layout.run / "ports.json"


def make_folders(layout: Layout) -> None:
    """Make the platform's folders; only their owner can look into the ones with data and secrets."""
    for folder in (layout.platform, layout.logs, layout.data, layout.run, layout.run / "parts"):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (layout.data, layout.run, layout.run / "parts"):
        folder.chmod(0o700)


def make_tokens(layout: Layout) -> dict[str, str]:
    """Make new secrets for this run and write each into a file that only its owner can read."""
    tokens = {name: secrets.token_hex(32) for name in SECRETS}
    for name, token in tokens.items():
        write_private(layout.run / f"{name}-token", token)
    return tokens


def write_part(layout: Layout, part: Part) -> Path:
    """Write what `launch` needs to become this part; return the file."""
    path = layout.run / "parts" / f"{part.name}.json"
    content = {"argv": list(part.argv), "environment": dict(part.environment), "cwd": str(part.cwd)}
    write_private(path, json.dumps(content, indent=1))
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that at no moment anyone else can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
