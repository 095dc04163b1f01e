"""After a disconnect nothing opens that was sealed for a connection, here or in Temporal.

The keyring is at hand, as an attacker's copy of it would be; what is missing is the data key.
"""

import asyncio
from uuid import UUID

import pytest

from activities.payloads import StoreCredentials
from domain.credentials import CredentialType
from domain.errors import StorageFault
from domain.secret import Secret
from storage import data_keys, staging
from storage.credentials import SEALED_AS, Envelope
from storage.database import now, run
from storage.vault import WrappedKey
from tests.world import World, until

SEALED = """
SELECT 'credentials' AS place, sealed FROM credentials WHERE connection_id = :id
UNION ALL SELECT 'orphans', sealed FROM orphans WHERE connection_id = :id
UNION ALL SELECT 'staged', sealed FROM staged_credentials WHERE connection_id = :id
UNION ALL SELECT 'attempts', sealed FROM authorization_attempts WHERE connection_id = :id
UNION ALL SELECT 'codes', sealed_code FROM authorization_attempts WHERE connection_id = :id
"""
EVERYWHERE = {"credentials", "orphans", "staged", "attempts"}


async def test_after_a_disconnect_nothing_opens_that_was_sealed_anywhere(living: World) -> None:
    await living.behave(rotation="strict")
    view = await living.connected()
    connection_id = view.connection_id
    spilled = await an_envelope_that_temporal_keeps(living, connection_id)
    await living.connections.authorize(await living.received_again(connection_id))
    await living.connections.begin_authorization(connection_id)
    await something_staged(living, connection_id)
    before = await sealed(living, connection_id)
    assert before.keys() >= EVERYWHERE
    key = await data_key(living, connection_id)
    assert key is not None
    opened = living.vault.unwrap(key)
    assert "refresh_token" in opened.open(SEALED_AS, spilled.generation, spilled.sealed)
    await living.connections.disconnect(connection_id)
    assert (await living.connections.receipt(connection_id)).shredded
    assert await sealed(living, connection_id) == {}
    assert await data_key(living, connection_id) is None
    # Temporal's history keeps the envelope; a data key made anew is not the one that sealed it.
    assert await envelope_of(living, connection_id) == spilled
    new = living.vault.unwrap(living.vault.new_data_key(connection_id))
    with pytest.raises(StorageFault):
        new.open(SEALED_AS, spilled.generation, spilled.sealed)


async def an_envelope_that_temporal_keeps(world: World, connection_id: UUID) -> Envelope:
    """Tokens that came while the database was away; stored since, and still in the history."""
    held = await world.plant(
        "token", "delay", seconds=600, when="after_acting", grant_type="refresh_token"
    )
    asked = asyncio.create_task(world.messaging.refresh_now(connection_id, 1))
    await world.lost_answer()
    async with world.without_database():
        await world.sandbox.clear(held)
        envelope = await until(lambda: envelope_of(world, connection_id))
    await asked
    return envelope


async def envelope_of(world: World, connection_id: UUID) -> Envelope | None:
    for event in await world.whole_history(connection_id):
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == "store_credentials":
            (payload,) = await world.codec.decode(scheduled.input.payloads)
            return StoreCredentials.model_validate_json(payload.data).envelope
    return None


async def something_staged(world: World, connection_id: UUID) -> None:
    secret = {"api_key": Secret("mlcanary-staged")}
    credentials = await world.connections.seal(connection_id, secret, CredentialType.API_KEY)
    async with world.database.transaction() as session:
        at = await now(session)
        await staging.stage(session, world.vault, connection_id, credentials, at)


async def sealed(world: World, connection_id: UUID) -> dict[str, bytes]:
    """What is sealed, by where it is."""
    async with world.database.transaction() as session:
        rows = (await run(session, SEALED, {"id": connection_id})).all()
    return {row.place: row.sealed for row in rows if row.sealed}


async def data_key(world: World, connection_id: UUID) -> WrappedKey | None:
    async with world.database.transaction() as session:
        return await data_keys.find(session, connection_id)
