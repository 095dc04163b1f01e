"""A database that answers and does not know us: a changed password, a restore elsewhere."""

import asyncio

from domain.status import ConnectionStatus
from tests.world import World, until
from workflows.names import workflow_id


async def test_bug_a_wrong_password_of_the_database_lost_a_rotated_token(living: World) -> None:
    """It ended the workflow that held the only copy; now it only delays."""
    await living.behave(rotation="strict")
    view = await living.connected()
    held = await living.plant(
        "token", "delay", seconds=60, when="after_acting", grant_type="refresh_token"
    )
    asked = asyncio.create_task(living.messaging.refresh_now(view.connection_id, 1))
    grant = await living.grant()
    await living.sandbox.logged(lambda e: e.rotated and not e.answered, grant_id=grant.id)
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))

    async def is_tried_again() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return any(
            each.activity_type.name == "store_credentials" and each.attempt > 1 for each in pending
        )

    async with living.wrong_database():
        await living.sandbox.clear(held)
        await until(is_tried_again)
    await asyncio.gather(asked, return_exceptions=True)

    async def is_stored() -> bool:
        return (await living.connections.view(view.connection_id)).generation == 2

    await until(is_stored)
    refreshed = await living.connections.refresh(view.connection_id)
    assert (refreshed.status, refreshed.generation) == (ConnectionStatus.ACTIVE, 3)
    assert {entry.presented for entry in await living.refreshes()} == {"current"}
