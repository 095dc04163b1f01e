"""Connections by file: read here, sent to nobody, replaced by their user, and ended truthfully."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from domain.credentials import CredentialType
from domain.errors import Conflict
from domain.result import Failure
from domain.status import ConnectionStatus
from storage import finances
from tests.given import (
    FILES,
    STATEMENT,
    bring,
    brought,
    file_of,
    read_through,
    secrets_of,
    write_files,
)
from tests.world import Servers, World, new_world, until

KIND = CredentialType.FILE_IMPORT


@pytest.fixture
async def filed(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    write_files(tmp_path)
    async with new_world(servers, tmp_path) as world, world.working():
        yield world


async def amounts(world: World, connection_id: UUID) -> list[Decimal]:
    async with world.database.transaction() as session:
        found = await finances.transactions(session, connection_id)
    return sorted(row.amount for _, row in found)


async def balances(world: World, connection_id: UUID) -> dict[str, Decimal]:
    async with world.database.transaction() as session:
        found = await finances.accounts(session, connection_id)
    return {row.name: row.balance for row in found if row.gone_at is None}


async def test_a_file_makes_a_connection_and_is_read(filed: World) -> None:
    connection_id = await brought(filed, file_of(STATEMENT), KIND, FILES)
    view = await filed.connections.view(connection_id)
    assert (view.status, view.credential_type) == (ConnectionStatus.ACTIVE, KIND)
    assert (view.refresh_at, view.expires_at) == (None, None)
    await read_through(filed, connection_id)
    told = ["-7.25", "-7.25", "10", "1200.50"]
    assert await amounts(filed, connection_id) == [Decimal(amount) for amount in told]
    assert await balances(filed, connection_id) == {"••••9012": 1186, "Savings": 10}
    assert "until the user brings another" in (await filed.connections.explain(connection_id)).next


async def test_a_file_of_another_layout_makes_no_connection(filed: World) -> None:
    wrong = STATEMENT.replace("1200.50", "mlcanary-amount")
    result = await bring(filed, file_of(wrong), KIND, FILES)
    assert isinstance(result, Failure)
    assert "this file cannot be read: line 2, balance" in result.error
    assert "mlcanary" not in result.error
    other = await bring(filed, {**file_of(STATEMENT), "file_format": "ofx"}, KIND, FILES)
    assert other == Failure(error="Paper Bank takes csv files")


async def test_another_file_takes_its_place_and_is_read_at_once(filed: World) -> None:
    connection_id = await brought(filed, file_of(STATEMENT), KIND, FILES)
    await read_through(filed, connection_id)
    longer = f"{STATEMENT}Savings,2026-10-09,5,EUR,Interest,15\n"
    view = await filed.connections.supply(connection_id, secrets_of(file_of(longer)))
    assert (view.status, view.generation) == (ConnectionStatus.ACTIVE, 2)
    await read_through(filed, connection_id, times=2)
    assert len(await amounts(filed, connection_id)) == 5  # what both files tell is told once
    assert (await balances(filed, connection_id))["Savings"] == 15


async def test_a_shorter_file_is_read_from_its_beginning(filed: World) -> None:
    connection_id = await brought(filed, file_of(STATEMENT), KIND, FILES)
    await read_through(filed, connection_id)
    header = STATEMENT.partition("\n")[0]
    later = f"{header}\nDE02 1234 5678 9012,2026-11-01,-1,EUR,Tea,1185.00\n"
    await filed.connections.supply(connection_id, secrets_of(file_of(later)))
    await read_through(filed, connection_id, times=2)
    assert len(await amounts(filed, connection_id)) == 5
    assert await balances(filed, connection_id) == {"••••9012": 1185}


async def test_a_file_that_cannot_be_read_leaves_the_old_one_in_its_place(filed: World) -> None:
    connection_id = await brought(filed, file_of(STATEMENT), KIND, FILES)
    with pytest.raises(Conflict, match="this file cannot be read"):
        await filed.connections.supply(connection_id, secrets_of(file_of("mlcanary")))
    assert (await filed.connections.view(connection_id)).generation == 1


async def test_a_file_that_was_revoked_is_destroyed_and_another_brings_it_back(
    filed: World,
) -> None:
    connection_id = await brought(filed, file_of(STATEMENT), KIND, FILES)
    await read_through(filed, connection_id)
    await filed.connections.revoke(connection_id)
    view = await filed.becomes(connection_id, ConnectionStatus.REVOKED)
    assert "the user brings a file again" in (await filed.connections.explain(connection_id)).text

    async def shredded() -> bool:
        receipt = (await filed.connections.view(connection_id)).receipt
        return receipt is not None and receipt.shredded

    await until(shredded)
    view = await filed.connections.supply(connection_id, secrets_of(file_of(STATEMENT)))
    assert (view.status, view.generation) == (ConnectionStatus.ACTIVE, 2)
    await read_through(filed, connection_id, times=2)


async def test_a_file_is_not_handed_out_and_not_refreshed(filed: World) -> None:
    connection_id = await brought(filed, file_of(STATEMENT), KIND, FILES)
    with pytest.raises(Conflict, match="a file is not handed out"):
        await filed.connections.lease(connection_id)
    with pytest.raises(Conflict, match="a file cannot be refreshed"):
        await filed.connections.refresh(connection_id)


async def test_the_end_of_a_file_says_that_nothing_was_held_elsewhere(filed: World) -> None:
    connection_id = await brought(filed, file_of(STATEMENT), KIND, FILES)
    await filed.connections.disconnect(connection_id)
    receipt = await filed.connections.receipt(connection_id)
    assert (receipt.tokens, receipt.shredded) == ((), True)
    text = (await filed.connections.explain(connection_id)).text
    assert "At the provider: nothing was held. Here: all secrets are destroyed." in text
