"""Events, bytes and billable actions of a refresh cycle, by the server's own counters.

Read only while everything rests, before the first refresh and after the last, so that events and
cycles are those of the same time: nothing is half done at either end. At a pace the machine bears
easily: an overdue refresh arms no timer, and would look cheaper than it is.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from benchmarks.abreast import abreast, until
from benchmarks.figures import Effort, Figure
from benchmarks.ground import SHORT, Ground

PER_S = 15
"""Cycles of all connections together: well below what one worker makes."""
DAY_S = 86_400
SOON_S = 3
AIM = "12 events, 1,500 bytes, 2 actions"
FEW = 10


@dataclass(frozen=True)
class Spent:
    """What has been spent so far."""

    cycles: float
    events: float
    bytes: float
    actions: float

    def since(self, before: "Spent") -> "Spent":
        """What was spent meanwhile."""
        return Spent(*(now - then for now, then in zip(self.each(), before.each(), strict=True)))

    def each(self) -> tuple[float, float, float, float]:
        """As numbers."""
        return self.cycles, self.events, self.bytes, self.actions

    def per_cycle(self) -> dict[str, float]:
        """What one cycle takes of it."""
        cycles, events, size, actions = self.each()
        return {
            "events": events / cycles,
            "bytes": size / cycles,
            "actions": actions / cycles,
            "cycles": cycles,
        }


async def cycle_costs(ground: Ground, effort: Effort) -> list[Figure]:
    """A cycle of connections that rest in between; as rarely as many connections are refreshed."""
    count = effort.connections
    client = ground.on_queue("bench-costs")
    async with ground.working("bench-costs"):
        ids = await ground.connect(client, SHORT, count, first_refresh_s=5 + 0.1 * count)
        before = await _spent_before(ground, ids)
        each = max(1, round(effort.seconds * PER_S / count))
        await ground.sandbox.behave(SHORT, access_ttl_s=max(SOON_S, 16 / 7 * count / PER_S))
        await _refreshed(ground, count * (each - 1))
        await _at_rest(ground)
        spent = (await _spent(ground, ids)).since(before)
        await ground.end(ids)
    return [Figure("cost of a refresh cycle", count, None, AIM, spent.per_cycle())]


async def renewal_costs(ground: Ground, effort: Effort) -> list[Figure]:
    """The same from one continuing as new to the next, which the cycles of a run share.

    Of a few connections, which are refreshed all the time: how many others there are changes
    nothing about it.
    """
    count = min(FEW, effort.connections)
    client = ground.on_queue("bench-renewal")
    async with ground.working("bench-renewal"):
        ids = await ground.connect(client, SHORT, count, first_refresh_s=10)
        before = await _spent_before(ground, ids)
        await ground.sandbox.behave(SHORT, access_ttl_s=SOON_S)
        await until(lambda: _have_continued(ground, ids), within_s=300)
        await _at_rest(ground)
        spent = (await _spent(ground, ids)).since(before)
        await ground.end(ids)
    name = "the same with continuing as new"
    return [Figure(name, count, None, AIM, spent.per_cycle())]


async def _spent_before(ground: Ground, ids: Sequence[UUID]) -> Spent:
    await _nothing_is_counted(ground)
    spent = await _spent(ground, ids)
    assert spent.cycles == 0, (
        "the first refresh came before all were connected: the machine is busy"
    )
    return spent


async def _spent(ground: Ground, ids: Sequence[UUID]) -> Spent:
    histories = await abreast(ground.history, ids)
    return Spent(
        cycles=await ground.generations() - len(ids),
        events=sum(events for events, _, _ in histories),
        bytes=sum(size for _, size, _ in histories),
        actions=await ground.actions(),
    )


async def _refreshed(ground: Ground, cycles: int) -> None:
    """Let so many cycles be made, and then none for a day."""
    begun = await ground.generations()

    async def enough() -> bool:
        return await ground.generations() >= begun + cycles

    await until(enough, within_s=600, every_s=0.5)


async def _at_rest(ground: Ground) -> None:
    """Each connection has got a token for a day, and its workflow has heard of it."""
    await ground.sandbox.behave(SHORT, access_ttl_s=DAY_S)

    async def no_more() -> bool:
        query = "SELECT count(*) FROM credentials WHERE refresh_at < now() + interval '1 h'"
        return await ground.value(query) == 0

    await until(no_more, within_s=600, every_s=0.5)
    await _nothing_is_counted(ground)


async def _nothing_is_counted(ground: Ground) -> None:
    counted = -1.0
    while counted != (counted := await ground.actions()):
        await asyncio.sleep(1)


async def _have_continued(ground: Ground, ids: Sequence[UUID]) -> bool:
    await asyncio.sleep(1)
    return all(runs > 1 for _, _, runs in await abreast(ground.history, ids))
