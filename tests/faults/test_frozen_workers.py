"""A worker process is frozen in the worst places and thawed too late: it does no harm any more.

Frozen for real, by SIGSTOP: its clock, its leases and its heartbeats stand still with it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from sqlmodel import col, select

from activities.payloads import RefreshCredentials, Refreshed
from activities.refresh import Refresh
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage import claims
from storage.connections import credentials_of
from storage.tables import JournalRow
from tests.cli.terminal import Running, Terminal
from tests.world import World, until
from workflows.messages import Fresh, Revoke


@asynccontextmanager
async def worker(terminal: Terminal, **changes: str) -> AsyncIterator[Running]:
    async with terminal.running("worker", **changes) as running:
        await running.says("worker ready")
        yield running


def is_frozen(worker: Running) -> bool:
    """As the kernel says."""
    stat = Path(f"/proc/{worker.process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


async def journal(world: World, view: ConnectionView) -> list[JournalRow]:
    query = select(JournalRow).where(JournalRow.connection_id == view.connection_id)
    async with world.database.transaction() as session:
        return list((await session.exec(query.order_by(col(JournalRow.claim)))).all())


async def refreshed_by_another(world: World, view: ConnectionView) -> Refreshed:
    """What the server's next attempt does, in this process: it waits for the lease to lapse."""
    request = RefreshCredentials(connection_id=view.connection_id, generation=1)
    return await world.perform(Refresh(world.resources).refresh_credentials, request)


async def test_frozen_between_claim_and_send_and_thawed_after_its_lease_it_sends_nothing(
    world: World, terminal: Terminal
) -> None:
    await world.behave(rotation="strict")
    async with worker(replace(terminal, module="tests.faults.freezing_worker")) as first:
        view = await world.imported()
        asked = asyncio.create_task(world.messaging.refresh_now(view.connection_id, 1))
        await until(lambda: as_fact(is_frozen(first)))
        (own,) = [row for row in await journal(world, view) if row.kind == "refresh"]
        after = await refreshed_by_another(world, view)
        assert after.standing is not None
        assert after.standing.generation == 2
        first.process.send_signal(SIGCONT)

        async def has_given_up() -> bool:
            rows = {row.claim: row for row in await journal(world, view)}
            return rows[own.claim].outcome is not None

        await until(has_given_up)
        await asyncio.gather(asked, return_exceptions=True)
    mine, theirs = [row for row in await journal(world, view) if row.kind == "refresh"]
    assert (mine.outcome, mine.may_have_acted) == ("transient", False)
    assert theirs.outcome == "stored"
    # The provider has no grace: it saw one request, and would have taken a second one for theft.
    assert [call.presented for call in await world.refreshes()] == ["current"]
    now = await world.connections.view(view.connection_id)
    assert (now.status, now.generation, now.trouble) == (ConnectionStatus.ACTIVE, 2, None)


@asynccontextmanager
async def frozen_in_the_call(
    world: World, view: ConnectionView, worker: Running
) -> AsyncIterator[asyncio.Future[Fresh]]:
    """It has sent, the provider has rotated, and the answer lies unread at its door."""
    held = await world.plant(
        "token", "delay", seconds=600, when="after_acting", grant_type="refresh_token"
    )
    asked = asyncio.ensure_future(world.messaging.refresh_now(view.connection_id, 1))
    await world.lost_answer()
    worker.process.send_signal(SIGSTOP)
    await until(lambda: as_fact(is_frozen(worker)))
    await world.sandbox.clear(held)
    yield asked
    worker.process.send_signal(SIGCONT)


async def test_frozen_in_the_call_and_thawed_after_its_successor_it_changes_nothing(
    world: World, terminal: Terminal
) -> None:
    await world.behave(rotation="grace", grace_s=60)
    async with worker(terminal) as first:
        view = await world.imported()
        async with frozen_in_the_call(world, view, first) as asked:
            assert (await refreshed_by_another(world, view)).standing is not None
            sealed = await stored(world, view)

        async def is_kept() -> bool:
            async with world.database.transaction() as session:
                return len(await claims.orphans(session, view.connection_id)) == 1

        await until(is_kept)
        await asyncio.gather(asked, return_exceptions=True)
        assert await stored(world, view) == sealed
        assert (await world.connections.view(view.connection_id)).generation == 2
        # Tokens of the provider all the same: they are revoked with the others.
        await world.connections.disconnect(view.connection_id)
        receipt = await world.connections.receipt(view.connection_id)
        assert "orphaned refresh_token" in {token.token for token in receipt.tokens}
    assert (await world.grant()).revoked_by == "client"


async def test_frozen_in_the_call_and_thawed_after_a_revoke_it_brings_nothing_back(
    world: World, terminal: Terminal
) -> None:
    await world.behave(rotation="grace", grace_s=60)
    async with worker(terminal) as first:
        view = await world.imported()
        async with frozen_in_the_call(world, view, first) as asked, world.working():
            # Without waiting for it: the server still hands tasks to the frozen one.
            await world.messaging.tell(view.connection_id, "revoke", Revoke())

            async def is_shredded() -> bool:
                return (await world.connections.view(view.connection_id)).receipt is not None

            await until(is_shredded)

        async def has_ended() -> bool:
            refreshes = [row for row in await journal(world, view) if row.kind == "refresh"]
            return all(row.outcome is not None for row in refreshes)

        await until(has_ended)
        await asyncio.gather(asked, return_exceptions=True)
    over = await world.connections.view(view.connection_id)
    assert (over.status, over.reason) == (ConnectionStatus.REVOKED, "user_revoked")
    assert await stored(world, view) == (1, None)
    assert (await world.grant()).revoked_by == "client"
    assert len(await world.refreshes()) == 1


async def stored(world: World, view: ConnectionView) -> tuple[int, bytes | None]:
    async with world.database.transaction() as session:
        row = await credentials_of(session, view.connection_id)
    return row.generation, row.sealed


async def as_fact(value: bool) -> bool:
    return value
