"""SQLite's writer: a thread in which a transaction runs from its beginning to its end.

SQLite has one writer at a time, whoever comes meanwhile waits. A transaction whose statements were awaited one by one
would hold that place for as long as the event loop has other things to do between them.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

T = TypeVar("T")
#: The option of a connection that says how a transaction on SQLite begins.
BEGIN = "sqlite_begin"
AS_WRITER = {BEGIN: "BEGIN IMMEDIATE"}
#: Seconds, at least and at most, after which a writer asks again whether SQLite's other writer is done. SQLite's own
#: waiting sleeps for up to 100 ms at a time.
ASK_AGAIN = (0.0005, 0.002)


class GivenUpError(Exception):
    """Whoever wanted this transaction does not wait for it any more."""


class Writer:
    """Runs writing transactions one after the other.

    Parameters
    ----------
    engine : Engine
        Its connections give up at once when another writer is there.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-writer")

    async def run(self, work: Callable[[Connection], T], deadline: float) -> T:
        """Run `work` in a transaction; when this is cancelled before the commit, nothing is written.

        Parameters
        ----------
        work : callable
            What is done, with the connection.
        deadline : float
            When to give up waiting for other writers, by ``time.monotonic``.

        Raises
        ------
        SQLAlchemyError
            What the database says.
        """
        given_up = threading.Event()
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._run, work, deadline, given_up)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            given_up.set()
            # Whoever comes next would only wait in the thread's queue.
            await asyncio.gather(running, return_exceptions=True)
            raise

    def close(self) -> None:
        self._thread.shutdown(wait=False)
        self._engine.dispose()

    def _run(self, work: Callable[[Connection], T], deadline: float, given_up: threading.Event) -> T:
        with self._begun(deadline, given_up) as connection:
            result = work(connection)
            if given_up.is_set():
                raise GivenUpError  # leaving without a commit undoes it
            connection.commit()
            return result

    def _begun(self, deadline: float, given_up: threading.Event) -> Connection:
        """Return a connection that is SQLite's one writer."""
        while True:
            connection = self._engine.connect()
            try:
                connection.execution_options(**AS_WRITER).begin()
            except BaseException as error:
                connection.close()
                if not is_locked(error) or given_up.is_set() or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(*ASK_AGAIN))  # noqa: S311 (only keeps two from asking in step)
            else:
                return connection


def is_locked(error: BaseException) -> bool:
    """Say whether another writer is there."""
    return isinstance(error, OperationalError) and "locked" in str(error.orig)
