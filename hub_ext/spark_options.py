"""What a hand-written kernelspec asks of YARN, read from the Spark options in its command line and environment.

Nothing is executed, and what can't be read counts as not written: Spark's own default holds then, as it would for
Spark. https://spark.apache.org/docs/latest/configuration.html
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .sizes import MINIMUM_OVERHEAD_MB, OVERHEAD_FACTOR, UNBOUNDED_EXECUTORS, overhead_mb

#: Options of spark-submit, and the setting that each stands for. An option wins over its setting.
FLAGS = {
    "--driver-memory": "spark.driver.memory",
    "--driver-cores": "spark.driver.cores",
    "--num-executors": "spark.executor.instances",
    "--executor-memory": "spark.executor.memory",
    "--executor-cores": "spark.executor.cores",
    "--queue": "spark.yarn.queue",
    "--master": "spark.master",
    "--deploy-mode": "spark.submit.deployMode",
}
#: An option that names a file of settings, which stands on the edge node and is not read here.
PROPERTIES_FILE = "--properties-file"
#: Variables that spark-submit itself reads where neither an option nor a setting says it.
VARIABLES = {
    "SPARK_DRIVER_MEMORY": "spark.driver.memory",
    "SPARK_EXECUTOR_MEMORY": "spark.executor.memory",
    "SPARK_EXECUTOR_CORES": "spark.executor.cores",
    "SPARK_EXECUTOR_INSTANCES": "spark.executor.instances",
}
#: Variables that launch scripts hand to spark-submit.
OPTION_VARIABLE = re.compile(r"[A-Z_]*(?:SPARK|SUBMIT|LAUNCH)[A-Z_]*(?:OPTS|ARGS|OPTIONS)")
DEFAULT_MB = 1024
DEFAULT_AM_MB = 512
DEFAULT_EXECUTORS = 2
#: Beyond these no kernel is larger than another: every cluster refuses it.
MOST_MB = 4_194_304
MOST_CORES = 1024
MOST_EXECUTORS = 10_000

_VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)")
_BYTES = re.compile(r"(\d{1,18})(b|[kmgtp]b?)?", re.IGNORECASE)
_EXPONENT = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


@dataclass(frozen=True)
class SparkOptions:
    """Queue and size fields of a kernelspec that asks something of YARN.

    `unknown` says that more stands in a file of properties, so that size and queue may be others.
    """

    size: dict[str, int]
    queue: str | None
    unknown: bool = False


def read(spec: Mapping[str, Any]) -> SparkOptions | None:
    """Read a parsed kernel.json; None when its kernel takes nothing in YARN.

    A process proxy of YARN starts the driver in the cluster; without one, ``--master yarn`` still puts an
    application master and the executors there.
    """
    settings = settings_of(spec)
    cluster_mode = "yarn" in proxy_of(spec).lower()
    if not cluster_mode and not settings.get("spark.master", "").lower().startswith("yarn"):
        return None
    client = not cluster_mode and settings.get("spark.submit.deployMode", "client") == "client"
    driver = _application_master(settings) if client else _driver(settings)
    queue = settings.get("spark.yarn.queue") or None
    return SparkOptions({**driver, **_executors(settings)}, queue, unknown=PROPERTIES_FILE in settings)


def proxy_of(spec: Mapping[str, Any]) -> str:
    """Return the class that starts the kernel for Enterprise Gateway; empty when there is none."""
    metadata = _mapping(spec.get("metadata"))
    proxy = _mapping(metadata.get("process_proxy")) or _mapping(spec.get("process_proxy"))
    provisioner = _mapping(metadata.get("kernel_provisioner"))
    return str(proxy.get("class_name") or provisioner.get("provisioner_name") or "")


def settings_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the Spark settings in environment and command line, the later ones winning.

    A file of properties is there under `PROPERTIES_FILE`.
    """
    env = {str(name): str(value) for name, value in _mapping(spec.get("env")).items()}
    texts = [value for name, value in env.items() if OPTION_VARIABLE.fullmatch(name)]
    argv = spec.get("argv")
    tokens = [token for text in texts for token in _split(_filled_in(text, env))]
    for part in argv if isinstance(argv, Sequence) and not isinstance(argv, str) else ():
        text = _filled_in(str(part), env)
        tokens += _split(text) if any(character.isspace() for character in text) else [text]
    settings = {setting: env[name] for name, setting in VARIABLES.items() if env.get(name)}
    flags: dict[str, str] = {}
    for name, value in _options(tokens):
        if name in FLAGS:
            flags[FLAGS[name]] = value
        elif name == PROPERTIES_FILE:
            flags[name] = value
        elif "=" in value:
            key, _, set_to = value.partition("=")
            settings[key.strip()] = set_to.strip()
    return {**settings, **flags}


