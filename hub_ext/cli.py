"""``hub-ext``: what administrators do from a terminal."""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from .cli_database import OK, add_url, address, guarded
from .cli_limits import add_limits


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
    add_limits(commands)
    return parser


def _demo(_options: argparse.Namespace) -> int:
    os.execv(sys.executable, [sys.executable, "-m", "hub_ext.embedded.demo"])  # noqa: S606 (our own module, no shell)


def _upgrade_database(options: argparse.Namespace) -> int:
    from .database import upgrade

    upgrade(address(options))
    print("The database is up to date.")
    return OK


if __name__ == "__main__":
    sys.exit(main())
