"""Leases per second, against a bare SELECT of one row by its key with the bare driver."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from benchmarks.figures import Effort, Figure, mean
from benchmarks.ground import LONG, Ground

AT_ONCE = 10
ROUNDS = 5


async def leases(ground: Ground, effort: Effort) -> list[Figure]:
    """Ten callers of one process, by turns: no worker is running, a lease needs none."""
    client = ground.on_queue("bench-leases")
    async with ground.working("bench-leases"):
        ids = await ground.connect(client, LONG, effort.connections)
    dice = random.Random(7)
    pool = [await ground.raw_connection() for _ in range(AT_ONCE)]

    async def lease() -> None:
        await client.lease(dice.choice(ids))

    async def select() -> None:
        raw = pool.pop()
        await raw.fetchrow("SELECT * FROM credentials WHERE connection_id = $1", dice.choice(ids))
        pool.append(raw)

    slice_s = effort.seconds / ROUNDS / 2
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(await _per_second(select, slice_s))
        ours.append(await _per_second(lease, slice_s))
    for raw_connection in pool:
        await raw_connection.close()
    await ground.end(ids)
    raw = {"leases/s": mean(ours), "selects/s": mean(theirs)}
    ratio = mean(ours) / mean(theirs)
    return [Figure("leases per second", effort.connections, ratio, "-", raw)]


async def _per_second(work: Callable[[], Awaitable[None]], seconds: float) -> float:
    over = time.monotonic() + seconds

    async def one() -> int:
        count = 0
        while time.monotonic() < over:
            await work()
            count += 1
        return count

    return sum(await asyncio.gather(*(one() for _ in range(AT_ONCE)))) / seconds
