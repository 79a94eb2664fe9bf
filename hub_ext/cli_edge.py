"""``hub-ext edge``: what is done on machines of the Hadoop cluster."""

from typing import Any

from . import edge_node


def add_edge(commands: Any) -> None:
    """Add the commands."""
    edge = commands.add_parser("edge", help="machines of the Hadoop cluster").add_subparsers(metavar="COMMAND")
    prepare = edge.add_parser(
        "prepare-node",
        help="make kernels start faster on this machine: the submitter, and an archive of the classes that Spark loads",
    )
    edge_node.add_arguments(prepare)
    prepare.set_defaults(run=edge_node.run)
