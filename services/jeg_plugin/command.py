"""From a checked definition to the argument list and environment of Spark's submission client (pure).

No shell takes part: the list goes to ``execve`` as it is. Settings:
https://spark.apache.org/docs/latest/running-on-yarn.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .counted import with_overheads
from .definition import Definition, DefinitionError, Size
from .driver_files import DRIVER, DRIVER_MODULES
from .node import Node
from .story import NONE
from .submitting import Request

SUBMIT_CLASS = "org.apache.spark.deploy.SparkSubmit"
#: The only variables that the submission client gets besides those set here.
PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "JAVA_HOME",
    "HADOOP_CONF_DIR",
    "SPARK_CONF_DIR",
    "SPARK_HOME",
    "PYSPARK_ARCHIVES_PATH",
    "KRB5_CONFIG",
    "KRB5CCNAME",
)
#: Those of them that decide which cluster and which Spark it is.
SITE = ("HADOOP_CONF_DIR", "SPARK_CONF_DIR", "SPARK_HOME", "PYSPARK_ARCHIVES_PATH")
_ADDRESS = re.compile(r"[0-9A-Za-z.-]{1,253}:[0-9]{1,5}")
_PUBLIC_KEY = re.compile(r"[A-Za-z0-9+/=]{100,4000}")
_PORT_RANGE = re.compile(r"[0-9]{1,5}\.\.[0-9]{1,5}")
#: Where Spark puts an application that names no queue; said aloud, so that a site's own default can't be another.
DEFAULT_QUEUE = "default"
#: What an executor has where none is counted. Nothing asks for one; a site's default could be refused as too large.
SMALLEST_EXECUTOR_MB = 512
PYSPARK_MEMORY = "spark.executor.pyspark.memory"
#: Reflection that Spark's client needs on Java 17, from Spark's own JavaModuleOptions.
OPENED = tuple(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in (
        "java.lang",
        "java.lang.invoke",
        "java.net",
        "java.nio",
        "java.util",
        "java.util.concurrent",
        "sun.nio.ch",
    )
)


@dataclass(frozen=True)
class Start:
    """One start of a kernel: who, which, and where the driver reports to."""

    kernel_id: str
    user: str
    response_address: str
    public_key: str
    port_range: str = "0..0"
    #: True where the gateway's own account may act for others (Kerberos): Spark's ``--proxy-user``.
    impersonate: bool = False
    #: The id of the request that asked for it, for the logs.
    request: str = NONE
    #: The driver's own modules, each a file or all in one.
    modules: tuple[Path, ...] = DRIVER_MODULES

    def __post_init__(self) -> None:
        for name, value, pattern in (
            ("response address", self.response_address, _ADDRESS),
            ("public key", self.public_key, _PUBLIC_KEY),
            ("port range", self.port_range, _PORT_RANGE),
        ):
            if not pattern.fullmatch(value):
                raise DefinitionError(f"the {name} from Enterprise Gateway is not one")


def request_of(
    definition: Definition, start: Start, site: Mapping[str, str], java: Mapping[str, str] | None = None
) -> Request:
    """Build what the submitter gets; the same application as that of `argv_of`, whose parameters these are."""
    size = definition.size
    modules = ",".join(module.as_uri() for module in start.modules)
    settings = {
        **_all_settings(definition, start, java),
        "spark.app.name": _name(start),
        "spark.driver.memory": f"{size.driver_memory_mb}m",
        "spark.driver.cores": str(size.driver_cores),
        "spark.yarn.queue": definition.queue or DEFAULT_QUEUE,
        "spark.submit.pyFiles": modules,
        "spark.yarn.dist.pyFiles": modules,
    }
    where = {name: site.get(name, "") for name in SITE}
    arguments = _driver_arguments(definition, start)
    return Request(start.user, start.impersonate, DRIVER.as_uri(), where, settings, arguments)


def argv_of(
    definition: Definition,
    start: Start,
    site: Mapping[str, str],
    node: Node | None = None,
    java: Mapping[str, str] | None = None,
) -> list[str]:
    """Build the argument list of Spark's client.

    Parameters
    ----------
    definition : Definition
        What to run.
    start : Start
        For whom and under which id.
    site : mapping
        Where things are on this machine: ``SPARK_HOME`` (needed), ``JAVA_HOME``, ``SPARK_CONF_DIR`` and
        ``HADOOP_CONF_DIR``.
    node : Node, optional
        What was prepared on this machine.
    java : mapping, optional
        Settings from `java_options`.

    Returns
    -------
    list of str
        ``java … SparkSubmit …``; the first element is the program.
    """
    spark_home = site.get("SPARK_HOME")
    if not spark_home:
        raise DefinitionError("SPARK_HOME is not set for Enterprise Gateway")
    size = definition.size
    argv = [
        java_of(site),
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        *OPENED,
        *class_path_options(site, node),
        SUBMIT_CLASS,
        *("--master", "yarn"),
        *("--deploy-mode", "cluster"),
        *("--name", _name(start)),
        *("--driver-memory", f"{size.driver_memory_mb}m"),
        *("--driver-cores", str(size.driver_cores)),
    ]
    if start.impersonate:
        argv += ["--proxy-user", start.user]
    argv += ["--queue", definition.queue or DEFAULT_QUEUE]
    for key, value in _all_settings(definition, start, java).items():
        argv += ["--conf", f"{key}={value}"]
    argv += ["--py-files", ",".join(map(str, start.modules)), str(DRIVER)]
    return argv + _driver_arguments(definition, start)


def environment_of(start: Start, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the submission client's whole environment: allow-listed names, and the user without Kerberos."""
    environment = {name: environ[name] for name in PASSED_ON if name in environ}
    if not start.impersonate:
        environment["HADOOP_USER_NAME"] = start.user
    return environment


