"""What a kernelspec says about the kernel to start, read strictly: the typed block ``metadata.remote_kernel``.

Every value becomes part of a command line or of YARN's own shell script on a node, so nothing passes that isn't
an integer within bounds or text of a narrow pattern. Memory is MiB.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

METADATA_KEY = "remote_kernel"
KERNEL_TYPES = ("spark-python", "python")

_MEMORY_MB = (1, 4_194_304)
_CORES = (1, 1024)
_EXECUTORS = (0, 10_000)

QUEUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
#: An interpreter on every node, or one inside the archive, which YARN unpacks as ``environment``.
PYTHON = re.compile(r"(/[A-Za-z0-9_.+-]+){1,40}|\./environment(/[A-Za-z0-9_.+-]+){1,40}")
ARCHIVE = re.compile(
    r"((hdfs|viewfs|file|s3a|abfs|abfss)://[A-Za-z0-9_.:@-]*)?(/[A-Za-z0-9_.+=-]+){1,40}\.(tar\.gz|tgz|zip)"
)
KERNEL_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,62}")

#: Spark settings that a kernel definition may carry: how a query is planned and how data is moved. None of them touches
#: how or as whom the application is launched, which code it loads, what it may see, or how much it takes.
SPARK_KEY = re.compile(
    r"spark\.(?:"
    r"sql\.(?:adaptive|execution\.arrow|files|parquet|orc|json|csv|sources\.partitionOverwriteMode|legacy|inMemoryColumnarStorage"
    r"|statistics|cbo|join|shuffle\.partitions|session\.timeZone|ansi|autoBroadcastJoinThreshold|broadcastTimeout"
    r"|caseSensitive|codegen|debug\.maxToStringFields|repl\.eagerEval|pyspark|execution\.pythonUDF|timestampType"
    r"|optimizer\.dynamicPartitionPruning)(?:\.[A-Za-z0-9.]{1,80})?"
    r"|default\.parallelism|speculation(?:\.[A-Za-z]{1,40})?|rdd\.compress|broadcast\.(?:blockSize|compress)"
    r"|memory\.(?:fraction|storageFraction)|kryoserializer\.buffer(?:\.max)?|kryo\.unsafe"
    r"|shuffle\.(?:compress|spill\.compress|file\.buffer|io\.maxRetries|io\.retryWait)"
    r"|reducer\.maxSizeInFlight|task\.(?:cpus|maxFailures)|locality\.wait(?:\.(?:node|process|rack))?"
    r"|scheduler\.mode|network\.timeout|ui\.showConsoleProgress|python\.worker\.(?:memory|reuse)"
    r")"
)
#: No quotes, no control characters, and none of the brackets and signs that Spark or YARN expand.
SPARK_VALUE = re.compile(r"[A-Za-z0-9 _.,:;/+=@*%()-]{0,500}")


class DefinitionError(ValueError):
    """A kernel definition or a start request that can't be used; the text says what is wrong, without the value."""


@dataclass(frozen=True)
class Size:
    """What the kernel asks of YARN: MiB, cores and a number of executors; an overhead of None means Spark's rule.

    With `executors_max`, the maximum of dynamic allocation, `executors` is only the beginning and the least.
    """

    driver_memory_mb: int
    driver_cores: int = 1
    executors: int = 0
    executor_memory_mb: int = 0
    executor_cores: int = 1
    driver_overhead_mb: int | None = None
    executor_overhead_mb: int | None = None
    overhead_factor: float | None = None
    pyspark_memory_mb: int | None = None
    off_heap_mb: int | None = None
    executors_max: int | None = None

    @property
    def has_executors(self) -> bool:
        """True when the kernel can have executors."""
        return max(self.executors, self.executors_max or 0) > 0


@dataclass(frozen=True)
class Definition:
    """A kernel definition that was checked."""

    type: str
    size: Size
    queue: str | None = None
    python: str | None = None
    archive: str | None = None
    spark_conf: Mapping[str, str] = field(default_factory=dict)


