import contextlib
import errno
import os
import socket
import struct
import threading
from dataclasses import replace

import pytest

from jeg_plugin import submitting
from jeg_plugin.command import Start, argv_of, request_of
from jeg_plugin.definition import Definition, Size
from jeg_plugin.java_options import SMALL_HEAP_MB, SMALL_OPTIONS, defaults_in, java_settings, small_heap_mb_of
from jeg_plugin.launch import BY_CLIENT, BY_SUBMITTER, _ask_submitter, submitted_by
from jeg_plugin.node import NODE, Node, node_of
from jeg_plugin.submitter import Submitter, command, environment, for_launcher
from jeg_plugin.submitting import (
    SOCKET,
    UNKNOWN,
    ClusterRefusedError,
    NotSubmittedError,
    Request,
    UnknownError,
    ping,
    submit,
)

from .test_jeg_command import KERNEL_ID, KEY, PYTHON, SITE, SPARK, START, conf, options

DYNAMIC = Definition(
    "spark-python", Size(640, 2, executor_memory_mb=512, executors_max=3), archive="hdfs:///e/x.tar.gz"
)
WHERE = {"SPARK_HOME": "/opt/spark"}
REQUEST = Request("alice", False, "file:///driver.py", WHERE, {"spark.yarn.tags": KERNEL_ID}, ["--type", "python"])
NODE_FILES = Node("/opt/spark", "/opt/node/remote-kernels.jar", "/opt/node/spark.jsa")
LOCAL_JARS = {"spark.yarn.jars": "local:/opt/spark/jars/*"}


# -- the same application, whichever way --------------------------------------------------------------


@pytest.mark.parametrize("definition", [SPARK, PYTHON, DYNAMIC, replace(SPARK, spark_conf={"spark.rdd.compress": "x"})])
@pytest.mark.parametrize("impersonate", [False, True])
def test_the_request_asks_for_what_the_clients_arguments_ask_for(definition, impersonate):
    start = Start(KERNEL_ID, "alice", "10.0.0.5:8877", KEY, impersonate=impersonate)
    java = java_settings(definition.size, NODE_FILES, LOCAL_JARS, SMALL_HEAP_MB)
    argv, request = argv_of(definition, start, SITE, NODE_FILES, java), request_of(definition, start, SITE, java)
    modules = options(argv, "--py-files")[0].split(",")
    # What SparkSubmit itself makes of its options.
    of_options = {
        "spark.app.name": options(argv, "--name")[0],
        "spark.driver.memory": options(argv, "--driver-memory")[0],
        "spark.driver.cores": options(argv, "--driver-cores")[0],
        "spark.yarn.queue": options(argv, "--queue")[0],
        "spark.submit.pyFiles": ",".join(f"file://{path}" for path in modules),
        "spark.yarn.dist.pyFiles": ",".join(f"file://{path}" for path in modules),
    }
    assert request.settings == conf(argv) | of_options
    program = argv.index(options(argv, "--py-files")[0]) + 1
    assert request.program == f"file://{argv[program]}"
    assert request.arguments == argv[program + 1 :]
    assert (request.user, request.as_proxy) == ("alice", "--proxy-user" in argv)
    assert request.site == {
        name: SITE.get(name, "") for name in (*SITE, "PYSPARK_ARCHIVES_PATH") if name != "JAVA_HOME"
    }


def test_the_submitters_command_and_environment_hold_no_secret():
    environ = {**SITE, "EG_AUTH_TOKEN": "secret", "KERNEL_USERNAME": "alice", "REMOTE_KERNELS_KEYTAB": "/etc/k"}
    argv = command(environ, NODE_FILES, "/run/s")
    assert "secret" not in " ".join(argv)
    assert environment(environ) == {**SITE, "REMOTE_KERNELS_KEYTAB": "/etc/k"}
    assert options(argv, "-cp") == ["/opt/spark/jars/*:/opt/node/remote-kernels.jar:/etc/spark:/etc/hadoop"]
    without = command(environ, replace(NODE_FILES, archive=None), "/run/s")
    assert options(without, "-cp") == ["/etc/spark:/etc/hadoop:/opt/spark/jars/*:/opt/node/remote-kernels.jar"]
    assert not [option for option in without if "SharedArchiveFile" in option]


