"""Options of the driver's and the executors' JVM: the archive of loaded classes, and what small ones do without (pure).

They go where Spark lets an administrator put them, ``spark.driver.defaultJavaOptions`` and the same for executors. What
a site has there itself comes behind them and wins; ``extraJavaOptions`` is untouched.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .definition import Size
from .node import Node

#: Heaps up to so many MiB, with one core, count as small. 0: none does.
SMALL_HEAP = "REMOTE_KERNELS_SMALL_HEAP_MB"
SMALL_HEAP_MB = 1024
#: The first compiler alone and a collector without threads: less to do at the start, slower code in the long run.
SMALL_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
#: YARN's own class path for the container: the configuration that came along, the site's, Spark. YARN puts it in.
CONTAINER_CLASS_PATH = "{{CLASSPATH}}"


@dataclass(frozen=True)
class Role:
    """The driver, or one executor."""

    name: str
    heap_mb: int
    cores: int


def java_settings(size: Size, node: Node | None, site: Mapping[str, str], small_heap_mb: int) -> dict[str, str]:
    """Return Spark's settings for both roles.

    Parameters
    ----------
    size : Size
        The kernel's.
    node : Node or None
        What was prepared on every node.
    site : mapping
        Settings from the site's spark-defaults.conf.
    small_heap_mb : int
        The largest heap that counts as small.
    """
    roles = (
        Role("driver", size.driver_memory_mb, size.driver_cores),
        Role("executor", size.executor_memory_mb, size.executor_cores),
    )
    settings = {}
    for role in roles:
        own = [*_small(role, small_heap_mb), *_archive(role, node, site)]
        if own:
            name = f"spark.{role.name}.defaultJavaOptions"
            settings[name] = " ".join([*own, site.get(name, "")]).strip()
    return settings


def _small(role: Role, small_heap_mb: int) -> tuple[str, ...]:
    return SMALL_OPTIONS if role.heap_mb <= small_heap_mb and role.cores == 1 else ()


def _archive(role: Role, node: Node | None, site: Mapping[str, str]) -> list[str]:
    if node is None:
        return []
    # The archive wants Spark's jars first on the class path. Where a site has put its own before them, or Spark comes
    # from somewhere else, that stays as it is.
    local = site.get("spark.yarn.jars") == f"local:{node.spark_home}/jars/*" and "spark.yarn.archive" not in site
    if not local or site.get(f"spark.{role.name}.extraClassPath"):
        return []
    return node.archive_options(CONTAINER_CLASS_PATH)


def defaults_in(text: str) -> dict[str, str]:
    """Read spark-defaults.conf: a name and a value on each line, with blanks, ``=`` or ``:`` between them."""
    found = {}
    for line in text.splitlines():
        name, *value = line.strip().replace("=", " ", 1).split(None, 1) or [""]
        if name.startswith("spark."):
            found[name] = value[0].strip() if value else ""
    return found


def small_heap_mb_of(text: str | None) -> int:
    """Return the largest small heap from an administrator's setting; what is no number leaves the default."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else SMALL_HEAP_MB
