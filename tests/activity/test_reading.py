"""Reading data: whoever has been overtaken, or goes on after the end, writes not one row more."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import yaml

from activities.payloads import SyncData
from activities.sync_data import Syncing
from domain.status import ConnectionStatus, StatusReason
from domain.syncs import SyncOutcome
from providers.catalogue import Catalogue
from providers.readers.sandbox import PAGE
from storage import connections, syncs
from storage.database import run
from tests.world import World, data_of, until, write_entry

TABLES = ("accounts", "balances", "holdings", "transactions", "cursors")


@pytest.fixture
async def reader(world: World, tmp_path: Path) -> Syncing:
    """The activity, which knows how to read what the world's workers do not."""
    folder = write_entry(
        tmp_path, world.sandbox.base_url, world.client_id, **data_of(world.servers)
    )
    return Syncing(replace(world.resources, catalogue=Catalogue.read(folder)))


async def connected(world: World) -> UUID:
    async with world.working():
        return (await world.imported()).connection_id


async def rows(world: World) -> dict[str, int]:
    """How many there are of each kind."""
    async with world.database.transaction() as session:
        return {
            table: (await run(session, f"SELECT count(*) FROM {table}", {})).scalar_one()
            for table in TABLES
        }


async def be_overtaken(world: World, connection_id: UUID) -> None:
    async with world.database.transaction() as session:
        assert await syncs.begin(session, connection_id, datetime.now(UTC)) is not None


async def revoke(world: World, connection_id: UUID) -> None:
    async with world.database.transaction() as session:
        row = await connections.locked(session, connection_id)
        status, reason = ConnectionStatus.REVOKED, StatusReason.USER_REVOKED
        now = datetime.now(UTC)
        await connections.transition(session, row, status, reason, at=now, cause=str(uuid4()))


async def disconnect(world: World, connection_id: UUID) -> None:
    async with world.database.transaction() as session:
        row = await connections.locked(session, connection_id)
        await connections.end(session, row, at=datetime.now(UTC), cause=str(uuid4()))


INTERRUPTIONS: list[Callable[[World, UUID], Awaitable[None]]] = [be_overtaken, revoke, disconnect]
PAGES = ["accounts", "holdings", "transactions"]

NOT_YET = {"accounts": (True, True), "holdings": (False, True), "transactions": (False, False)}
"""Whether no accounts and no holdings have been written before it."""


async def calls_before(world: World, page: str) -> int:
    """How many calls come before this page: of the last account, the only one with holdings."""
    if page == "accounts":
        return 0
    *others, last = await world.sandbox.finances("alice")
    assert last.holdings
    # Of each account its holdings, then its transactions.
    before = 1 + sum(1 + max(1, math.ceil(each.transactions / PAGE)) for each in others)
    return before if page == "holdings" else before + 1


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("interrupt", INTERRUPTIONS, ids=lambda made: made.__name__)
async def test_not_one_row_is_written_of_a_page_that_came_too_late(
    world: World,
    reader: Syncing,
    interrupt: Callable[[World, UUID], Awaitable[None]],
    page: str,
) -> None:
    connection_id = await connected(world)
    if (before_it := await calls_before(world, page)) > 0:
        await world.plant("api", "delay", seconds=0, times=before_it)
    held = await world.plant("api", "hang", times=1)
    reading = asyncio.ensure_future(
        world.perform(reader.sync_data, SyncData(connection_id=connection_id))
    )

    async def is_held() -> bool:
        return any(entry.fault == "hang" for entry in await world.log("api"))

    await until(is_held)
    before = await rows(world)
    await interrupt(world, connection_id)
    await world.sandbox.clear(held)
    result = await reading
    assert result.outcome is SyncOutcome.STOPPED
    assert await rows(world) == before
    assert (before["accounts"] == 0, before["holdings"] == 0) == NOT_YET[page]
    types = await world.event_types(connection_id)
    assert not {"DataSynced", "DataSyncFailed"} & set(types)


async def test_a_reading_that_nobody_interrupts_writes_everything(
    world: World, reader: Syncing
) -> None:
    connection_id = await connected(world)
    result = await world.perform(reader.sync_data, SyncData(connection_id=connection_id))
    assert result.outcome is SyncOutcome.SYNCED
    truth = await world.sandbox.finances("alice")
    found = await rows(world)
    assert found["accounts"] == found["cursors"] == len(truth)
    assert found["transactions"] == sum(each.transactions for each in truth)
    assert found["holdings"] == sum(each.holdings for each in truth)


async def test_of_a_connection_that_has_ended_nothing_is_asked(
    world: World, reader: Syncing
) -> None:
    connection_id = await connected(world)
    await disconnect(world, connection_id)
    result = await world.perform(reader.sync_data, SyncData(connection_id=connection_id))
    assert result.outcome is SyncOutcome.STOPPED
    assert await world.log("api") == []


async def test_bug_a_token_was_shown_in_another_manner_once_its_providers_entry_had_changed(
    world: World, reader: Syncing
) -> None:
    connection_id = await connected(world)
    folder = world.folder / "changed"
    folder.mkdir()
    changed = {
        "slug": world.slug,
        "name": "Changed",
        "type": "link_token",
        "verify_url": f"{world.sandbox.base_url}/api/me",
        **data_of(world.servers),
    }
    (folder / f"{world.slug}.yaml").write_text(yaml.safe_dump(changed))
    other = Syncing(replace(world.resources, catalogue=Catalogue.read(folder)))
    result = await world.perform(other.sync_data, SyncData(connection_id=connection_id))
    assert result.outcome is SyncOutcome.UNREADABLE
    assert await world.log("api") == []
    result = await world.perform(reader.sync_data, SyncData(connection_id=connection_id))
    assert result.outcome is SyncOutcome.SYNCED
