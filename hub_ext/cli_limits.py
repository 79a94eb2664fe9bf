"""``hub-ext limits``: see and change limits from a terminal."""

import argparse
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from . import cli_limits_run as run
from .cli_database import add_url, guarded, with_database
from .limits.fields import FIELDS

if TYPE_CHECKING:
    from .database import Database
    from .limits.store import LimitStore

SUBJECT_HELP = "whose: user:NAME, group:NAME or default"
_DESCRIPTION = f"""\
Limits of remote kernels: {", ".join(FIELDS)}.

A value is a number, 'unlimited' or 'inherit'. Memory can be written 64G or 512M, times 2h or 30m, queues as names
with commas between them or 'none'. A user's own value counts before those of groups, those before the default.
"""
_EPILOG = """\
examples:
  hub-ext limits show alice
  hub-ext limits set group:analytics kernels=5 memory_mb=256G --reason 'new cluster'
  hub-ext limits set user:alice kernels=10 --until 2026-12-31
  hub-ext limits keep user:alice kernels
  hub-ext limits unset user:alice kernels
  hub-ext limits export > limits.yaml; hub-ext limits import limits.yaml --dry-run

exit codes: 0 done, 1 refused, 2 the command makes no sense
"""
Work = Callable[["LimitStore", "Database", argparse.Namespace], Awaitable[int]]


def add_limits(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``limits`` with its commands."""
    limits = commands.add_parser(
        "limits",
        help="what each person may use",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = limits.add_subparsers(metavar="COMMAND")

    show = _command(
        below, "show", "limits in force with where each comes from; of nobody: all values there are", run.show
    )
    show.add_argument(
        "subject", nargs="?", default="", metavar="SUBJECT", help=f"{SUBJECT_HELP}; a name alone is a user"
    )
    show.add_argument("--group", default="", help="the same as group:NAME")
    show.add_argument("--default", action="store_true", help="the same as 'default'")
    show.add_argument("--groups", default=None, help="the user's groups, with commas; default: as the Hub last said")
    _json(show)

    change = _command(below, "set", "set values", run.set_)
    change.add_argument("subject", metavar="SUBJECT", help=SUBJECT_HELP)
    change.add_argument("values", nargs="+", metavar="LIMIT=VALUE", help="for example kernels=5 memory_mb=64G")
    change.add_argument(
        "--until", default="", help="when the values end (2026-12-31: with that day in UTC, or 2026-12-31T18:00Z)"
    )
    _reason(change)

    keep = _command(below, "keep", "let values that have an end stay as they are, without end", run.keep)
    keep.add_argument("subject", metavar="SUBJECT", help=SUBJECT_HELP)
    keep.add_argument("fields", nargs="*", metavar="LIMIT", help="names of limits; default: all that have an end")
    _reason(keep)

    unset = _command(below, "unset", "remove values, so that they are inherited", run.unset)
    unset.add_argument("subject", metavar="SUBJECT", help=SUBJECT_HELP)
    unset.add_argument("fields", nargs="+", metavar="LIMIT", help="names of limits")
    _reason(unset)

    history = _command(below, "history", "what was changed, by whom and why", run.history)
    history.add_argument("subject", nargs="?", default="", metavar="SUBJECT", help=SUBJECT_HELP)
    history.add_argument("--field", default="", help="one limit only")
    history.add_argument("--who", default="", help="changes of one person only")
    history.add_argument("--page", type=int, default=1, help="1 is the newest")
    history.add_argument("--per-page", type=int, default=20, help="changes on a page, at most 200")
    _json(history)

    undo = _command(below, "undo", "take a change back", run.undo)
    undo.add_argument("batch", metavar="CHANGE", help="its id in the history")
    _reason(undo)

    export = _command(below, "export", "write all values as YAML", run.export)
    export.add_argument("file", nargs="?", default="-", metavar="FILE", help="default: standard output")

    bring = _command(below, "import", "make the values those of a file", run.import_)
    bring.add_argument("file", metavar="FILE", help="'-' is standard input")
    bring.add_argument("--dry-run", action="store_true", help="only say what would change")
    bring.add_argument("--merge", action="store_true", help="keep values that the file does not mention")
    _reason(bring)

    requests = _command(below, "requests", "who asks for more", run.requests)
    requests.add_argument("--state", default="open", choices=["open", "granted", "declined", "withdrawn", "all"])
    _json(requests)


def _command(below: Any, name: str, text: str, work: Work) -> argparse.ArgumentParser:
    def run_it(options: argparse.Namespace) -> int:
        async def with_store(database: "Database") -> int:
            from .limits.store import LimitStore

            return await work(LimitStore(database), database, options)

        return with_database(options, with_store)

    parser: argparse.ArgumentParser = below.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    add_url(parser)
    parser.set_defaults(run=guarded(run_it))
    return parser


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def _reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", help="kept in the history")