# -- options of the JVMs ------------------------------------------------------------------------------

ARCHIVE = (
    "-Xshare:auto -XX:SharedArchiveFile=/opt/node/spark.jsa"
    " -cp /opt/spark/jars/*:/opt/node/remote-kernels.jar:{{CLASSPATH}}"
)
SMALL = " ".join(SMALL_OPTIONS)


@pytest.mark.parametrize(
    ("size", "node", "site", "small_heap_mb", "driver", "executor"),
    [
        (Size(640), None, {}, 1024, SMALL, SMALL),
        (Size(1024, executor_memory_mb=1025), None, {}, 1024, SMALL, None),
        (Size(640, 2, executor_memory_mb=512, executor_cores=2), None, {}, 1024, None, None),
        (Size(640), None, {}, 0, None, SMALL),
        (Size(4096, executor_memory_mb=4096), NODE_FILES, LOCAL_JARS, 1024, ARCHIVE, ARCHIVE),
        (Size(640), NODE_FILES, LOCAL_JARS, 1024, f"{SMALL} {ARCHIVE}", f"{SMALL} {ARCHIVE}"),
        # Spark from elsewhere, or a site's own jars before it: the class path stays as it is.
        (Size(640), NODE_FILES, {}, 1024, SMALL, SMALL),
        (Size(640), NODE_FILES, {"spark.yarn.jars": "local:/opt/other/jars/*"}, 1024, SMALL, SMALL),
        (Size(640), NODE_FILES, {**LOCAL_JARS, "spark.yarn.archive": "hdfs:///s.zip"}, 1024, SMALL, SMALL),
        (
            Size(4096, executor_memory_mb=4096),
            NODE_FILES,
            {**LOCAL_JARS, "spark.driver.extraClassPath": "/opt/x.jar"},
            1024,
            None,
            ARCHIVE,
        ),
        (Size(4096, executor_memory_mb=4096), replace(NODE_FILES, archive=None), LOCAL_JARS, 1024, None, None),
        # What a site says itself comes last and wins.
        (Size(640), None, {"spark.driver.defaultJavaOptions": "-XX:+UseG1GC"}, 1024, f"{SMALL} -XX:+UseG1GC", SMALL),
    ],
)
def test_options_of_driver_and_executors(size, node, site, small_heap_mb, driver, executor):
    wanted = {"spark.driver.defaultJavaOptions": driver, "spark.executor.defaultJavaOptions": executor}
    found = java_settings(size, node, site, small_heap_mb)
    assert found == {name: value for name, value in wanted.items() if value is not None}


def test_the_clients_own_class_path():
    assert options(argv_of(SPARK, START, SITE, NODE_FILES), "-cp") == [
        "/opt/spark/jars/*:/opt/node/remote-kernels.jar:/etc/spark:/etc/hadoop"
    ]
    assert options(argv_of(SPARK, START, SITE, replace(NODE_FILES, archive=None)), "-cp") == [
        "/etc/spark:/etc/hadoop:/opt/spark/jars/*"
    ]


def test_a_sites_defaults_are_read():
    text = "# spark.a b\nspark.yarn.jars  local:/s/jars/*\n  spark.x=-Da=b -Dc\nspark.y = z\nspark.empty\nother.z 1\n\n"
    assert defaults_in(text) == {
        "spark.yarn.jars": "local:/s/jars/*",
        "spark.x": "-Da=b -Dc",
        "spark.y": "z",
        "spark.empty": "",
    }


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("512", 512), (None, 1024), ("-1", 1024), ("x", 1024), ("²", 1024)]
)
def test_the_largest_small_heap(text, number):
    assert small_heap_mb_of(text) == number


