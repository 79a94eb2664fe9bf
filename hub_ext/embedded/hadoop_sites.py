"""What stands in the embedded Hadoop's and Spark's configuration files (values only, no input or output)."""

import platform
from pathlib import Path
from xml.etree import ElementTree

from .layout import LOOPBACK, Ports

#: The cluster's file system. It shows the machine's own files under another scheme, so that Spark uses an archive
#: in place, as it does with HDFS, instead of copying it for every kernel.
FILE_SYSTEM = "viewfs://platform"
#: The demo's people, in the groups that jupyterhub_config.py gives them (a test compares); the administrator has none
#: there. Nobody else is known to the cluster, and none needs an account on the machine.
GROUPS = {"admin": "administrators", "alice": "analytics", "bob": "research"}

LOG4J = """\
# Each process logs to its standard error, which the supervisor keeps and rotates.
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
# One line per second and container, and a warning about an optional native library.
log4j.logger.org.apache.hadoop.yarn.server.nodemanager.containermanager.monitor=WARN
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
"""


def render_xml(properties: dict[str, str]) -> str:
    """Render Hadoop's XML form of `properties`."""
    root = ElementTree.Element("configuration")
    for name, value in properties.items():
        one = ElementTree.SubElement(root, "property")
        ElementTree.SubElement(one, "name").text = name
        ElementTree.SubElement(one, "value").text = value
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def render_properties(properties: dict[str, str]) -> str:
    """Render the form of ``spark-defaults.conf``; a backslash would begin an escape there."""
    return "".join(f"{name} {value}\n".replace("\\", "\\\\") for name, value in properties.items())


def core_site(folder: Path, admin: str) -> dict[str, str]:
    """Return core-site.xml: the file system, and the groups of the demo's people."""
    groups = {**GROUPS, admin: "administrators"}
    return {
        "fs.defaultFS": f"{FILE_SYSTEM}/",
        "fs.viewfs.mounttable.platform.linkFallback": "file:///",
        "fs.viewfs.mounttable.platform.link./tmp": "file:///tmp",
        "hadoop.tmp.dir": str(folder / "tmp"),
        # A NodeManager that is stopped after its ResourceManager would try to reach it for long.
        "hadoop.service.shutdown.timeout": "3s",
        "hadoop.user.group.static.mapping.overrides": ";".join(f"{u}={g}" for u, g in groups.items()) + ";dr.who=",
    }


def remembered(folder: Path) -> Path:
    """Return where YARN's processes keep what they need when they are started again; of one run of the platform."""
    return folder / "remembered"


def has_leveldb(machine: str = "") -> bool:
    """Tell whether Hadoop brings what a NodeManager's memory is written with: compiled, for one kind of machine."""
    return (machine or platform.machine()).lower() in ("x86_64", "amd64")


