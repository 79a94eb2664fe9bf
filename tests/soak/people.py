"""People who do things at random with kernels, always the same ones for the same seed."""

import random
import threading
import time
from collections import Counter

import requests
import websocket

from tests.integration.kernel_client import KernelClient
from tests.support import bearer

SCOPES = ["access:services!service=gateway", "read:users:groups!user", "read:users:name!user"]
#: What somebody with a kernel does, and how often.
DEEDS = {
    "run": 40,
    "print a lot": 5,
    "interrupt": 10,
    "reconnect": 10,
    "list": 10,
    "restart": 8,
    "delete": 17,
}
#: Seconds for anything; a start may have to wait for others on two cores.
PATIENCE_S = 90


def make_people(platform, count):
    """Let the administrator add people to the Hub; return a token of each by name."""
    admin = platform.person("admin")
    names = [f"soak{number:02}" for number in range(count)]
    assert admin.hub("POST", "/users", json={"usernames": names}).status_code in {201, 409}
    tokens = {}
    for name in names:
        answer = admin.hub("POST", f"/users/{name}/tokens", json={"scopes": SCOPES, "note": "soak"})
        assert answer.status_code == 201, answer.text
        tokens[name] = answer.json()["token"]
    return tokens


class Busy(threading.Thread):
    """Somebody who works until they are told to go home, and then cleans up.

    Attributes
    ----------
    done
        How often each deed was done.
    troubles
        What went wrong.
    """

    def __init__(self, platform, name, token, seed, places):
        super().__init__(name=name)
        self._base = f"{platform.url}/services/gateway/user/{name}"
        self._headers = bearer(token)
        self._random = random.Random(f"{seed} {name}")  # noqa: S311 (repeatable, not secret)
        self._places = places
        self._kernel = None
        self._count = 0
        self.home = threading.Event()
        self.done = Counter()
        self.troubles = []

    def run(self):
        while not self.home.is_set():
            deed = self._choose()
            try:
                getattr(self, "do_" + deed.replace(" ", "_"))()
                self.done[deed] += 1
            except Exception as error:
                kernel_id = self._kernel.kernel_id if self._kernel else "none"
                trouble = f"{self.name} {deed} kernel={kernel_id}: {type(error).__name__}: {str(error)[:300]}"
                print(trouble, flush=True)
                self.troubles.append(trouble)
                self._give_up()
            self.home.wait(self._random.uniform(0.05, 0.4))
        self._give_up()

    def _choose(self):
        if self._kernel is not None:
            return self._random.choices(list(DEEDS), list(DEEDS.values()))[0]
        return "start" if self._places.acquire(blocking=False) else "look"

    def do_start(self):
        kernel = KernelClient(self._base, self._headers)
        self._kernel = kernel
        kernel.start("python_yarn")
        kernel.wait_idle(PATIENCE_S)

    def do_look(self):
        requests.get(f"{self._base}/api/kernelspecs", headers=self._headers, timeout=PATIENCE_S).raise_for_status()
        time.sleep(1)

    def do_list(self):
        answer = self._kernel.request("GET", "kernels")
        answer.raise_for_status()
        assert [one["id"] for one in answer.json()] == [self._kernel.kernel_id]

    def do_run(self):
        self._count += 1
        assert self._kernel.run(f"print({self._count} * 2)", PATIENCE_S).strip() == str(self._count * 2)

    def do_print_a_lot(self):
        assert len(self._kernel.run("print('x' * 1_000_000)", PATIENCE_S)) == 1_000_001

    def do_interrupt(self):
        # Between saying "busy" and the cell's first line ipykernel ignores interrupts, so the cell says that it runs.
        cell = self._kernel.send("import time\nprint('asleep', flush=True)\ntime.sleep(300)")
        deadline = time.monotonic() + PATIENCE_S
        while self._kernel._receive(deadline)["msg_type"] != "stream":
            pass
        self._kernel.interrupt()
        assert "KeyboardInterrupt" in str(self._kernel.collect(cell, PATIENCE_S).error)

    def do_reconnect(self):
        self._kernel.close()
        self._kernel.wait_idle(PATIENCE_S)

    def do_restart(self):
        self._kernel.restart()
        self._kernel.wait_idle(PATIENCE_S)

    def do_delete(self):
        self._kernel.delete()
        self._kernel = None
        self._places.release()

    def _give_up(self):
        """End whatever there is."""
        if self._kernel is None:
            return
        kernel, self._kernel = self._kernel, None
        try:
            if kernel.kernel_id:
                kernel.delete()
        except (OSError, RuntimeError, websocket.WebSocketException) as error:
            self.troubles.append(f"{self.name} end: {error}")
        self._places.release()
