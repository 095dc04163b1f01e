"""Refresh cycles per second against a timer and a no-op activity per cycle."""

import asyncio

from benchmarks import bare, processor
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
    theirs = [await _bare(ground, effort, 1)]
    ours, where = await _ours(ground, effort)
    theirs.append(await _bare(ground, effort, 2))
    raw = {
        "cycles/s": ours,
        "bare cycles/s": mean(theirs),
        "due/s": effort.connections / DUE_AFTER_S,
        **where,
    }
    ratio = ours / mean(theirs)
    return [Figure("refresh cycles per second", effort.connections, ratio, "0.9", raw)]


async def _bare(ground: Ground, effort: Effort, turn: int) -> float:
    return await bare.cycles_per_second(
        ground.bare, f"bench-bare-{turn}", effort.connections, effort.seconds / 2
    )


async def _ours(ground: Ground, effort: Effort) -> tuple[float, dict[str, float]]:
    """Cycles per second, and where the processor was while they were made."""
    client = ground.on_queue("bench-cycles")
    parts = ground.development.stack.children
    async with ground.working("bench-cycles"):
        await ground.sandbox.behave(SHORT, access_ttl_s=TTL_S)
        ids = await ground.connect(client, SHORT, effort.connections, first_refresh_s=TTL_S)
        await asyncio.sleep(effort.warm_up)
        before, busy = await ground.generations(), processor.spent(parts)
        await asyncio.sleep(effort.seconds)
        cycles = await ground.generations() - before
        where = processor.per_cycle(busy, processor.spent(parts), cycles)
        await ground.end(ids)
    return cycles / effort.seconds, where
