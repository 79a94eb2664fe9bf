"""A gateway's parts on a real database, with stand-ins for Enterprise Gateway and the edge that a test can hold up."""

import asyncio
from datetime import datetime, timezone

from hub_ext.clock import utc_now
from hub_ext.cluster import Application, Applications, ClusterState
from hub_ext.errors import PublicError
from hub_ext.limits.admission import Admission
from hub_ext.limits.people import People
from hub_ext.limits.store import Configured, LimitStore
from hub_gateway.catalogue import Person
from hub_gateway.failures import unreachable
from hub_gateway.lapses import Lapses
from hub_gateway.leases import Leases
from hub_gateway.lifecycle import Books, Lifecycle, Settings
from hub_gateway.limits_view import LimitsView
from hub_gateway.registry import Registry
from hub_gateway.repairs import Reconciler
from hub_gateway.warm_rows import WarmRows

ALICE = Person("alice", frozenset(), False, None)
KERNELSPEC = "spark"
BLOCK = {"type": "python", "size": {"driver_memory_mb": 640}, "visibility": "everyone"}


def now():
    return datetime.now(timezone.utc)


class Upstream:
    """Goes on with a launch when its client has gone, and does not know a kernel before it runs."""

    def __init__(self):
        self.kernelspec = {"display_name": "Spark", "metadata": {"remote_kernel": BLOCK}}
        self.running, self.launching, self.deleted = {}, {}, []
        self.most = 0
        self.away = False

    async def kernelspecs(self):
        return {"default": KERNELSPEC, "kernelspecs": {KERNELSPEC: {"name": KERNELSPEC, "spec": self.kernelspec}}}

    async def _launch(self, kernel_id):
        done = self.launching[kernel_id] = asyncio.Future()
        self.most = max(self.most, len(self.launching))

        async def launch():
            try:
                await done
            finally:
                del self.launching[kernel_id]
            self.running[kernel_id] = {"id": kernel_id, "name": KERNELSPEC, "execution_state": "starting"}
            return self.running[kernel_id]

        return await asyncio.shield(asyncio.ensure_future(launch()))

    async def start(self, body, timeout):
        return await self._launch(body["env"]["KERNEL_ID"])

    async def restart(self, kernel_id, timeout):
        return await self._launch(kernel_id)

    def finish(self, error=None):
        """Let every launch succeed, or fail."""
        for done in list(self.launching.values()):
            done.set_exception(error) if error is not None else done.set_result(None)

    def _answer(self):
        if self.away:
            raise unreachable()

    async def kernels(self):
        self._answer()
        return list(self.running.values())

    async def kernel(self, kernel_id):
        self._answer()
        if kernel_id not in self.running:
            raise PublicError("no-such-kernel", "x")
        return self.running[kernel_id]

    async def delete(self, kernel_id):
        self._answer()
        self.deleted.append(kernel_id)
        if self.running.pop(kernel_id, None) is None:
            raise PublicError("no-such-kernel", "x")


class Edge:
    """YARN as the edge tells of it: `applications` by kernel id."""

    def __init__(self):
        self.found = {}
        self.away = False
        self.on_end = None

    def add(self, kernel_id, **fields):
        given = {
            "id": "application_1_1",
            "user": "alice",
            "state": "RUNNING",
            "tags": (kernel_id,),
            "started_at": now(),
        }
        self.found[kernel_id] = Application(**{**given, **fields})

    def _told(self, found):
        if self.away:
            raise PublicError("edge-unreachable", "x")
        return Applications(as_of=now(), stale=False, applications=tuple(found))

    async def applications(self, *, kernel_id="", **_):
        return self._told([one for key, one in self.found.items() if kernel_id in ("", key)])

    async def end_kernel(self, kernel_id, **_):
        told = self._told([self.found[kernel_id]] if kernel_id in self.found else [])
        if self.found.pop(kernel_id, None) is not None and self.on_end is not None:
            self.on_end()
        return told


class Cluster:
    async def state(self):
        return ClusterState(as_of=now(), stale=False, memory_total_mb=10**6, vcores_total=100)


class Notes:
    def started(self, name):
        pass

    def refused(self, name, definition, error):
        pass


class Gateway:
    """One gateway; several may share a database, an Enterprise Gateway and an edge."""

    def __init__(self, database, upstream, edge, lease=0.6, grace=0.0, clock=None):
        self.upstream, self.edge = upstream, edge
        self.store, self.people = LimitStore(database), People(database)
        self.registry = Registry(database)
        self.admission = Admission(database, self.store, lease=lease, now=clock or utc_now)
        self.leases = Leases(self.admission.renew, lease / 3)
        limits = LimitsView(self.store, self.people)
        warm = WarmRows(database, clock) if clock is not None else None
        self.books = Books(self.registry, self.admission, self.leases, self.people, Notes(), limits, warm)
        settings = Settings("", 300, frozenset(), 0.1, 384)
        self.lifecycle = Lifecycle(self.books, upstream, edge, Cluster(), settings)
        lapses = Lapses(3 * lease, lease / 3)
        self.reconciler = Reconciler(self.books, self.lifecycle, upstream, edge, lapses, grace=grace, user_domain="")
        self._renewing = None

    async def __aenter__(self):
        await self.store.configure(Configured(default={"kernels": 1}))
        self._renewing = asyncio.ensure_future(self.leases.run())
        return self

    async def __aexit__(self, *_):
        self._renewing.cancel()
        await self.lifecycle.close(0.1)

    def start(self):
        return asyncio.ensure_future(self.lifecycle.start(ALICE, KERNELSPEC, {}))

    async def row(self):
        """Return the one kernel that has not ended, or None."""
        found = await self.registry.alive("alice")
        assert len(found) <= 1
        return found[0] if found else None

    async def launched(self):
        """Start a kernel and return its task and its row once Enterprise Gateway launches it."""
        task = self.start()
        await until(lambda: self.upstream.launching or task.done())
        if task.done():
            task.result()
        return task, await self.row()


async def until(condition, seconds=20.0):
    """Wait until a condition, which may be a coroutine function, holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, "it did not come about"
        await asyncio.sleep(0.01)
