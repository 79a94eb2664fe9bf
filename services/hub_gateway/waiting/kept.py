"""What one client has sent to a kernel that is still starting. Pure."""

import uuid
from dataclasses import dataclass, field
from typing import Any

MAXIMUM_MESSAGES = 1000
#: Bytes that are kept of one client, and the most that one message may have.
MAXIMUM_BYTES = 4 * 1024 * 1024

Header = dict[str, Any]


@dataclass
class Kept:
    """Messages for the kernel, as they came and in their order, and the cells among them that wait for an answer."""

    raw: list[bytes] = field(default_factory=list)
    cells: list[Header] = field(default_factory=list)
    #: The cell that says where the start is; None when there is none.
    shown_in: Header | None = None
    display_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    #: Whether something is shown there.
    shown: bool = False
    size: int = 0

    def add(self, raw: bytes) -> bool:
        """Keep a message; False when there are too many."""
        if len(self.raw) >= MAXIMUM_MESSAGES or self.size + len(raw) > MAXIMUM_BYTES:
            return False
        self.raw.append(raw)
        self.size += len(raw)
        return True

    def add_cell(self, header: Header, *, shown: bool) -> None:
        """Note a cell that was kept."""
        self.cells.append(header)
        if shown and self.shown_in is None:
            self.shown_in = header

    def all(self) -> bytes:
        """Return everything as it came."""
        return b"".join(self.raw)

    def forget(self) -> None:
        """Forget everything: a client that restarts its kernel does not expect answers any more."""
        self.raw, self.cells, self.shown_in, self.shown, self.size = [], [], None, False, 0
        self.display_id = uuid.uuid4().hex
