"""From `kill -9` of a worker to the next stored token, against a bare activity that heartbeats.

Both are noticed alike, by a heartbeat that does not come. What is ours on top is the claim: its
lease must have lapsed before the same token may be shown again.
"""

import asyncio
import time

from temporalio.client import WorkflowHandle

from benchmarks import bare
from benchmarks.abreast import until
from benchmarks.figures import Effort, Figure, median
from benchmarks.ground import GRACE, Ground
from storage.claims import LEASE

AT_MOST = 20
"""So many are under way when the worker dies: few enough that they recover beside each other."""
QUEUE, BARE = "bench-recovery", "bench-bare-recovery"


async def recoveries(ground: Ground, effort: Effort) -> list[Figure]:
    """The provider has rotated and not answered; the worker dies; another one stands by."""
    count = min(effort.connections, AT_MOST)
    worker = await ground.development.start_worker(QUEUE, MOORLINE_TASK_QUEUE=QUEUE)
    bare_worker = await ground.bare_worker(BARE)
    client = ground.on_queue(QUEUE)
    ids = await ground.connect(client, GRACE, count)
    handles = await bare.start_holding(ground.bare, BARE, count)
    held = await ground.sandbox.plant(
        "token", "delay", seconds=60, times=None, when="after_acting", client_id=GRACE
    )
    asked = [asyncio.ensure_future(client.refresh(connection_id)) for connection_id in ids]
    await until(lambda: _are_held(ground, count), within_s=15)
    async with ground.working(QUEUE), bare.new_worker(ground.bare, BARE):
        worker.kill()
        bare_worker.kill()
        began = time.monotonic()
        await ground.sandbox.clear(held)
        ours, theirs = await asyncio.gather(
            _stored(ground, count, began), asyncio.gather(*(_done(each, began) for each in handles))
        )
        await asyncio.gather(*asked, return_exceptions=True)
        await ground.end(ids)
    await worker.stop()
    await bare_worker.stop()
    raw = {
        "s": median(ours),
        "slowest s": max(ours),
        "lease s": LEASE.total_seconds(),
        "bare s": median(theirs),
        "bare slowest s": max(theirs),
    }
    ratio = median(ours) / median(theirs)
    return [Figure("kill -9 of a worker to the next stored token", count, ratio, "-", raw)]


async def _are_held(ground: Ground, count: int) -> bool:
    calls = await ground.sandbox.log(endpoint="token")
    return sum(call.acted and not call.answered for call in calls) == count


async def _stored(ground: Ground, count: int, began: float) -> list[float]:
    """When each second generation was there."""
    looking = await ground.raw_connection()
    took: list[float] = []

    async def all_are() -> bool:
        found = await looking.fetchval("SELECT count(*) FROM credentials WHERE generation > 1")
        took.extend([time.monotonic() - began] * (found - len(took)))
        return len(took) == count

    await until(all_are, within_s=120)
    await looking.close()
    return took


async def _done(handle: WorkflowHandle[bare.Hold, None], began: float) -> float:
    await handle.result()
    return time.monotonic() - began
