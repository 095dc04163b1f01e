"""Holding a claim: a process that was frozen must find out before it does harm."""

import asyncio

import pytest

from activities.exchanges import Exchange
from activities.holding import Holding, boottime, to_the_end
from domain.outcomes import Outcome
from storage.claims import Claim, Purpose, take
from tests.world import World


async def test_a_process_that_was_frozen_between_claim_and_send_sends_nothing(
    world: World,
) -> None:
    async with world.working():
        view = await world.imported()
    claim = await take(world.database, view.connection_id, Purpose.REFRESH, 1)
    assert isinstance(claim, Claim)
    thawed = Holding(claim, taken_at=boottime() - 11)  # its lease of ten seconds has lapsed
    exchange = Exchange.prepare(world.resources, thawed)
    answer = await exchange.present(exchange.secret["refresh_token"])
    assert (answer.outcome, answer.may_have_acted) == (Outcome.TRANSIENT, False)
    assert await world.refreshes() == []


async def test_a_holder_that_keeps_renewing_stays_sure(world: World) -> None:
    async with world.working():
        view = await world.imported()
    claim = await take(world.database, view.connection_id, Purpose.REFRESH, 1)
    assert isinstance(claim, Claim)
    holding = Holding(claim, taken_at=boottime() - 8)
    renewing = asyncio.create_task(holding.keep(world.database))
    async with asyncio.timeout(5):
        while not holding.sure or boottime() - holding.renewed_at > 1:
            await asyncio.sleep(0.05)
    renewing.cancel()


async def test_work_that_is_cancelled_is_finished_and_its_result_answered() -> None:
    go_on = asyncio.Event()

    async def work() -> str:
        await go_on.wait()
        return "the only copy of a token"

    outer = asyncio.create_task(to_the_end(work()))
    await asyncio.sleep(0)
    for _ in range(3):
        outer.cancel()
        await asyncio.sleep(0)
    go_on.set()
    assert await outer == "the only copy of a token"


async def test_work_that_fails_fails() -> None:
    async def work() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await to_the_end(work())
