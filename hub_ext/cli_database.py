"""How the commands reach the services' database, and what they say when they can't."""

import argparse
import asyncio
import os
import pwd
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import PublicError
from .secrets import read_secret

if TYPE_CHECKING:
    from .database import Database

OK, REFUSED, USAGE = 0, 1, 2


class UsageError(Exception):
    """The command line makes no sense; the text says why."""


def add_url(parser: argparse.ArgumentParser) -> None:
    """Let a command name the database."""
    parser.add_argument(
        "--url",
        default="",
        help="database address; default: HUB_EXT_DATABASE_URL, or the file HUB_EXT_DATABASE_URL_FILE",
    )


def address(options: argparse.Namespace) -> str:
    """Return the database's address.

    Raises
    ------
    UsageError
        When there is none.
    """
    try:
        url = str(options.url) or read_secret("HUB_EXT_DATABASE_URL")
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not url:
        raise UsageError("name the database with --url or HUB_EXT_DATABASE_URL.")
    _check_folder(url)
    return url


def _check_folder(url: str) -> None:
    """Refuse a file in a folder that is not there: SQLite would only say that it can't open it."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    folder = Path(parsed.database).absolute().parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder} for the database.")


def guarded(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Turn what can go wrong with a database into a sentence and an exit code."""

    def guard(options: argparse.Namespace) -> int:
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

        try:
            return run(options)
        except UsageError as error:
            return _say(error, USAGE)
        except (ArgumentError, NoSuchModuleError):
            return _say(
                "the database's address is not one: sqlite:////path/file or postgresql://user@host/name.", USAGE
            )
        except ModuleNotFoundError as error:
            return _say(f"the Python package '{error.name}' is missing: for PostgreSQL, install the extra 'postgres'.")
        except PublicError as error:
            return _say("\n  ".join(error.lines()))
        except (SQLAlchemyError, OSError, TimeoutError, asyncio.TimeoutError) as error:
            return _say(f"the database does not answer ({type(getattr(error, 'orig', None) or error).__name__}).")

    return guard


def with_database(options: argparse.Namespace, work: Callable[["Database"], Awaitable[int]]) -> int:
    """Do something with a database whose schema is ours."""

    async def run(url: str) -> int:
        from .database import Database

        database = Database(url)
        try:
            await database.check_schema()
            return await work(database)
        except RuntimeError as error:
            return _say(error)
        finally:
            await database.close()

    return asyncio.run(run(address(options)))


def who() -> str:
    """Return whose hands these are, for the history."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"user {os.getuid()}"
    asked_by = os.environ.get("SUDO_USER", "") if os.getuid() == 0 else ""
    return f"{asked_by} as {name} (command line)" if asked_by.isprintable() and asked_by else f"{name} (command line)"


def _say(text: object, code: int = REFUSED) -> int:
    print(f"hub-ext: {text}", file=sys.stderr)
    return code