def _options(tokens: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield options with their values, from ``--name value`` and ``--name=value``."""
    wanted = ""
    for token in tokens:
        if wanted:
            yield wanted, token
            wanted = ""
            continue
        name, equals, value = token.partition("=")
        if name not in FLAGS and name not in ("--conf", "-c", PROPERTIES_FILE):
            continue
        if equals:
            yield name, value
        else:
            wanted = name


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an open quote
        return text.split()


def _filled_in(text: str, env: Mapping[str, str]) -> str:
    """Put in the kernelspec's own variables, or the defaults beside them, as a launch script's shell would."""
    return _VARIABLE.sub(lambda found: env.get(found[1] or found[3]) or found[2] or "", text)


def _driver(settings: Mapping[str, str]) -> dict[str, int]:
    memory = _memory(settings.get("spark.driver.memory"), DEFAULT_MB)
    return {
        "driver_memory_mb": memory,
        "driver_cores": _number(settings.get("spark.driver.cores"), 1, 1, MOST_CORES),
        **_overhead("driver", memory, settings),
    }


def _application_master(settings: Mapping[str, str]) -> dict[str, int]:
    """Return what stands in YARN for a driver that runs elsewhere."""
    size = {
        "driver_memory_mb": _memory(settings.get("spark.yarn.am.memory"), DEFAULT_AM_MB),
        "driver_cores": _number(settings.get("spark.yarn.am.cores"), 1, 1, MOST_CORES),
    }
    overhead = _mebibytes(settings.get("spark.yarn.am.memoryOverhead"))
    return size if overhead is None else {**size, "driver_overhead_mb": overhead}


def _executors(settings: Mapping[str, str]) -> dict[str, int]:
    memory = _memory(settings.get("spark.executor.memory"), DEFAULT_MB)
    size = {
        "executor_memory_mb": memory,
        "executor_cores": _number(settings.get("spark.executor.cores"), 1, 1, MOST_CORES),
        **_overhead("executor", memory, settings),
        **_number_of_executors(settings),
    }
    pyspark = _mebibytes(settings.get("spark.executor.pyspark.memory"))
    if pyspark:
        size["pyspark_memory_mb"] = pyspark
    off_heap = _mebibytes(settings.get("spark.memory.offHeap.size"), bare_exponent=0)
    if off_heap and _true(settings.get("spark.memory.offHeap.enabled")):
        size["off_heap_mb"] = off_heap
    return size


def _number_of_executors(settings: Mapping[str, str]) -> dict[str, int]:
    given = settings.get("spark.executor.instances")
    if not _true(settings.get("spark.dynamicAllocation.enabled")):
        return {"executors": _number(given, DEFAULT_EXECUTORS, 0, MOST_EXECUTORS)}
    beginnings = (given, *(settings.get(f"spark.dynamicAllocation.{name}Executors") for name in ("min", "initial")))
    most = settings.get("spark.dynamicAllocation.maxExecutors")
    return {
        "executors": max(_number(one, 0, 0, MOST_EXECUTORS) for one in beginnings),
        "executors_max": _number(most, UNBOUNDED_EXECUTORS, 0, UNBOUNDED_EXECUTORS),
    }


def _overhead(what: str, memory_mb: int, settings: Mapping[str, str]) -> dict[str, int]:
    """Return the overhead where it is written, or where its rule is."""
    name = f"{what}_overhead_mb"
    explicit = _mebibytes(settings.get(f"spark.{what}.memoryOverhead"))
    if explicit is not None:
        return {name: explicit}
    factor = _decimal(settings.get(f"spark.{what}.memoryOverheadFactor"))
    minimum = _mebibytes(settings.get(f"spark.{what}.minMemoryOverhead"))
    if factor is None and minimum is None:
        return {}
    rule = (OVERHEAD_FACTOR if factor is None else factor, MINIMUM_OVERHEAD_MB if minimum is None else minimum)
    return {name: min(MOST_MB, overhead_mb(memory_mb, None, *rule))}


def _memory(text: str | None, default_mb: int) -> int:
    return max(1, _mebibytes(text) or default_mb)


def _mebibytes(text: str | None, bare_exponent: int = 2) -> int | None:
    """Read ``2g``, ``512m``, ``1024k``; a bare number is MiB, or bytes where `bare_exponent` is 0."""
    found = _BYTES.fullmatch((text or "").strip())
    if found is None:
        return None
    exponent = _EXPONENT[found[2][0].lower()] if found[2] else bare_exponent
    return min(MOST_MB, int(found[1]) * 1024**exponent // 1024**2)


def _number(text: str | None, default: int, least: int, most: int) -> int:
    if text is None or not re.fullmatch(r"\d{1,12}", text.strip()):
        return default
    return min(most, max(least, int(text)))


def _decimal(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d{1,4}(\.\d{1,9})?", text.strip()) else None


def _true(text: str | None) -> bool:
    return (text or "").strip().lower() == "true"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