def yarn_site(folder: Path, ports: Ports, node_memory_mb: int, admin: str) -> dict[str, str]:
    """Return yarn-site.xml for the ResourceManager and both NodeManagers (``${nm.name}`` tells them apart)."""
    return {
        "yarn.resourcemanager.hostname": LOOPBACK,
        "yarn.resourcemanager.address": f"{LOOPBACK}:{ports.rm_client}",
        "yarn.resourcemanager.scheduler.address": f"{LOOPBACK}:{ports.rm_scheduler}",
        "yarn.resourcemanager.resource-tracker.address": f"{LOOPBACK}:{ports.rm_tracker}",
        "yarn.resourcemanager.admin.address": f"{LOOPBACK}:{ports.rm_admin}",
        "yarn.resourcemanager.webapp.address": f"{LOOPBACK}:{ports.rm_web}",
        "yarn.resourcemanager.scheduler.class": (
            "org.apache.hadoop.yarn.server.resourcemanager.scheduler.capacity.CapacityScheduler"
        ),
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "200",
        "yarn.resourcemanager.am.max-attempts": "1",
        # NodeManagers find a ResourceManager that was started again within a second, not within half a minute.
        "yarn.resourcemanager.connect.retry-interval.ms": "1000",
        "yarn.nm.liveness-monitor.expiry-interval-ms": "10000",
        # A driver that YARN has not heard of for so long has ended, also one that a ResourceManager was handing to a
        # node when it was killed: nobody would start it any more, and its start would wait for ten minutes.
        "yarn.am.liveness-monitor.expiry-interval-ms": "60000",
        # A ResourceManager that was killed starts again with the applications that it had: their containers run on
        # meanwhile, and report to it. It gives room away when it has heard of them.
        "yarn.resourcemanager.recovery.enabled": "true",
        "yarn.resourcemanager.work-preserving-recovery.enabled": "true",
        "yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms": "1500",
        "yarn.resourcemanager.store.class": (
            "org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore"
        ),
        "yarn.resourcemanager.fs.state-store.uri": f"file://{remembered(folder)}/resourcemanager",
        # Only the owner and the service account may see inside an application or end it.
        "yarn.acl.enable": "true",
        "yarn.admin.acl": admin,
        "yarn.nodemanager.address": f"${{yarn.nodemanager.hostname}}:{ports.nm_address}",
        "yarn.nodemanager.localizer.address": f"${{yarn.nodemanager.hostname}}:{ports.nm_localizer}",
        "yarn.nodemanager.webapp.address": f"${{yarn.nodemanager.hostname}}:{ports.nm_web}",
        "yarn.nodemanager.resource.memory-mb": str(node_memory_mb),
        "yarn.nodemanager.resource.cpu-vcores": "8",
        "yarn.nodemanager.local-dirs": f"{folder}/${{nm.name}}/local",
        "yarn.nodemanager.log-dirs": f"{folder}/${{nm.name}}/logs",
        # HOME of every container: caches that kernels may share, such as matplotlib's list of fonts.
        "yarn.nodemanager.user-home-dir": f"{folder}/home",
        # A NodeManager that was killed finds its containers again; one that is stopped ends them first.
        "yarn.nodemanager.recovery.enabled": str(has_leveldb()).lower(),
        "yarn.nodemanager.recovery.supervised": "false",
        "yarn.nodemanager.recovery.dir": f"{remembered(folder)}/${{nm.name}}",
        # A NodeManager that stops waits for so long, and 1.25 seconds, for applications that only have logs left. The
        # time that core-site.xml gives it has to be longer: with the default of 5000 a stop took 12 seconds, not 3.
        "yarn.nodemanager.process-kill-wait.ms": "500",
        # The physical memory check works without cgroups only when "enforced" is off; the virtual one ends
        # every Java container.
        "yarn.nodemanager.resource.memory.enforced": "false",
        "yarn.nodemanager.pmem-check-enabled": "true",
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.container-monitor.interval-ms": "1000",
        # A node on a nearly full disk would take no containers at all.
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.9",
        "yarn.nodemanager.log.retain-seconds": "3600",
        "yarn.scheduler.minimum-allocation-mb": "256",
        "yarn.scheduler.maximum-allocation-mb": str(node_memory_mb),
        "yarn.scheduler.maximum-allocation-vcores": "8",
        "yarn.scheduler.configuration.store.class": "memory",
        "yarn.log-aggregation-enable": "false",
    }


def capacity_scheduler(admin: str) -> dict[str, str]:
    """Return capacity-scheduler.xml: two queues that may lend each other everything."""
    prefix = "yarn.scheduler.capacity"
    settings = {
        # Drivers are application masters, so nearly all of a queue may be theirs.
        f"{prefix}.maximum-am-resource-percent": "0.9",
        # Counts vcores too; the default looks at memory only.
        f"{prefix}.resource-calculator": "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
        f"{prefix}.node-locality-delay": "-1",
        f"{prefix}.root.queues": "default,notebooks",
        f"{prefix}.root.acl_submit_applications": "*",
        # The default lets everyone administer every queue, and with it end everyone's applications.
        f"{prefix}.root.acl_administer_queue": admin,
    }
    for queue, capacity in {"default": "20", "notebooks": "80"}.items():
        settings |= {
            f"{prefix}.root.{queue}.capacity": capacity,
            f"{prefix}.root.{queue}.maximum-capacity": "100",
            f"{prefix}.root.{queue}.user-limit-factor": "10",
            f"{prefix}.root.{queue}.state": "RUNNING",
        }
    return settings


def spark_defaults(spark_home: Path, staging: str) -> dict[str, str]:
    """Return spark-defaults.conf: what a site sets for every kernel and no user can change."""
    return {
        "spark.yarn.jars": f"local:{spark_home}/jars/*",
        "spark.yarn.stagingDir": staging,
        "spark.ui.enabled": "false",
        "spark.yarn.appMasterEnv.SPARK_LOCAL_IP": LOOPBACK,
        "spark.executorEnv.SPARK_LOCAL_IP": LOOPBACK,
        "spark.driver.extraJavaOptions": "-Djava.net.preferIPv4Stack=true",
        "spark.executor.extraJavaOptions": "-Djava.net.preferIPv4Stack=true",
        # Jobs start with the first executor, and executors are asked for at once.
        "spark.scheduler.minRegisteredResourcesRatio": "0",
        "spark.yarn.scheduler.initial-allocation.interval": "50ms",
        "spark.yarn.scheduler.heartbeat.interval-ms": "300",
        "spark.sql.warehouse.dir": "spark-warehouse",
    }
