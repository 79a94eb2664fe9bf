"""What a kernel does, from what it publishes. Pure.

The stock gateway takes every status for the kernel's own: also the one of a request on the control channel or in a
subshell, which the kernel answers beside a cell that goes on. JupyterLab asks so on every reload, and a kernel that
works would be idle from then on, and be stopped for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What programs ask by themselves: no sign that anybody uses the kernel.
UNASKED = frozenset(
    {
        "kernel_info_request",
        "comm_info_request",
        "usage_request",
        "debug_request",
        "interrupt_request",
        "create_subshell_request",
        "delete_subshell_request",
        "list_subshell_request",
    }
)
#: Those of them that wait for a running cell, as the gateway asks them before it knows what a kernel does.
WAITING = frozenset({"kernel_info_request", "comm_info_request"})
CELL = "execute_request"


@dataclass
class Doings:
    """The requests that a kernel works on.

    Attributes
    ----------
    state : str
        ``starting`` until it is known what the kernel does, then ``busy`` or ``idle``.
    """

    state: str = "starting"
    _begun: dict[str, str] = field(default_factory=dict)

    def hears(self, parent: Mapping[str, Any], status: str | None) -> bool:
        """Take in a published message, by its parent's header; `status` is None when it is none.

        Returns
        -------
        bool
            Whether it is a sign of use.
        """
        kind, request = str(parent.get("msg_type", "")), str(parent.get("msg_id", ""))
        if status == "starting":
            self.state, self._begun = "starting", {}
        elif status == "busy":
            self._begin(kind, request, parent)
        elif status == "idle":
            self._end(kind, request)
        return self.state == "busy" or kind not in UNASKED

    def _begin(self, kind: str, request: str, parent: Mapping[str, Any]) -> None:
        if kind in UNASKED:
            return
        if kind == CELL and not parent.get("subshell_id"):
            # One cell at a time: what was before it is over, also when its end was not heard.
            self._begun.clear()
        self._begun[request] = kind
        self.state = "busy"

    def _end(self, kind: str, request: str) -> None:
        self._begun.pop(request, None)
        if self._begun or (self.state == "starting" and kind in UNASKED - WAITING):
            return
        self.state = "idle"
