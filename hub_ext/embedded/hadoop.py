"""A real ResourceManager with two NodeManagers, and Enterprise Gateway beside them, on one machine.

Pure functions: they render configuration files and tell which processes to run with which environment. Who runs
and restarts the processes is the supervisor's business. Everything listens on loopback addresses only, every
file stands under ``Layout.platform``.
"""

import getpass
import os
import shutil
from pathlib import Path

from .hadoop_sites import (
    FILE_SYSTEM,
    LOG4J,
    capacity_scheduler,
    core_site,
    remembered,
    render_properties,
    render_xml,
    spark_defaults,
    yarn_site,
)
from .layout import LOOPBACK, NODE_ADDRESSES, Layout, Ports

#: Packages that Hadoop's own start script opens to reflection on Java 17.
OPENED_PACKAGES = (
    "java.io",
    "java.lang",
    "java.lang.reflect",
    "java.math",
    "java.net",
    "java.text",
    "java.util",
    "java.util.concurrent",
    "java.util.zip",
    "sun.security.util",
    "sun.security.x509",
)
RESOURCE_MANAGER = "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"
NODE_MANAGER = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"
#: What Enterprise Gateway hands on from its own environment to a kernel's launcher: where things are, never a secret.
INHERITED_BY_LAUNCHER = (
    "PATH",
    "HOME",
    "LANG",
    "JAVA_HOME",
    "HADOOP_CONF_DIR",
    "SPARK_CONF_DIR",
    "SPARK_HOME",
    "PYSPARK_ARCHIVES_PATH",
)


def service_user() -> str:
    """Return the account that runs the services; it administers the embedded YARN."""
    return getpass.getuser()


def java_home() -> Path:
    """Return Java's home: ``JAVA_HOME`` or the one of the ``java`` on the path.

    Raises
    ------
    FileNotFoundError
        There is no Java.
    """
    named = os.environ.get("JAVA_HOME")
    if named and (Path(named) / "bin" / "java").exists():
        return Path(named)
    found = shutil.which("java")
    if found is None:
        raise FileNotFoundError("Java is not installed: no JAVA_HOME and no 'java' on the path.")
    return Path(found).resolve().parent.parent


def hadoop_folder(layout: Layout) -> Path:
    """Return where the embedded Hadoop keeps its data: local folders, container logs, staging."""
    return layout.platform / "hadoop"


def spark_home(layout: Layout) -> Path:
    """Return pyspark's folder in the Spark environment; it has Spark's jars.

    Raises
    ------
    FileNotFoundError
        The environment is not prepared yet.
    """
    environment = layout.spark_python.parent.parent
    found = sorted(environment.glob("lib/python3.*/site-packages/pyspark"))
    if not found:
        raise FileNotFoundError(f"There is no pyspark in {environment}.")
    return found[-1]


def pyspark_folder(layout: Layout) -> Path:
    """Return a folder that holds nothing but pyspark and py4j.

    It goes on PYTHONPATH in front of an environment that brings neither. The environment's whole site-packages
    would shadow that environment's own versions of numpy and others.
    """
    return hadoop_folder(layout) / "pyspark"


def write_configuration(layout: Layout, ports: Ports, node_memory_mb: int) -> None:
    """Write every configuration file of the embedded Hadoop and Spark, and the folders that they name.

    What YARN remembered of an earlier run is removed: its containers ended with it.

    Parameters
    ----------
    layout, ports
        Where things are; the ports that they hold.
    node_memory_mb : int
        Memory in MiB that each of the two NodeManagers offers; also the largest container.
    """
    folder = hadoop_folder(layout)
    conf = layout.hadoop_conf
    for path in (conf, folder / "tmp", folder / "home", layout.logs):
        path.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(remembered(folder), ignore_errors=True)
    remembered(folder).mkdir()
    staging = folder / "staging"
    staging.mkdir(exist_ok=True)
    staging.chmod(0o1777)
    _link_pyspark(layout)
    user = service_user()
    sites = {
        "core-site.xml": core_site(folder, user),
        "yarn-site.xml": yarn_site(folder, ports, node_memory_mb, user),
        "capacity-scheduler.xml": capacity_scheduler(user),
    }
    for name, properties in sites.items():
        (conf / name).write_text(render_xml(properties))
    (conf / "log4j.properties").write_text(LOG4J)
    defaults = spark_defaults(spark_home(layout), f"{FILE_SYSTEM}{staging}")
    (conf / "spark-defaults.conf").write_text(render_properties(defaults))


