"""A row that knows more than its workflow: the end was stored, and its message never sent."""

from pathlib import Path

import pytest

from domain.errors import NeedsUser, NotFound
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.cli.rereading import Rereading
from storage import connections
from storage.database import now
from storage.tables import SyncRow
from tests.world import Servers, World, data_of, new_world, until


async def has_read(world: World, view: ConnectionView) -> None:
    async def reading_has_ended() -> bool:
        return (await world.connections.view(view.connection_id)).sync is not None

    await until(reading_has_ended)


async def test_bug_reading_that_found_the_end_was_begun_again_at_once_and_for_ever(
    servers: Servers, tmp_path: Path
) -> None:
    async with new_world(servers, tmp_path, entry=data_of(servers)) as world, world.working():
        await world.plant("api", "status", status=503, times=None)
        view = await world.connected()
        await has_read(world, view)
        async with world.database.transaction() as session:
            row = await connections.locked(session, view.connection_id)
            await connections.end(session, row, at=await now(session), cause="a lost disconnect")
        await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
        events = await world.whole_history(view.connection_id)
        asked = [
            event
            for event in events
            if event.activity_task_scheduled_event_attributes.activity_type.name == "sync_data"
        ]
        assert len(asked) < 10


async def test_bug_a_reading_that_never_was_counted_as_done(
    servers: Servers, tmp_path: Path
) -> None:
    async with new_world(servers, tmp_path, entry=data_of(servers)) as world, world.working():
        view = await world.connected()
        await has_read(world, view)
        async with world.database.transaction() as session:
            row = await session.get_one(SyncRow, view.connection_id)
        asked = Rereading(world.database, world.connections, view.connection_id, row.number)
        await world.connections.revoke(view.connection_id)
        with pytest.raises(NeedsUser):
            await asked.ended(lambda _: None)


async def test_bug_what_a_worker_does_not_find_was_called_a_lost_workflow(living: World) -> None:
    view = await living.connected()
    (living.folder / f"{living.slug}.yaml").unlink()
    without = living.resources.catalogue.__class__.read(living.folder)
    living.resources.catalogue.__dict__.update(without.__dict__)
    with pytest.raises(NotFound, match="unknown provider"):
        await living.connections.begin_authorization(view.connection_id)
