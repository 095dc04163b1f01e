"""The worker is killed in the worst places; what the provider logged decides what must follow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlmodel import select

from domain.errors import Conflict
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from providers.readers.sandbox import PAGE
from storage.claims import Claim, Purpose, take
from storage.finance_tables import TransactionRow
from tests.cli.terminal import Running, Terminal, terminal_of
from tests.world import Servers, World, data_of, new_world, until

RECOVERS_WITHIN = timedelta(seconds=60)


@asynccontextmanager
async def worker(terminal: Terminal) -> AsyncIterator[Running]:
    """A worker as a process of its own."""
    async with terminal.running("worker") as running:
        await running.says("worker ready")
        yield running


async def test_killed_between_rotation_and_commit_a_connection_recovers_where_there_is_grace(
    world: World, terminal: Terminal
) -> None:
    await world.behave(rotation="grace", grace_s=60)
    view = await killed_between_rotation_and_commit(world, terminal)
    assert (view.status, view.generation) == ("active", 2)
    lost, found = await world.refreshes()
    assert (lost.rotated, lost.answered) == (True, False)
    assert found.presented == "previous_in_grace"


async def test_killed_between_rotation_and_commit_the_loss_is_named_where_there_is_no_grace(
    world: World, terminal: Terminal
) -> None:
    await world.behave(rotation="strict")
    view = await killed_between_rotation_and_commit(world, terminal)
    assert (view.status, view.reason) == ("expired", "lost_rotation")


async def killed_between_rotation_and_commit(world: World, terminal: Terminal) -> ConnectionView:
    held = await world.plant(
        "token", "delay", seconds=120, when="after_acting", grant_type="refresh_token"
    )
    async with worker(terminal) as first:
        before = await world.imported()
        asked = asyncio.ensure_future(world.connections.refresh(before.connection_id))
        await until(lambda: is_held(world))
        first.process.kill()
    await world.sandbox.clear(held)
    async with worker(terminal):

        async def settled() -> ConnectionView | None:
            view = await world.connections.view(before.connection_id)
            over = view.status is not ConnectionStatus.ACTIVE
            return view if over or view.generation > 1 else None

        view = await until(settled, RECOVERS_WITHIN)
        await asyncio.gather(asked, return_exceptions=True)
        return view


async def test_killed_in_the_exchange_of_a_code_the_attempt_fails_and_the_code_is_not_replayed(
    world: World, terminal: Terminal
) -> None:
    async with worker(terminal) as first:
        begun = await world.connections.connect(world.slug, world.user_id)
        received = await world.connections.receive_redirect(await world.consent(begun))
        held = await world.plant("token", "delay", seconds=120, when="after_acting")
        asked = asyncio.ensure_future(world.connections.authorize(received))
        await until(lambda: is_held(world))
        first.process.kill()
    await world.sandbox.clear(held)
    async with worker(terminal):
        with pytest.raises(Conflict, match="interrupted"):
            await asked
        assert len(await world.log()) == 1
        view = await world.connections.view(begun.connection_id)
        assert view.status is ConnectionStatus.PENDING
        # And the user tries again, in the same connection.
        again = await world.connections.begin_authorization(begun.connection_id)
        url = await world.connections.provider_url(again.attempt_id)
        back = await world.connections.receive_redirect(await world.sandbox.authorize(url))
        assert (await world.connections.authorize(back)).status is ConnectionStatus.ACTIVE


async def test_a_worker_that_is_told_to_stop_stores_the_answer_it_waits_for(
    world: World, terminal: Terminal
) -> None:
    await world.behave(rotation="strict")
    held = await world.plant(
        "token", "delay", seconds=120, when="after_acting", grant_type="refresh_token"
    )
    async with worker(terminal) as first:
        before = await world.imported()
        asked = asyncio.ensure_future(world.connections.refresh(before.connection_id))
        await until(lambda: is_held(world))
        first.process.terminate()
        await first.says("finished first")
        await world.sandbox.clear(held)
        assert (await first.ended()).code == 0
    assert (await world.connections.view(before.connection_id)).generation == 2
    assert len(await world.refreshes()) == 1
    async with worker(terminal):
        await asyncio.gather(asked, return_exceptions=True)


async def test_a_worker_that_is_told_to_stop_in_the_exchange_of_a_code_stores_what_it_brings(
    world: World, terminal: Terminal
) -> None:
    held = await world.plant("token", "delay", seconds=120, when="after_acting")
    async with worker(terminal) as first:
        begun = await world.connections.connect(world.slug, world.user_id)
        received = await world.connections.receive_redirect(await world.consent(begun))
        asked = asyncio.ensure_future(world.connections.authorize(received))
        await until(lambda: is_held(world))
        first.process.terminate()
        await first.says("finished first")
        await world.sandbox.clear(held)
        assert (await first.ended()).code == 0
    # By that attempt itself: nobody has worked since, and a code cannot be exchanged again.
    assert (await world.connections.view(begun.connection_id)).generation == 1
    async with worker(terminal):
        assert (await asked).status is ConnectionStatus.ACTIVE
    assert len(await world.log()) == 1


async def test_the_claim_of_a_killed_worker_lapses_within_ten_seconds(world: World) -> None:
    async with world.working():
        view = await world.imported()
    first = await take(world.database, view.connection_id, Purpose.REFRESH, 1)
    assert isinstance(first, Claim)
    lapses_at = await world.leased_until(view.connection_id)
    assert lapses_at <= first.claimed_at + timedelta(seconds=10)

    async def taken() -> Claim | None:
        claim = await take(world.database, view.connection_id, Purpose.REFRESH, 1)
        return claim if isinstance(claim, Claim) else None

    second = await until(taken)
    assert second.number == first.number + 1
    assert second.claimed_at >= lapses_at


async def test_killed_in_the_middle_of_a_sync_the_next_worker_goes_on_where_it_was(
    servers: Servers, tmp_path: Path
) -> None:
    async with new_world(servers, tmp_path, entry=data_of(servers)) as world:
        terminal = terminal_of(world, 8400)
        await world.sandbox.grow("bob", 1_000)
        # Accounts, holdings and two pages of the first account come through; then nothing more.
        await world.plant("api", "delay", seconds=0, times=4)
        held = await world.plant("api", "hang", times=None)
        async with worker(terminal) as first:
            view = await world.imported(user="bob")

            async def in_the_middle() -> bool:
                return await transactions(world) == 2 * PAGE and await is_reading(world)

            await until(in_the_middle)
            first.process.kill()
        kept = await transactions(world)
        await world.sandbox.clear(held)
        assert (await world.connections.view(view.connection_id)).sync is None
        async with worker(terminal):

            async def read() -> bool:
                sync = (await world.connections.view(view.connection_id)).sync
                return sync is not None and sync.completed == 1

            await until(read, RECOVERS_WITHIN)
        total = sum(each.transactions for each in await world.sandbox.finances("bob"))
        assert await transactions(world) == total
        (synced,) = [
            row
            for row in await world.connections.events(view.connection_id)
            if row.type == "DataSynced"
        ]
        # What the first had stored was not read again.
        assert synced.data["transactions"] == total - kept


async def transactions(world: World) -> int:
    async with world.database.transaction() as session:
        return (await session.exec(select(func.count()).select_from(TransactionRow))).one()


async def is_reading(world: World) -> bool:
    return any(entry.finished_at is None for entry in await world.log("api"))


async def is_held(world: World) -> bool:
    return any(entry.acted and not entry.answered for entry in await world.log())
