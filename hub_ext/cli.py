"""``hub-ext``: what administrators do from a terminal."""

import argparse
import os
import sys
from collections.abc import Sequence

from .secrets import read_secret


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``hub-ext``; returns the exit code."""
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
    upgrade.add_argument(
        "--url",
        default="",
        help="database address; default: HUB_EXT_DATABASE_URL, or the file HUB_EXT_DATABASE_URL_FILE",
    )
    upgrade.set_defaults(run=_upgrade_database)
    return parser


def _demo(_options: argparse.Namespace) -> int:
    os.execv(sys.executable, [sys.executable, "-m", "hub_ext.embedded.demo"])  # noqa: S606 (our own module, no shell)


def _upgrade_database(options: argparse.Namespace) -> int:
    from .database import upgrade

    url = options.url or read_secret("HUB_EXT_DATABASE_URL")
    if not url:
        print("hub-ext: name the database with --url or HUB_EXT_DATABASE_URL.", file=sys.stderr)
        return 2
    upgrade(url)
    print("The database is up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
