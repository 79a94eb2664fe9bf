"""Writes down what drivers and executors load that the class archive lacks: ``python -m bench.class_list``.

The list goes into ``services/jeg_plugin/java/classes.txt``, and by `hub-ext edge prepare-node` into the next archive.
It is to be made again when Spark changes; names that another Spark does not have are passed over.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.integration.yarn_stack import ROOT, Stack, wait_for

LIST = ROOT / "services" / "jeg_plugin" / "java" / "classes.txt"
#: What a first notebook does.
CELLS = (
    "spark.range(1000).count()",
    "spark.range(1000).selectExpr('id % 3 as k', 'id as v').groupBy('k').sum('v').toPandas()",
)
_LOADED = re.compile(r"\[class,load\] (\S+) source: (?:file|jrt):")


def names(lines: Iterable[str]) -> Iterator[str]:
    """Return the classes that came from files; what is made at run time has no file."""
    for line in lines:
        found = _LOADED.search(line)
        if found and "/0x" not in found[1]:
            yield found[1]


def record(folder: Path) -> set[str]:
    """Start a Spark kernel whose JVMs write down what they load."""
    stack = Stack(folder / "p")
    defaults = stack.layout.hadoop_conf / "spark-defaults.conf"
    option = rf"\1 -Xlog:class+load:file={folder}/%p.loaded"
    defaults.write_text(re.sub(r"(?m)^(spark\.\w+\.extraJavaOptions .*)$", option, defaults.read_text()))
    try:
        stack.start_all()
        wait_for(lambda: "The submitter is ready" in stack.log("gateway"), 120, "the submitter")
        kernel = stack.start_kernel("spark_python", timeout=180)
        for cell in CELLS:
            kernel.run(cell, 240)
        kernel.delete()
    finally:
        stack.stop_all()
    return {name for path in folder.glob("*.loaded") for name in names(path.read_text().splitlines())}


def main() -> None:
    """Add what is new to the list."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = record(Path(folder))
    known = set(LIST.read_text().split()) if LIST.exists() else set()
    LIST.write_text("".join(f"{name}\n" for name in sorted(known | found)))
    print(f"{len(found - known)} more, {len(known | found)} in all: {LIST.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