DESCRIBED = '{"spark_home": "/opt/spark", "jar": "a.jar", "archive": "a.jsa"}'


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (DESCRIBED, True),
        (DESCRIBED.replace("/opt/spark", "/opt/other"), False),
        (DESCRIBED.replace("a.jar", "a b.jar"), False),
        (DESCRIBED.replace("a.jsa", "$(x)"), False),
        ("[]", False),
        ("{", False),
        (None, False),
    ],
)
def test_a_prepared_node_is_one_for_this_spark(tmp_path, content, found):
    if content is not None:
        (tmp_path / "node.json").write_text(content)
    node = node_of({NODE: str(tmp_path), "SPARK_HOME": "/opt/spark"})
    assert (node is not None) == found
    if node is not None:
        assert (node.jar, node.archive) == (f"{tmp_path}/a.jar", f"{tmp_path}/a.jsa")
    assert node_of({"SPARK_HOME": "/opt/spark"}) is None


# -- the conversation ---------------------------------------------------------------------------------


def words(*texts):
    return b"".join(struct.pack(">H", len(text)) + text.encode() for text in texts)


HEARD, READY = words("heard", ""), words("ready", "application_1_0001")


@contextlib.contextmanager
def submitter(tmp_path, *answers, silent=False):
    """A submitter that says `answers`, each after it has heard something, and then hangs up or says nothing more."""
    path, heard = str(tmp_path / "s"), []
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    over = threading.Event()

    def serve():
        with contextlib.suppress(OSError), server.accept()[0] as caller:
            for answer in answers:
                heard.append(caller.recv(65536))
                caller.sendall(answer)
            if silent:
                over.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield path, heard
    finally:
        over.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def test_a_submission(tmp_path):
    told = []
    answers = (HEARD + READY, words("submitted", "application_1_0001"))
    with submitter(tmp_path, *answers) as (path, heard):
        assert submit(path, REQUEST, told.append) == "application_1_0001"
    assert told == ["application_1_0001"]
    count = struct.pack(">H", 1)
    first = words("remote-kernels-submitter/1", "submit", "alice", "user", "file:///driver.py")
    settings = count + words("SPARK_HOME", "/opt/spark") + count + words("spark.yarn.tags", KERNEL_ID)
    assert heard == [first + settings + struct.pack(">H", 2) + words("--type", "python"), words("go")]


@pytest.mark.parametrize(
    ("answers", "error", "text"),
    [
        ((), NotSubmittedError, "the connection ended"),
        ((HEARD,), NotSubmittedError, "the connection ended"),
        ((words("refused", "speaks 2"),), NotSubmittedError, "speaks 2"),
        ((b"\xff\xff",), NotSubmittedError, "the connection ended"),
        ((b"HTTP/1.1 400",), NotSubmittedError, "the connection ended"),
        ((HEARD + words("failed", "no such queue"),), ClusterRefusedError, "no such queue"),
        ((HEARD + READY, b""), UnknownError, "application_1_0001: the connection ended"),
        ((HEARD + READY, words("refused", "x")), UnknownError, "application_1_0001"),
        ((HEARD + READY, words("failed", "denied")), ClusterRefusedError, "denied"),
    ],
)
def test_what_is_certain_after_which_answers(tmp_path, answers, error, text):
    with submitter(tmp_path, *answers) as (path, _), pytest.raises(error, match=text):
        submit(path, REQUEST)


@pytest.mark.parametrize("answers", [(), (HEARD,)])
def test_one_that_hangs_before_the_submission_is_left(tmp_path, monkeypatch, answers):
    monkeypatch.setattr(submitting, "HEARD_SECONDS", 0.1)
    monkeypatch.setattr(submitting, "READY_SECONDS", 0.1)
    with submitter(tmp_path, *answers, silent=True) as (path, heard):
        with pytest.raises(NotSubmittedError, match="does not answer in time"):
            submit(path, REQUEST)
        assert words("go") not in heard


def test_without_a_submitter(tmp_path):
    with pytest.raises(NotSubmittedError, match="it does not run"):
        submit(str(tmp_path / "none"), REQUEST)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EPIPE, "the connection ended"),
        (errno.ECONNRESET, "the connection ended"),
        (errno.ECONNABORTED, "the connection ended"),
        (errno.ECONNREFUSED, "it does not run"),
        (errno.ENOENT, "it does not run"),
        (errno.ETIMEDOUT, "it does not answer in time"),
        (errno.EACCES, "Permission denied"),
    ],
)
def test_what_is_said_does_not_depend_on_who_was_quicker(number, text):
    assert submitting._reason(OSError(number, os.strerror(number))) == text


