"""A small synchronous client of Jupyter's kernel API, for tests: the REST calls and one websocket per kernel."""

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import requests
import websocket

REST_TIMEOUT = 150.0
IDLE = {"execution_state": "idle"}


class CellError(Exception):
    """A cell that raised; its text is ``Name: value``."""


@dataclass
class Output:
    """What a cell gave: its printed text, the text of its result, its rich results, and the error if there is one."""

    text: str = ""
    result: str = ""
    data: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    traceback: str = ""
    stderr: str = ""


class KernelClient:
    """One kernel behind `base_url`.

    Parameters
    ----------
    base_url : str
        Up to and without ``/api``.
    headers : dict
        Sent with every request, also the websocket's.
    """

    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        self.base_url = base_url.rstrip("/")
        self.headers = headers
        self.kernel_id = ""
        self._session = uuid.uuid4().hex
        self._socket: websocket.WebSocket | None = None

    def request(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Send a REST request to ``/api/…``."""
        timeout = kwargs.pop("timeout", REST_TIMEOUT)
        url = f"{self.base_url}/api/{path}"
        return requests.request(method, url, headers=self.headers, timeout=timeout, **kwargs)

    def start(self, name: str, env: dict[str, str] | None = None) -> str:
        """Start a kernel and return its id."""
        answer = self.request("POST", "kernels", json={"name": name, "env": env or {}})
        if answer.status_code >= 400:
            raise RuntimeError(f"{answer.status_code} {answer.text}")
        self.kernel_id = str(answer.json()["id"])
        return self.kernel_id

    def connect(self) -> None:
        """Open the websocket if it isn't open."""
        if self._socket is not None:
            return
        url = self.base_url.replace("http", "ws", 1)
        self._socket = websocket.create_connection(
            f"{url}/api/kernels/{self.kernel_id}/channels?session_id={self._session}",
            header=[f"{name}: {value}" for name, value in self.headers.items()],
            timeout=60,
        )

    def close(self) -> None:
        """Close the websocket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, code: str) -> str:
        """Send a cell without waiting for it; return the message's id for `collect`."""
        return self._send("execute_request", {"code": code, "silent": False, "stop_on_error": True})

    def collect(self, message_id: str, timeout: float = 60.0, started: bool = False) -> Output:
        """Collect what a sent cell gives until the kernel is idle again; with `started` only until it runs.

        Raises
        ------
        TimeoutError
            It takes longer than `timeout` seconds.
        """
        output, idle, replied = Output(), False, False
        deadline = time.monotonic() + timeout
        while not (idle and replied):
            message = self._receive(deadline)
            if message.get("parent_header", {}).get("msg_id") != message_id:
                continue
            kind, content = message["msg_type"], message["content"]
            if started and kind == "status" and content["execution_state"] == "busy":
                return output
            replied = replied or kind == "execute_reply"
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
            _add(output, kind, content)
        return output

    def execute(self, code: str, timeout: float = 60.0) -> tuple[Output, str | None]:
        """Run a cell to its end; return what it gave and the error it ended with, if any."""
        output = self.collect(self.send(code), timeout)
        return output, output.error

    def run(self, code: str, timeout: float = 60.0) -> str:
        """Run a cell that must not fail; return its text and result."""
        output, error = self.execute(code, timeout)
        if error:
            raise CellError(error)
        return output.text + output.result

    def wait_idle(self, timeout: float = 60.0) -> None:
        """Wait until the kernel answers."""
        self.connect()
        deadline = time.monotonic() + timeout
        wanted = self._send("kernel_info_request", {})
        while True:
            message = self._receive(deadline)
            if message.get("parent_header", {}).get("msg_id") == wanted and message["msg_type"] == "kernel_info_reply":
                return

    def interrupt(self) -> None:
        """Interrupt the kernel."""
        self.request("POST", f"kernels/{self.kernel_id}/interrupt").raise_for_status()

    def restart(self) -> None:
        """Restart the kernel and connect to it again."""
        self.close()
        self.request("POST", f"kernels/{self.kernel_id}/restart").raise_for_status()

    def delete(self) -> float:
        """Delete the kernel; return how many seconds that took."""
        self.close()
        began = time.monotonic()
        answer = self.request("DELETE", f"kernels/{self.kernel_id}")
        if answer.status_code not in (204, 404):
            raise RuntimeError(f"{answer.status_code} {answer.text}")
        return time.monotonic() - began

    def ask_beside(self, kind: str, timeout: float = 60.0) -> None:
        """Ask on the control channel, as JupyterLab does on every reload, and wait until that is done."""
        asked, deadline = self._send(kind, {}, "control"), time.monotonic() + timeout
        while True:
            message = self._receive(deadline)
            if message.get("parent_header", {}).get("msg_id") == asked and message["content"] == IDLE:
                return

    def _send(self, kind: str, content: dict[str, Any], channel: str = "shell") -> str:
        self.connect()
        assert self._socket is not None
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": self._session,
            "username": "",
            "version": "5.3",
        }
        body = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": channel}
        self._socket.send(json.dumps({**body, "buffers": []}))
        return str(header["msg_id"])

    def _receive(self, deadline: float) -> dict[str, Any]:
        assert self._socket is not None
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the kernel did not answer in time")
        self._socket.settimeout(left)
        try:
            return dict(json.loads(self._socket.recv()))
        except websocket.WebSocketTimeoutException:
            raise TimeoutError("the kernel did not answer in time") from None


def _add(output: Output, kind: str, content: dict[str, Any]) -> None:
    if kind == "stream" and content["name"] == "stdout":
        output.text += content["text"]
    elif kind == "stream":
        output.stderr += content["text"]
    elif kind == "execute_result":
        output.result = content["data"].get("text/plain", "")
        output.data.append(content["data"])
    elif kind == "display_data":
        output.data.append(content["data"])
    elif kind == "error":
        output.error = f"{content['ename']}: {content['evalue']}"
        output.traceback = "\n".join(content["traceback"])
