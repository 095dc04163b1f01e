"""Holding a claim: a process that was frozen must find out before it does harm."""

import asyncio

import pytest

from activities.exchanges import Exchange
from activities.holding import Holding, boottime, kept, to_the_end
from domain.outcomes import Outcome
from storage.claims import LEASE, Claim, Purpose, take
from tests.world import World, until


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


async def holding_of(world: World) -> Holding:
    """The claim of a connection of its own, just taken."""
    async with world.working():
        view = await world.imported()
    asked_at = boottime()
    claim = await take(world.database, view.connection_id, Purpose.REFRESH, 1)
    assert isinstance(claim, Claim)
    return Holding(claim, asked_at)


async def test_a_holder_that_keeps_renewing_is_sure_all_the_time(world: World) -> None:
    holding = await holding_of(world)
    taken_at, was_sure = holding.renewed_at, []
    async with kept(holding, world.database):

        async def renewed() -> bool:
            was_sure.append(holding.sure)
            return holding.renewed_at > taken_at

        await until(renewed)
    assert all(was_sure)
    lease = await world.leased_until(holding.claim.connection_id)
    assert lease > holding.claim.claimed_at + LEASE


async def test_a_holder_whose_claim_was_taken_is_not_sure_any_more(world: World) -> None:
    holding = await holding_of(world)
    await world.damage("UPDATE credentials SET lease_until = clock_timestamp()")
    successor = await take(world.database, holding.claim.connection_id, Purpose.REFRESH, 1)
    assert isinstance(successor, Claim)
    async with kept(holding, world.database):

        async def doubts() -> bool:
            return not holding.sure

        await until(doubts)
        assert boottime() - holding.renewed_at < LEASE.total_seconds()  # it was told, and early
    lease = await world.leased_until(holding.claim.connection_id)
    assert lease <= successor.claimed_at + LEASE  # and has taken nothing from the other


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
