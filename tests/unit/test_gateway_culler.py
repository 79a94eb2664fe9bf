"""Which kernels the culler stops in the end; when a stop is due is in test_gateway_culling.py."""

import asyncio
import uuid
from datetime import datetime, timedelta, timezone

import pytest

from hub_ext.database import Kernel
from hub_ext.limits.kernels import RESTARTING, RUNNING
from hub_ext.limits.store import Edit, Subject
from hub_gateway.culler import AT_ONCE, Culler
from tests.unit.gateway_support import Edge, Gateway, Upstream, until

NOW = datetime.now(timezone.utc)
LONG_AGO = NOW - timedelta(hours=2)


class HeldUp(Upstream):
    """Deletes only when it may."""

    def __init__(self):
        super().__init__()
        self.may_delete = asyncio.Event()
        self.deleting = set()

    async def delete(self, kernel_id):
        self.deleting.add(kernel_id)
        await self.may_delete.wait()
        await super().delete(kernel_id)

    def add(self, kernel_id, state="idle"):
        self.running[kernel_id] = {"id": kernel_id, "execution_state": state, "last_activity": LONG_AGO.isoformat()}


def kernel(kernel_id):
    return Kernel(
        id=kernel_id,
        owner="alice",
        cluster_user="alice",
        kernelspec="spark",
        state=RUNNING,
        started_at=LONG_AGO,
        end_reason="",
        stop_at=NOW - timedelta(seconds=1),
        stop_reason="idle",
    )


@pytest.mark.parametrize("meanwhile", ["nothing", "busy", "raised", "restarts", "ended"])
async def test_a_kernel_whose_turn_comes_late_is_stopped_only_if_that_is_still_right(database, meanwhile):
    upstream = HeldUp()
    ids = [str(uuid.uuid4()) for _ in range(AT_ONCE + 1)]
    async with Gateway(database, upstream, Edge()) as gateway:
        await gateway.store.apply([Edit(Subject("user", "alice"), {"idle_timeout": 600})], who="test")
        async with database.transaction() as session:
            session.add_all(kernel(one) for one in ids)
        for one in ids:
            upstream.add(one)
        culler = Culler(gateway.registry, gateway.lifecycle, gateway.books.limits, upstream, notice=300)
        culling = asyncio.ensure_future(culler.cull())
        await until(lambda: len(upstream.deleting) == AT_ONCE)
        (late,) = set(ids) - upstream.deleting
        if meanwhile == "busy":
            upstream.add(late, "busy")
        elif meanwhile == "raised":
            await gateway.store.apply([Edit(Subject("user", "alice"), {"idle_timeout": "unlimited"})], who="test")
        elif meanwhile == "restarts":
            await gateway.admission.restarting(late)
        elif meanwhile == "ended":
            await gateway.admission.release(late, "stopped by its owner")
        upstream.may_delete.set()
        await culling
        assert (late in upstream.deleted) == (meanwhile == "nothing")
        left = {one.id: one.state for one in await gateway.registry.alive()}
        assert left == {
            "nothing": {},
            "ended": {},
            "restarts": {late: RESTARTING},
        }.get(meanwhile, {late: RUNNING})
