"""Refresh cycles per second against a timer and a no-op activity per cycle."""

import asyncio

from benchmarks import bare
from benchmarks.figures import Effort, Figure, mean
from benchmarks.ground import SHORT, Ground

TTL_S = 1
"""Refreshed after three eighths to half of that: the shortest life that is kept fresh at all."""
DUE_AFTER_S = TTL_S * 7 / 16


async def refresh_cycles(ground: Ground, effort: Effort) -> list[Figure]:
    """Both as fast as they go: bare before, ours, bare after.

    All connections want a refresh more often than the machine can make it, and arm a timer each
    time; ``due/s`` says how often. Where ours comes near that, the machine is too fast for so few
    connections, and the ratio says too little.
    """
    before = await bare.cycles_per_second(
        ground.bare, "bench-bare-1", effort.connections, effort.seconds / 2
    )
    ours = await _ours(ground, effort)
    after = await bare.cycles_per_second(
        ground.bare, "bench-bare-2", effort.connections, effort.seconds / 2
    )
    theirs = mean([before, after])
    raw = {"cycles/s": ours, "bare cycles/s": theirs, "due/s": effort.connections / DUE_AFTER_S}
    return [Figure("refresh cycles per second", effort.connections, ours / theirs, "0.9", raw)]


async def _ours(ground: Ground, effort: Effort) -> float:
    client = ground.on_queue("bench-cycles")
    async with ground.working("bench-cycles"):
        await ground.sandbox.behave(SHORT, access_ttl_s=TTL_S)
        ids = await ground.connect(client, SHORT, effort.connections, first_refresh_s=TTL_S)
        await asyncio.sleep(effort.warm_up)
        before = await ground.generations()
        await asyncio.sleep(effort.seconds)
        ours = (await ground.generations() - before) / effort.seconds
        await ground.end(ids)
    return ours