def java_of(site: Mapping[str, str]) -> str:
    """Return the Java program of this machine."""
    return f"{site['JAVA_HOME']}/bin/java" if site.get("JAVA_HOME") else "java"


def class_path_options(site: Mapping[str, str], node: Node | None) -> list[str]:
    """Return a submitting JVM's class path, and the archive of loaded classes if there is one."""
    configuration = _configuration(site)
    shared = node.archive_options(":".join(configuration)) if node is not None else []
    return shared or ["-cp", ":".join([*configuration, f"{site['SPARK_HOME']}/jars/*"])]


def _name(start: Start) -> str:
    return f"kernel {start.kernel_id}"


def _all_settings(definition: Definition, start: Start, java: Mapping[str, str] | None) -> dict[str, str]:
    # The definition's own settings come first, so that none of them could win over one of ours.
    return {**definition.spark_conf, **_settings(definition, start), **(java or {})}


def _configuration(site: Mapping[str, str]) -> list[str]:
    folders = [site[name] for name in ("SPARK_CONF_DIR", "HADOOP_CONF_DIR") if site.get(name)]
    return list(dict.fromkeys(folders))


def _settings(definition: Definition, start: Start) -> dict[str, str]:
    settings = {
        "spark.yarn.tags": start.kernel_id,
        "spark.yarn.maxAppAttempts": "1",
        "spark.yarn.submit.waitAppCompletion": "false",
        **_size_settings(definition.size),
    }
    if definition.archive is not None:
        settings["spark.yarn.dist.archives"] = f"{definition.archive}#environment"
    python = definition.python or ("./environment/bin/python" if definition.archive else None)
    if python is not None:
        settings["spark.yarn.appMasterEnv.PYSPARK_PYTHON"] = python
        settings["spark.executorEnv.PYSPARK_PYTHON"] = python
    return settings


def _size_settings(size: Size) -> dict[str, str]:
    """Return every setting that decides how large a container is: nothing is left to the site's own defaults."""
    size = with_overheads(size)
    settings = {
        "spark.executor.cores": str(size.executor_cores),
        **_number_of_executors(size),
        "spark.memory.offHeap.enabled": "true" if size.off_heap_mb else "false",
    }
    memory = {
        "spark.executor.memory": size.executor_memory_mb if size.has_executors else SMALLEST_EXECUTOR_MB,
        "spark.driver.memoryOverhead": size.driver_overhead_mb,
        "spark.executor.memoryOverhead": size.executor_overhead_mb,
        PYSPARK_MEMORY: size.pyspark_memory_mb or None,
        "spark.memory.offHeap.size": size.off_heap_mb or None,
    }
    return settings | {name: f"{value}m" for name, value in memory.items() if value is not None}


def _number_of_executors(size: Size) -> dict[str, str]:
    if size.executors_max is None:
        settings = {"spark.dynamicAllocation.enabled": "false"}
        if size.executors:
            settings["spark.executor.instances"] = str(size.executors)
        return settings
    return {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.minExecutors": str(size.executors),
        "spark.dynamicAllocation.initialExecutors": str(size.executors),
        "spark.dynamicAllocation.maxExecutors": str(size.executors_max),
        # Counts as a beginning, too.
        "spark.executor.instances": str(size.executors),
        # Without an external shuffle service, executors with shuffle data are kept.
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    }


def _driver_arguments(definition: Definition, start: Start) -> list[str]:
    return [
        *("--type", definition.type),
        # The submission client refuses zero, so the driver sets the number once more.
        *("--executors", str(definition.size.executors)),
        # Nor does it take a zero here: Python's workers would have no memory at all.
        *([] if definition.size.pyspark_memory_mb else ["--without", PYSPARK_MEMORY]),
        *("--kernel-id", start.kernel_id),
        *("--user", start.user),
        # With an equals sign: it may begin with a dash.
        f"--request-id={start.request}",
        *("--response-address", start.response_address),
        *("--public-key", start.public_key),
        *("--port-range", start.port_range),
    ]
