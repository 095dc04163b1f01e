"""A user is erased in the middle of everything: reading, refreshing, and an authorization begun."""

import asyncio
from pathlib import Path

import pytest

from domain.errors import MoorlineError
from domain.status import ConnectionStatus
from storage.database import run
from tests.world import Servers, World, data_of, new_world, until

CONNECTIONS = 5


async def test_all_connections_of_a_user_are_erased_in_the_middle_of_reading_and_refreshing(
    servers: Servers, tmp_path: Path
) -> None:
    async with new_world(servers, tmp_path, entry=data_of(servers)) as world, world.working():
        await world.behave(rotation="strict")
        reading = await world.plant("api", "hang", times=None)
        views = [await world.imported() for _ in range(CONNECTIONS)]
        await until(lambda: are_read(world))
        rotated = await world.plant(
            "token",
            "delay",
            seconds=600,
            when="after_acting",
            grant_type="refresh_token",
            times=None,
        )
        asked = [
            asyncio.create_task(world.messaging.refresh_now(view.connection_id, 1))
            for view in views
        ]
        await until(lambda: are_rotated(world))
        await asyncio.gather(
            *(world.connections.begin_authorization(view.connection_id) for view in views)
        )
        await asyncio.gather(*(world.connections.disconnect(view.connection_id) for view in views))
        for view in views:  # at once, whatever is under way
            with pytest.raises(MoorlineError):
                await world.connections.lease(view.connection_id)
        await world.sandbox.clear(rotated)
        await world.sandbox.clear(reading)
        for view in views:
            await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
            assert (await world.connections.receipt(view.connection_id)).shredded
        await asyncio.gather(*asked, return_exceptions=True)
        assert {grant.revoked_by for grant in await world.grants()} == {"client"}
        assert await left_of(world) == 0
        assert len(await world.refreshes()) == CONNECTIONS
        # What happened is told by ids, without what it was about.
        for view in views:
            events = await world.connections.events(view.connection_id)
            types = {event.type for event in events}
            assert types >= {"ProviderDisconnectionSucceeded", "CredentialsShredded"}
            assert "mlcanary" not in str([event.data for event in events])


async def are_read(world: World) -> bool:
    under_way = [entry for entry in await world.log("api") if entry.finished_at is None]
    return len(under_way) == CONNECTIONS


async def are_rotated(world: World) -> bool:
    calls = [call for call in await world.refreshes() if call.rotated and not call.answered]
    return len(calls) == CONNECTIONS


async def left_of(world: World) -> int:
    """How much there is that could be opened, or was read."""
    query = """
    SELECT (SELECT count(*) FROM data_keys) + (SELECT count(*) FROM orphans)
         + (SELECT count(*) FROM staged_credentials)
         + (SELECT count(*) FROM credentials WHERE sealed IS NOT NULL)
         + (SELECT count(*) FROM authorization_attempts
            WHERE sealed <> '' OR sealed_code IS NOT NULL)
         + (SELECT count(*) FROM transactions)
    """
    async with world.database.transaction() as session:
        return int((await run(session, query, {})).scalar_one())
