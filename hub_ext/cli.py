"""``hub-ext``: what administrators do from a terminal."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .cli_database import OK, add_url, address, guarded, with_database
from .cli_edge import add_edge
from .cli_limits import add_limits

if TYPE_CHECKING:
    from .database import Database


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``hub-ext``; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a letter is no reason to fail.
            stream.reconfigure(errors="replace")
    parser = _parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help()
        return 2
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hub-ext", description="Remote kernels for JupyterHub.")
    commands = parser.add_subparsers(metavar="COMMAND")
    demo = commands.add_parser("demo", help="run the whole platform on this machine (in a checkout, after make demo)")
    demo.set_defaults(run=_demo)
    database = commands.add_parser("db", help="the services' database").add_subparsers(metavar="COMMAND")
    upgrade = database.add_parser("upgrade", help="create the schema or bring it up to date")
    add_url(upgrade)
    upgrade.set_defaults(run=guarded(_upgrade_database))
    forget = database.add_parser("forget-cluster", help="let a gateway with another cluster_name have the database")
    add_url(forget)
    forget.set_defaults(run=guarded(_forget_cluster))
    add_limits(commands)
    add_edge(commands)
    return parser


def _demo(_options: argparse.Namespace) -> int:
    os.execv(sys.executable, [sys.executable, "-m", "hub_ext.embedded.demo"])  # noqa: S606 (our own module, no shell)


def _upgrade_database(options: argparse.Namespace) -> int:
    from .database import upgrade

    upgrade(address(options))
    print("The database is up to date.")
    return OK


def _forget_cluster(options: argparse.Namespace) -> int:
    from .database.owner import forget

    async def run(database: "Database") -> int:
        name = await forget(database)
        print(f"The database belonged to the cluster '{name}'." if name else "The database belongs to no cluster.")
        return OK

    return with_database(options, run)


if __name__ == "__main__":
    sys.exit(main())
