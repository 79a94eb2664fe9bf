"""Spark in the driver: started in a thread, and what stands for it in the notebook until then.

This file goes into the container beside ``driver.py``.
"""

import importlib
import logging
import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

log = logging.getLogger("remote_kernel.driver")

#: Spark looks for this driver's own modules in another folder than YARN's, where they are found already. What it says
#: of that would stand under the first cell.
NEEDLESS = r"Failed to add file \[\S+\] specified in 'spark\.submit\.pyFiles'"


class Spark:
    """Starts Spark in a thread; the names in the notebook wait for it when they are used."""

    def __init__(
        self,
        executors: int,
        visible: bool,
        without: Sequence[str] = (),
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._executors = executors
        self._without = without
        self._on_ready = on_ready
        self._lock = threading.Lock()
        self._namespace: dict[str, Any] | None = None
        self._session: Any = None
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spark-start", daemon=True)
        waiting = {"spark": Starting(self, "spark"), "sc": Starting(self, "sc"), "sql": self._sql}
        self._placeholders: dict[str, Any] = waiting if visible else {}

    def start(self) -> None:
        """Import what Spark needs, then begin to start it in its thread."""
        try:
            # Later one of two threads that import at once could find a compiled module half made.
            for name in ("zmq", "pyspark.sql"):
                importlib.import_module(name)
        except ImportError as error:
            self._error = error
            log.exception("Spark can't be imported.")
        self._thread.start()

    def attach(self, namespace: dict[str, Any]) -> None:
        """Put the names into a notebook's namespace: what Spark has given by now, or what waits for it."""
        with self._lock:
            self._namespace = namespace
            namespace.update(self._placeholders)
            if self._session is not None:
                self._publish(self._session)

    def wait(self) -> Any:
        """Wait until Spark runs and return the session. Can be interrupted."""
        self._over.wait()
        if self._error is not None:
            raise RuntimeError("Spark could not be started in this kernel.") from self._error
        return self._session

    def cancel_jobs(self) -> None:
        """Cancel every running job, from any thread but the main one, whose connection to the JVM is busy."""
        if self._session is None:
            return
        try:
            self._session.sparkContext.cancelAllJobs()
        except Exception as error:  # the JVM may be going away; the interrupt itself is already delivered
            log.warning("Running Spark jobs could not be cancelled: %s", error)

    def _run(self) -> None:
        try:
            if self._error is None:
                self._start()
        finally:
            self._over.set()
        if self._session is not None:
            # Nobody who uses Spark waits for this.
            self._on_ready()

    def _start(self) -> None:
        try:
            from pyspark import SparkContext
            from pyspark.sql import SparkSession

            warnings.filterwarnings("ignore", NEEDLESS, RuntimeWarning)
            SparkContext._ensure_initialized()
            keep_connections_apart(SparkContext._gateway._gateway_client)
            for name in self._without:
                # A site's default for all applications, which was not counted for this one.
                SparkContext._jvm.java.lang.System.clearProperty(name)
            # Without executors there is no other place to say so: the submission client refuses zero.
            builder = SparkSession.builder.config("spark.executor.instances", str(self._executors))
            session = builder.getOrCreate()
        except BaseException as error:
            self._error = error
            log.exception("Spark could not be started.")
            return
        with self._lock:
            self._session = session
            if self._namespace is not None:
                self._publish(session)
        log.info("Spark is ready: application=%s", session.sparkContext.applicationId)

    def _publish(self, session: Any) -> None:
        """Put the real ones in place of the placeholders that are still there."""
        values = {"spark": session, "sc": session.sparkContext, "sql": session.sql}
        names = {} if self._namespace is None else self._namespace
        for name, placeholder in self._placeholders.items():
            # A name that the user has taken for something else by now stays theirs. That may be a table or an array,
            # which is not to be compared by value.
            if names.get(name) is placeholder:
                names[name] = values[name]

    def _sql(self, *args: Any, **kwargs: Any) -> Any:
        """Run a query with Spark SQL, like ``spark.sql``."""
        return self.wait().sql(*args, **kwargs)


def keep_connections_apart(client: Any) -> None:
    """Have an interrupted call to the JVM close its own connection and no other.

    py4j looks for the connection to close by either end's port, and one end of all of them is the JVM's. So it closes
    those of other threads too, such as the one that cancels the jobs just then. The JVM is asked to do the same and
    gets to it when the call is over: then it also closes the connection that was made next, whose call is made again.

    Parameters
    ----------
    client : py4j.clientserver.JavaClient
    """
    from py4j.clientserver import ClientServerConnection

    client.deque = ThreadConnections()
    # The JVM notices that this end is closed.
    ClientServerConnection.shutdown_socket = lambda connection, *ports: connection.close()


class ThreadConnections(threading.local):
    """py4j's store of connections to the JVM, so that each thread sees its own."""

    def __init__(self) -> None:
        self._connections: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self._connections)

    def __getattr__(self, method: str) -> Any:
        return getattr(self._connections, method)


class Starting:
    """Stands for ``spark`` or ``sc`` until Spark runs: using it waits."""

    def __init__(self, spark: Spark, name: str) -> None:
        self.__spark = spark
        self.__name = name

    def __getattr__(self, attribute: str) -> Any:
        # Questions of displays and of pickle are not uses.
        if attribute.startswith(("__", "_repr_", "_ipython_")):
            raise AttributeError(attribute)
        session = self.__spark.wait()
        return getattr(session if self.__name == "spark" else session.sparkContext, attribute)

    def __repr__(self) -> str:
        return f"<{self.__name}: Spark is starting>"
