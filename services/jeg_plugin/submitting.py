"""Asks the submitter to submit an application: the other half of ``java/Submitter.java``.

Only what is certain is acted upon. Until this side has said "go" nothing is submitted, so whatever goes wrong before
leaves another way open. Afterwards only an answer tells what became of it.
"""

import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

PROTOCOL = "remote-kernels-submitter/1"
#: Where the submitter listens; set by Enterprise Gateway while it runs, never by a request.
SOCKET = "REMOTE_KERNELS_SUBMITTER"
#: A running submitter takes a request at once, and others may be before this one when it prepares.
HEARD_SECONDS = 3.0
READY_SECONDS = 45.0
#: Exit status of the launching program when nobody can tell whether the application was submitted.
UNKNOWN = 75
_LENGTH = struct.Struct(">H")


@dataclass(frozen=True)
class Request:
    """An application to submit, made of checked values only.

    Attributes
    ----------
    user : str
        Whose application it is.
    as_proxy : bool
        Whether the submitter's account acts for the user, as with Kerberos.
    program : str
        The main program's file.
    site : mapping
        Variables of the environment that decide which cluster and which Spark; the submitter has to have the same.
    settings : mapping
        Spark's.
    arguments : sequence of str
        The main program's.
    """

    user: str
    as_proxy: bool
    program: str
    site: Mapping[str, str]
    settings: Mapping[str, str]
    arguments: Sequence[str]


class NotSubmittedError(Exception):
    """Nothing was submitted, and that is certain: another way may be tried."""


class ClusterRefusedError(Exception):
    """Spark or YARN refuses the application; the text says why. Another way would meet the same."""


class UnknownError(Exception):
    """Nobody can tell whether the application was submitted."""


def submit(path: str, request: Request, ready: Callable[[str], None] = lambda application: None) -> str:
    """Submit an application through the submitter at `path`; return the application's id.

    Parameters
    ----------
    path : str
        Of the unix socket.
    request : Request
        What to submit.
    ready : callable
        Gets the application's id right before it is submitted.

    Raises
    ------
    NotSubmittedError, ClusterRefusedError, UnknownError
        See each.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        conversation = _Conversation(connection)
        try:
            connection.settimeout(HEARD_SECONDS)
            connection.connect(path)
            connection.sendall(_encoded(request))
            conversation.expect("heard")
            connection.settimeout(READY_SECONDS)
            application = conversation.expect("ready")
        except (OSError, ValueError) as error:
            raise NotSubmittedError(_reason(error)) from error
        ready(application)
        try:
            # No limit: whoever waits for the kernel ends this process when its time is over.
            connection.settimeout(None)
            connection.sendall(_string("go"))
            return conversation.expect("submitted")
        except (OSError, ValueError, NotSubmittedError) as error:
            raise UnknownError(f"the submitter was lost with {application}: {_reason(error)}") from error


def ping(path: str, seconds: float) -> int:
    """Ask whether the submitter works; return for how many seconds it has been preparing its oldest application.

    Raises
    ------
    OSError, ValueError
        It does not answer in time, or not as it should.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(path)
        connection.sendall(_string(PROTOCOL) + _string("ping"))
        word, text = _Conversation(connection).answer()
        if word != "alive":
            raise ValueError(f"it answers {word}")
        return int(text)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return "it does not run"
    # Which of these it is depends on who was quicker: an end, a reset, or a broken pipe.
    if isinstance(error, ConnectionError):
        return "the connection ended"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _encoded(request: Request) -> bytes:
    return b"".join(
        [
            *map(_string, (PROTOCOL, "submit", request.user, "proxy" if request.as_proxy else "user", request.program)),
            *(_pairs(pairs) for pairs in (request.site, request.settings)),
            _LENGTH.pack(len(request.arguments)),
            *map(_string, request.arguments),
        ]
    )


def _pairs(pairs: Mapping[str, str]) -> bytes:
    return _LENGTH.pack(len(pairs)) + b"".join(_string(part) for pair in pairs.items() for part in pair)


def _string(text: str) -> bytes:
    """Return a string as Java's DataInput reads it; the same as UTF-8 for what passes here."""
    content = text.encode()
    if len(content) > 0xFFFF or "\0" in text or any(ord(letter) > 0xFFFF for letter in text):
        raise ValueError("a value can't be sent to the submitter")
    return _LENGTH.pack(len(content)) + content


class _Conversation:
    """The submitter's answers, one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def expect(self, wanted: str) -> str:
        """Return the text of the next answer, which has to have this word."""
        word, text = self.answer()
        if word == wanted:
            return text
        if word == "failed":
            raise ClusterRefusedError(text)
        raise NotSubmittedError(text if word == "refused" else f"it answers {word}")

    def answer(self) -> tuple[str, str]:
        """Return the next answer: a word and a text."""
        return self._string(), self._string()

    def _string(self) -> str:
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        return self._exactly(length).decode(errors="replace")

    def _exactly(self, length: int) -> bytes:
        content = b""
        while len(content) < length:
            chunk = self._connection.recv(length - len(content))
            if not chunk:
                raise ConnectionError("the connection ended")
            content += chunk
        return content
