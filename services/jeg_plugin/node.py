"""What ``hub-ext edge prepare-node`` has made on this machine: the submitter and an archive of loaded classes.

The folder is named by ``REMOTE_KERNELS_NODE`` and has the same path on every node. What is missing or made for
another Java or Spark is not used; everything works without it, slower.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NODE = "REMOTE_KERNELS_NODE"
DESCRIPTION = "node.json"
MAXIMUM_BYTES = 64 * 1024
#: Paths become part of YARN's own shell script on a node.
_PATH = re.compile(r"(/[A-Za-z0-9_.+=@-]+){1,60}")
SUBMITTER_CLASS = "Submitter"


@dataclass(frozen=True)
class Node:
    """A prepared node.

    Attributes
    ----------
    spark_home : str
        The Spark that it was prepared for.
    jar : str
        Our classes.
    archive : str or None
        The archive of loaded classes, if there is one.
    """

    spark_home: str
    jar: str
    archive: str | None = None

    @property
    def class_path(self) -> str:
        """What the archive was made with, and so has to come first on the class path of whatever uses it."""
        return f"{self.spark_home}/jars/*:{self.jar}"

    def archive_options(self, class_path: str) -> list[str]:
        """Return Java's options for a process that has `class_path` by itself; none without an archive."""
        if self.archive is None:
            return []
        # A file that is missing, or made by another Java or from other jars, is passed over.
        shared = ["-Xshare:auto", f"-XX:SharedArchiveFile={self.archive}"]
        return [*shared, "-cp", f"{self.class_path}:{class_path}"]


def node_of(environ: Mapping[str, str]) -> Node | None:
    """Return what was prepared here for this Spark, None if nothing was."""
    folder = environ.get(NODE)
    if not folder:
        return None
    try:
        with (Path(folder) / DESCRIPTION).open("rb") as file:
            found = json.loads(file.read(MAXIMUM_BYTES))
    except (OSError, ValueError):
        return None
    return _node(found, folder, environ.get("SPARK_HOME"))


def _node(found: object, folder: str, spark_home: str | None) -> Node | None:
    if not isinstance(found, dict) or found.get("spark_home") != spark_home:
        return None
    jar, archive = f"{folder}/{found.get('jar')}", found.get("archive")
    paths = [spark_home, jar, *([f"{folder}/{archive}"] if archive else [])]
    if not all(isinstance(path, str) and _PATH.fullmatch(path) for path in paths):
        return None
    return Node(str(spark_home), jar, f"{folder}/{archive}" if archive else None)