def _link_pyspark(layout: Layout) -> None:
    target = pyspark_folder(layout)
    target.mkdir(exist_ok=True)
    packages = spark_home(layout).parent
    for name in ("pyspark", "py4j"):
        link = target / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to(packages / name)


def java_environment(layout: Layout) -> dict[str, str]:
    """Return the whole environment of the Java processes; containers inherit ``JAVA_HOME`` and ``PATH`` from it."""
    home = java_home()
    return {
        "PATH": f"{home / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(hadoop_folder(layout)),
        "LANG": "C.UTF-8",
        "JAVA_HOME": str(home),
        "HADOOP_CONF_DIR": str(layout.hadoop_conf),
        "YARN_CONF_DIR": str(layout.hadoop_conf),
    }


def java_processes(layout: Layout, ports: Ports) -> dict[str, list[str]]:
    """Return name and argument list of each Java process, in the order to start them."""
    del ports  # they stand in the configuration files
    processes = {"resourcemanager": [*_java(layout, heap_mb=512), RESOURCE_MANAGER]}
    for number, address in enumerate(NODE_ADDRESSES, start=1):
        name = f"nodemanager{number}"
        processes[name] = [
            *_java(layout, heap_mb=256),
            # What its memory is written with unpacks a library there, which a /tmp that runs no programs would refuse.
            f"-Djava.io.tmpdir={hadoop_folder(layout) / 'tmp'}",
            NODE_MANAGER,
            f"-Dyarn.nodemanager.hostname={address}",
            f"-Dnm.name={name}",
        ]
    return processes


def _java(layout: Layout, heap_mb: int) -> list[str]:
    return [
        str(java_home() / "bin" / "java"),
        f"-Xmx{heap_mb}m",
        # Small daemons on a small machine: start fast, few threads.
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Djava.net.preferIPv4Stack=true",
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED_PACKAGES),
        "-cp",
        f"{layout.hadoop_conf}:{layout.hadoop_jars}/*",
    ]


def enterprise_gateway_command(layout: Layout, ports: Ports, cull_idle_seconds: int = 0) -> list[str]:
    """Return Enterprise Gateway's argument list.

    Parameters
    ----------
    layout, ports
        Where things are; the ports are handed over in the environment.
    cull_idle_seconds : int
        A kernel that no client is connected to and that ran nothing for so long is stopped. 0 switches that off: the
        gateway stops idle kernels by their owners' limits, with notice.
    """
    del ports
    return [
        str(layout.enterprise_gateway_python),
        "-I",
        "-m",
        "jeg_plugin.app",
        f"--RemoteMappingKernelManager.cull_idle_timeout={cull_idle_seconds}",
        f"--RemoteMappingKernelManager.cull_interval={max(1, min(60, cull_idle_seconds // 4))}",
    ]


def enterprise_gateway_environment(layout: Layout, ports: Ports) -> dict[str, str]:
    """Return Enterprise Gateway's whole environment but for its secret, ``EG_AUTH_TOKEN``, which the caller adds.

    Creates the private folder (mode 0700) that keeps the sessions of running kernels over a restart.
    """
    home = layout.run / "enterprise-gateway"
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    return {
        **java_environment(layout),
        "HOME": str(home),
        "SPARK_HOME": str(spark_home(layout)),
        "SPARK_CONF_DIR": str(layout.hadoop_conf),
        "PYSPARK_ARCHIVES_PATH": f"local:{pyspark_folder(layout)}",
        "REMOTE_KERNELS_NODE": str(layout.prepared_node),
        "JUPYTER_PATH": str(layout.kernelspecs),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_NO_CONFIG": "1",
        "EG_IP": LOOPBACK,
        "EG_PORT": str(ports.enterprise_gateway),
        "EG_PORT_RETRIES": "0",
        "EG_RESPONSE_IP": LOOPBACK,
        "EG_RESPONSE_PORT": str(ports.enterprise_gateway_response),
        "EG_RESPONSE_PORT_RETRIES": "0",
        "EG_YARN_ENDPOINT": f"http://{LOOPBACK}:{ports.rm_web}",
        "EG_LIST_KERNELS": "True",
        "EG_POLL_INTERVAL": "0.1",
        "EG_KERNEL_LAUNCH_TIMEOUT": "120",
        # A polite stop has half of it, then YARN ends the application.
        "EG_YARN_SHUTDOWN_WAIT_TIME": "5",
        "EG_INHERITED_ENVS": ",".join(INHERITED_BY_LAUNCHER),
        "EG_KERNEL_SESSION_PERSISTENCE": "True",
        "EG_AVAILABILITY_MODE": "standalone",
        "EG_PERSISTENCE_ROOT": str(home),
    }
