"""PostgreSQL has no room left when tokens come: they are kept by Temporal until it has.

The server itself says so (SQLSTATE 53100), by a trigger on what a commit writes: to fill a disk for
real takes rights that tests do not have.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from domain.status import ConnectionStatus
from tests.world import World, until
from workflows.names import workflow_id

FULL = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device'
   USING ERRCODE = 'disk_full'; END $$
"""
TRIGGER = "CREATE TRIGGER no_room BEFORE UPDATE OF sealed ON credentials EXECUTE FUNCTION no_room()"
BACK_WITHIN = timedelta(seconds=60)


@asynccontextmanager
async def full_disk(world: World) -> AsyncIterator[None]:
    """Nothing sealed can be stored for as long as the block runs; claims still can."""
    await world.damage(FULL)
    await world.damage(TRIGGER)
    yield
    await world.damage("DROP TRIGGER no_room ON credentials")


async def is_tried_again(world: World, connection_id: UUID) -> bool:
    handle = world.temporal.get_workflow_handle(workflow_id(connection_id))
    pending = (await handle.describe()).raw_description.pending_activities
    stores = [each for each in pending if each.activity_type.name == "store_credentials"]
    return any(each.attempt > 1 for each in stores)


async def test_a_full_disk_during_the_commit_loses_no_token_and_no_other_is_rotated_meanwhile(
    living: World,
) -> None:
    await living.behave(rotation="strict")
    view = await living.connected()
    async with full_disk(living):
        asked = asyncio.create_task(living.messaging.refresh_now(view.connection_id, 1))
        await until(lambda: is_tried_again(living, view.connection_id))
        # The old token can still be leased, and whoever wants a newer one waits for this one.
        assert (await living.connections.lease(view.connection_id)).generation == 1
        again = asyncio.create_task(living.messaging.refresh_now(view.connection_id, 1))
        assert len(await living.refreshes()) == 1

    async def is_stored() -> bool:
        return (await living.connections.view(view.connection_id)).generation == 2

    await until(is_stored, BACK_WITHIN)
    await asyncio.gather(asked, again, return_exceptions=True)
    refreshed = await living.connections.refresh(view.connection_id)
    assert (refreshed.status, refreshed.generation) == (ConnectionStatus.ACTIVE, 3)
    assert [call.presented for call in await living.refreshes()] == ["current", "current"]
