"""The ready-made kernelspecs of the embedded platform."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ..kernels import METADATA_KEY, TYPE_LABELS
from .layout import Layout

PROXY_CLASS = "jeg_plugin.process_proxy.YarnKernelProxy"
QUEUE = "notebooks"
#: A driver of 640 MiB takes a container of 1024: Spark adds 384.
SMALL_SIZE = {"driver_memory_mb": 640, "driver_cores": 1, "executors": 0, "executor_memory_mb": 0, "executor_cores": 1}
SPARK_SIZE = {**SMALL_SIZE, "executors": 1, "executor_memory_mb": 640}

_FRAME = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">{}</svg>\n'
#: A spark of four points on orange; two brackets and a cursor on blue.
LOGOS = {
    "spark_python": _FRAME.format(
        '<rect x="4" y="4" width="56" height="56" rx="13" fill="#e8710a"/>'
        '<path fill="#fff" d="M31 12c2 11 7 16 18 18-11 2-16 7-18 18-2-11-7-16-18-18 11-2 16-7 18-18z"/>'
        '<circle cx="47" cy="46" r="4.5" fill="#ffe1c2"/>'
    ),
    "python_yarn": _FRAME.format(
        '<rect x="4" y="4" width="56" height="56" rx="13" fill="#2667b0"/>'
        '<g fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round" stroke-linejoin="round">'
        '<path d="M25 20 14 32l11 12"/><path d="M39 20l11 12-11 12"/></g>'
        '<rect x="29.5" y="25" width="5" height="14" rx="2.5" fill="#bcdcff"/>'
    ),
}


def write_kernelspecs(layout: Layout) -> None:
    """Write the kernelspecs "Spark (Python)" and "Python in YARN", each file atomically."""
    definitions = {
        "spark_python": _block(
            layout, "spark-python", "A Spark driver with one executor in YARN; spark, sc and sql are ready.", SPARK_SIZE
        ),
        "python_yarn": _block(layout, "python", "Python in YARN, without executors and without Spark.", SMALL_SIZE),
    }
    for name, block in definitions.items():
        folder = layout.kernelspecs / "kernels" / name
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "logo-svg.svg", LOGOS[name])
        _write(folder / "kernel.json", json.dumps(kernel_json(layout, block), indent=1) + "\n")


def kernel_json(layout: Layout, block: dict[str, Any]) -> dict[str, Any]:
    """Return the kernel.json around a definition; the words in braces are filled in by Enterprise Gateway."""
    return {
        "display_name": TYPE_LABELS[block["type"]],
        "language": "python",
        "interrupt_mode": "signal",
        "argv": [
            str(layout.enterprise_gateway_python),
            "-I",
            "-m",
            "jeg_plugin.launch",
            "{resource_dir}",
            "{kernel_id}",
            "{response_address}",
            "{public_key}",
            "{port_range}",
        ],
        "env": {},
        "metadata": {
            "process_proxy": {"class_name": PROXY_CLASS, "config": {}},
            METADATA_KEY: block,
        },
    }


def _block(layout: Layout, kind: str, description: str, size: dict[str, int]) -> dict[str, Any]:
    return {
        "type": kind,
        "description": description,
        "owner": None,
        "visibility": "everyone",
        "groups": [],
        "queue": QUEUE,
        "size": size,
        "python": str(layout.spark_python),
        "archive": None,
        "spark_conf": {},
    }


def _write(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