def definition_of(kernel_json: Any) -> Definition:
    """Read the block out of a parsed kernel.json.

    Raises
    ------
    DefinitionError
        The first thing that isn't as it must be.
    """
    block = _mapping(
        _mapping(_mapping(kernel_json, "kernel.json").get("metadata"), "metadata").get(METADATA_KEY), METADATA_KEY
    )
    kind = block.get("type")
    if kind not in KERNEL_TYPES:
        raise DefinitionError(f"type is none of: {', '.join(KERNEL_TYPES)}")
    size = _size(_mapping(block.get("size"), "size"))
    if kind == "python" and size.has_executors:
        raise DefinitionError("a kernel of type python has no executors")
    archive = _text(block, "archive", ARCHIVE)
    python = _text(block, "python", PYTHON)
    if python is not None and (python.startswith("./") != (archive is not None) or _climbs(python)):
        raise DefinitionError("python must stand in the archive if there is one, and have an absolute path if not")
    if archive is not None and _climbs(archive):
        raise DefinitionError("archive has a '..' in its path")
    return Definition(
        type=kind,
        size=size,
        queue=_text(block, "queue", QUEUE),
        python=python,
        archive=archive,
        spark_conf=_spark_conf(block.get("spark_conf")),
    )


def kernel_id_of(text: str | None) -> str:
    """Return a kernel id that is one, or raise `DefinitionError`."""
    if text is None or not KERNEL_ID.fullmatch(text):
        raise DefinitionError("KERNEL_ID is not a kernel id")
    return text


def user_of(text: str | None) -> str:
    """Return a cluster user's name that is safe to use, or raise `DefinitionError`."""
    if text is None or not USER.fullmatch(text):
        raise DefinitionError("KERNEL_USERNAME is not the name of a cluster user")
    return text


def _size(block: Mapping[str, Any]) -> Size:
    unknown = set(block) - set(Size.__dataclass_fields__)
    if unknown:
        raise DefinitionError(f"size has fields that don't exist ({len(unknown)})")
    executors = _integer(block, "executors", _EXECUTORS, 0)
    executors_max = _optional_integer(block, "executors_max", (executors, _EXECUTORS[1]))
    some = max(executors, executors_max or 0) > 0
    return Size(
        driver_memory_mb=_integer(block, "driver_memory_mb", _MEMORY_MB),
        driver_cores=_integer(block, "driver_cores", _CORES, 1),
        executors=executors,
        executor_memory_mb=_integer(block, "executor_memory_mb", _MEMORY_MB if some else (0, _MEMORY_MB[1]), 0),
        executor_cores=_integer(block, "executor_cores", _CORES, 1),
        driver_overhead_mb=_optional_integer(block, "driver_overhead_mb"),
        executor_overhead_mb=_optional_integer(block, "executor_overhead_mb"),
        overhead_factor=_factor(block.get("overhead_factor")),
        pyspark_memory_mb=_optional_integer(block, "pyspark_memory_mb"),
        off_heap_mb=_optional_integer(block, "off_heap_mb"),
        executors_max=executors_max,
    )


def _factor(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0.0001 <= value <= 10:
        raise DefinitionError("overhead_factor is not a number from 0.0001 to 10")
    return float(value)


def _spark_conf(block: Any) -> dict[str, str]:
    conf = {}
    for key, value in _mapping({} if block is None else block, "spark_conf").items():
        if not SPARK_KEY.fullmatch(key):
            raise DefinitionError("spark_conf has a setting that a kernel definition may not carry")
        if not isinstance(value, str) or not SPARK_VALUE.fullmatch(value):
            raise DefinitionError(f"spark_conf has a value for {key} that can't be used")
        conf[key] = value
    return conf


def _climbs(path: str) -> bool:
    return ".." in path.split("/")


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise DefinitionError(f"{what} is missing or not an object")
    return value


def _integer(block: Mapping[str, Any], name: str, bounds: tuple[int, int], default: int | None = None) -> int:
    value = block.get(name, default)
    # bool is an int to Python but not to whoever wrote the file
    if not isinstance(value, int) or isinstance(value, bool) or not bounds[0] <= value <= bounds[1]:
        raise DefinitionError(f"{name} is not a whole number from {bounds[0]} to {bounds[1]}")
    return value


def _optional_integer(block: Mapping[str, Any], name: str, bounds: tuple[int, int] = (0, _MEMORY_MB[1])) -> int | None:
    return None if block.get(name) is None else _integer(block, name, bounds)


def _text(block: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str | None:
    value = block.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise DefinitionError(f"{name} has characters or a form that can't be used")
    return value
