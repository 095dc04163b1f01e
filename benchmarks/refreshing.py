"""Refresh cycles per second against a timer and a no-op activity per cycle."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from benchmarks import bare
from benchmarks.abreast import until
from benchmarks.counting import pace
from benchmarks.figures import Effort, Figure, mean
from benchmarks.ground import SHORT, Ground

TTL_S = 1
"""Refreshed after three eighths to half of that: the shortest life that is kept fresh at all."""
DUE_AFTER_S = TTL_S * 7 / 16


async def refresh_cycles(ground: Ground, effort: Effort) -> list[Figure]:
    """Both as fast as they go: bare before, ours, bare after.

    All connections want a refresh more often than the machine can make it, and arm a timer each
    time; ``due/s`` says how often. Where ours comes near that, the machine is too fast for so few
    connections, and the ratio says too little. Processor time is added up over all parts: whoever
    else uses the machine changes it least.
    """
    half = Effort(effort.connections, effort.seconds / 2)
    parts = ground.development.stack.children
    bares = []
    for turn in range(2):
        async with bare.cycling(ground.bare, f"bench-bare-{turn}", effort.connections):
            bares.append(await pace(bare.made, parts, half))
        if turn == 0:
            async with _refreshing(ground, effort.connections):
                ours = await pace(ground.generations, parts, effort)
    theirs = mean([found.per_s for found in bares])
    raw = {
        "cycles/s": ours.per_s,
        "bare cycles/s": theirs,
        "due/s": effort.connections / DUE_AFTER_S,
    }
    name = "refresh cycles per second"
    time = "processor time of a cycle"
    bare_ms = mean([found.each_ms for found in bares])
    where = {**ours.where(""), **bares[0].where("bare ")}
    return [
        Figure(name, effort.connections, ours.per_s / theirs, "0.9", raw),
        Figure(time, effort.connections, ours.each_ms / bare_ms, "-", where),
    ]


@asynccontextmanager
async def _refreshing(ground: Ground, count: int) -> AsyncIterator[None]:
    client = ground.on_queue("bench-cycles")
    async with ground.working("bench-cycles"):
        await ground.sandbox.behave(SHORT, access_ttl_s=TTL_S)
        # None before almost all are there: refreshing at full speed leaves no time to connect.
        ids = await ground.connect(client, SHORT, count, first_refresh_s=1 + 0.05 * count)
        await until(partial(_all_have_begun, ground, count), within_s=600, every_s=0.5)
        yield
        await ground.end(ids)


async def _all_have_begun(ground: Ground, count: int) -> bool:
    return await ground.value("SELECT count(*) FROM credentials WHERE generation > 1") >= count
