"""What a lease is made of: read in one statement, true at one instant, nothing after the end."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain.errors import NotFound
from domain.status import ConnectionStatus
from storage import leases
from storage.leases import Leasable
from tests.stored import AT, HOUR, Stored

S = ConnectionStatus


async def read(stored: Stored, connection_id: UUID) -> Leasable:
    async with stored.database.transaction() as session:
        return await leases.read(session, connection_id)


async def test_an_active_connection_has_everything_a_lease_needs(stored: Stored) -> None:
    connection_id = await stored.active()
    found = await read(stored, connection_id)
    assert found.available is True
    assert found.lifetime == HOUR
    assert found.remaining == AT + HOUR - found.now
    assert found.data_key is not None
    key = stored.vault.unwrap(found.data_key)
    assert found.credentials.sealed is not None
    opened = key.open("credentials", found.credentials.generation, found.credentials.sealed)
    assert opened["access_token"].reveal() == "mlcanary-at"
    assert "mlcanary" not in repr(found)


async def test_a_token_without_an_end_has_no_lifetime(stored: Stored) -> None:
    connection_id = await stored.active()
    envelope = await stored.envelope(await stored.claimed(connection_id), deadlines=())
    await stored.commit(envelope)
    found = await read(stored, connection_id)
    assert (found.lifetime, found.remaining) == (None, None)


@pytest.mark.parametrize("status", [S.EXPIRED, S.REVOKED, S.DISCONNECTED])
async def test_only_active_connections_have_something_to_hand_out(
    stored: Stored, status: ConnectionStatus
) -> None:
    connection_id = await stored.active()
    await stored.become(connection_id, status)
    assert (await read(stored, connection_id)).available is False


async def test_a_pending_connection_has_nothing_to_hand_out(stored: Stored) -> None:
    found = await read(stored, await stored.pending())
    assert (found.available, found.data_key, found.remaining) == (False, None, None)


async def test_from_the_commit_of_the_end_on_there_is_nothing_to_hand_out(stored: Stored) -> None:
    connection_id = await stored.active()
    await stored.end(connection_id)
    found = await read(stored, connection_id)
    assert (found.available, found.connection.status) == (False, S.ACTIVE)


async def test_after_shredding_there_is_no_key(stored: Stored) -> None:
    connection_id = await stored.active()
    await stored.shred(connection_id)
    found = await read(stored, connection_id)
    assert (found.data_key, found.credentials.sealed) == (None, None)


async def test_a_data_key_made_since_is_not_taken_for_the_one_that_sealed(stored: Stored) -> None:
    connection_id = await stored.active()
    await stored.change("DELETE FROM data_keys WHERE connection_id = :id", id=connection_id)
    await stored.key(connection_id)
    assert (await read(stored, connection_id)).data_key is None


async def test_an_unknown_connection_is_not_found(stored: Stored) -> None:
    with pytest.raises(NotFound):
        await read(stored, uuid4())


async def test_now_is_the_databases_clock_and_moves_on(stored: Stored) -> None:
    connection_id = await stored.active()
    first, second = await read(stored, connection_id), await read(stored, connection_id)
    assert first.now < second.now
    assert second.now - first.now < timedelta(minutes=1)


async def test_token_key_and_status_are_of_one_instant_while_all_of_them_change(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    over = asyncio.Event()

    async def change() -> None:
        for number in range(15):
            claim = await stored.claimed(connection_id)
            token = f"mlcanary-{claim.generation + 1}"
            await stored.commit(await stored.envelope(claim, access_token=token))
            await stored.become(connection_id, S.EXPIRED if number % 2 else S.REVOKED)
            await stored.shred(connection_id)
            claim = await stored.claimed(connection_id)
            token = f"mlcanary-{claim.generation + 1}"
            await stored.commit(await stored.envelope(claim, access_token=token))
            await stored.become(connection_id, S.ACTIVE)
        over.set()

    changing = asyncio.ensure_future(change())
    opened = 0
    while not over.is_set():
        found = await read(stored, connection_id)
        held = found.credentials
        if not found.available:
            continue
        assert found.data_key is not None
        assert held.sealed is not None
        key = stored.vault.unwrap(found.data_key)
        token = key.open("credentials", held.generation, held.sealed)["access_token"]
        assert token.reveal() in (f"mlcanary-{held.generation}", "mlcanary-at")
        opened += 1
    await changing
    assert opened > 0