@pytest.mark.parametrize("value", ["a\0b", "x" * 70_000, "\U0001f600"])
def test_a_value_that_java_would_read_otherwise_is_not_sent(tmp_path, value):
    with submitter(tmp_path, b"") as (path, heard):
        with pytest.raises(NotSubmittedError, match="can't be sent"):
            submit(path, replace(REQUEST, arguments=[value]))
        assert not any(heard)


def test_a_ping(tmp_path):
    with submitter(tmp_path, words("alive", "7")) as (path, _):
        assert ping(path, 1) == 7
    os.unlink(path)
    with submitter(tmp_path, words("refused", "7")) as (path, _), pytest.raises(ValueError, match="refused"):
        ping(path, 1)


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ((HEARD + READY, words("submitted", "application_1_0001")), 0, "The submitter submits: application="),
        ((HEARD + words("failed", "unknown queue: x"),), 1, "unknown queue: x"),
        ((HEARD + READY, b""), UNKNOWN, "the submitter was lost with application_1_0001"),
        ((words("refused", "two\nlines"),), None, "The submitter is away: two lines: kernel="),
    ],
)
def test_what_the_launching_program_does_then(tmp_path, monkeypatch, capsys, answers, status, said):
    monkeypatch.setenv("KERNEL_ID", KERNEL_ID)
    monkeypatch.setenv("KERNEL_USERNAME", "alice")
    with submitter(tmp_path, *answers) as (path, _):
        assert _ask_submitter(path, REQUEST) == status
    assert said in capsys.readouterr().err


class Log:
    def __init__(self):
        self.lines = []

    def info(self, text, *values):
        self.lines.append(text % values)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"REMOTE_KERNELS_USE_SUBMITTER": "false"}, "is false"),
        ({NODE: "/nonexistent"}, "no submitter in /nonexistent"),
        ({NODE: ""}, "see hub-ext edge prepare-node"),
        ({"JAVA_HOME": "/nonexistent"}, "there is no Java"),
        ({}, None),
    ],
)
def test_where_there_is_no_submitter_the_log_says_why(tmp_path, changes, why):
    (tmp_path / "node.json").write_text(DESCRIBED)
    (tmp_path / "a.jar").touch()
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.touch(0o755)
    log, environ = Log(), {NODE: str(tmp_path), "SPARK_HOME": "/opt/spark", "JAVA_HOME": str(tmp_path), **changes}
    assert Submitter("/run/x", environ, log).prepared() == (why is None)
    assert all(line.startswith("Kernels are submitted by Spark's own client: ") for line in log.lines)
    assert why is None or why in log.lines[0]


def test_a_request_has_no_say_in_how_its_application_is_submitted(monkeypatch):
    monkeypatch.setenv(NODE, "/opt/node")
    monkeypatch.delenv("REMOTE_KERNELS_SMALL_HEAP_MB", raising=False)
    given = {"KERNEL_ID": KERNEL_ID, NODE: "/tmp/x", SOCKET: "/tmp/y", "REMOTE_KERNELS_SMALL_HEAP_MB": "9"}
    assert for_launcher(given, None) == {"KERNEL_ID": KERNEL_ID, NODE: "/opt/node"}
    mine = Submitter("/run/x", {}, Log())
    assert for_launcher(given, mine) == {"KERNEL_ID": KERNEL_ID, NODE: "/opt/node", SOCKET: "/run/x/submitter/socket"}


@pytest.mark.parametrize(
    ("line", "by"),
    [
        (f"{BY_SUBMITTER}: application=a", "submitter"),
        (f"{BY_CLIENT}: kernel=k", "client"),
        ("The submitter is away", None),
    ],
)
def test_which_way_a_line_tells_of(line, by):
    assert submitted_by(line) == by
