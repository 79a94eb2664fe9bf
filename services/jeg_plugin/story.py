"""A kernel's story in the log: every line about it ends the same way, so that one search finds it (pure)."""

import re
from dataclasses import dataclass

#: Set by whoever starts the kernel; the request's id in all logs.
REQUEST_ID = "KERNEL_REQUEST_ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NONE = "-"
#: A line of the submitting process that begins so tells how the submission goes, and is no complaint.
TELLS = "remote_kernel: "


def request_id_of(text: str | None) -> str:
    """Return a request's id; a missing one, and one that could break a log line, becomes a dash."""
    return text if text is not None and _REQUEST_ID.fullmatch(text) else NONE


@dataclass(frozen=True)
class Story:
    """Whose start this is. The values were checked: none has a blank or a line break."""

    kernel: str
    user: str
    request: str = NONE

    def __str__(self) -> str:
        return f"kernel={self.kernel} user={self.user or NONE} request={self.request}"
