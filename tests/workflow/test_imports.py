"""``ConnectProvider``: what it promises, what it refuses, and what an outage does to it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from temporalio.service import RPCError

from domain.commands import ConnectProvider, ConnectProviderError
from domain.credentials import CredentialType, ProviderCredentials
from domain.errors import Conflict, NotFound, ProviderConnectionError, Unreachable
from domain.result import Failure, Result, Success
from domain.secret import Secret
from domain.status import ConnectionStatus
from storage import events
from storage.database import run
from tests.world import World, until
from workflows.names import workflow_id

REFUSED = ["ProviderConnectionAttempted", "ProviderConnectionFailed"]


async def count(world: World, table: str, connection_id: UUID) -> int:
    async with world.database.transaction() as session:
        query = f"SELECT count(*) FROM {table} WHERE connection_id = :id"
        return int((await run(session, query, {"id": connection_id})).scalar_one())


async def event_types(world: World, connection_id: UUID) -> list[str]:
    async with world.database.transaction() as session:
        return [row.type for row in await events.read(session, connection_id)]


async def assert_nothing_is_kept(world: World, connection_id: UUID) -> None:
    with pytest.raises(NotFound):
        await world.connections.view(connection_id)
    assert await count(world, "staged_credentials", connection_id) == 0
    assert await count(world, "data_keys", connection_id) == 0


async def test_imported_credentials_are_leased_and_refreshed(living: World) -> None:
    minted = await living.sandbox.mint(living.client_id)
    connection_id = uuid4()
    command = await living.command(connection_id, minted)
    result = await living.connections.connect_provider(command, connection_id)
    assert result == Success(value=connection_id)
    lease = await living.connections.lease(connection_id)
    assert lease.access_token.reveal() == minted.access_token
    assert (await living.connections.refresh(connection_id)).generation == 2
    assert await count(living, "staged_credentials", connection_id) == 0


async def test_an_imported_token_that_has_already_ended_is_refreshed_at_once(
    living: World,
) -> None:
    view = await living.imported(expires_in=timedelta(hours=-1))

    async def refreshed() -> bool:
        return (await living.connections.view(view.connection_id)).generation == 2

    await until(refreshed, timedelta(seconds=10))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"credentials": None}, ConnectProviderError.INVALID_CREDENTIALS),
        ({"credentials": None, "provider_slug": ""}, ConnectProviderError.INVALID_CREDENTIALS),
        ({"provider_slug": ""}, ConnectProviderError.INVALID_PROVIDER_SLUG),
        ({"provider_slug": "s" * 51}, ConnectProviderError.INVALID_PROVIDER_SLUG),
        ({"provider_slug": "s\0"}, ConnectProviderError.INVALID_PROVIDER_SLUG),
        ({"alias": "a" * 101}, ProviderConnectionError.INVALID_ALIAS),
        ({"alias": "a\0"}, ProviderConnectionError.INVALID_ALIAS),
    ],
    ids=repr,
)
async def test_a_refused_import_leaves_its_two_events_and_nothing_else(
    living: World, changes: dict[str, str | None], error: str
) -> None:
    connection_id = uuid4()
    command = replace(await living.command(connection_id), **changes)  # type: ignore[arg-type]
    result = await living.connections.connect_provider(command, connection_id)
    assert result == Failure(error=error)
    assert await event_types(living, connection_id) == REFUSED
    if command.credentials is not None:
        await assert_nothing_is_kept(living, connection_id)


async def test_credentials_that_do_not_open_are_no_credentials(living: World) -> None:
    """Bug: the workflow ended without an answer, and left them behind."""
    connection_id, other = uuid4(), uuid4()
    for_another = (await living.command(other)).credentials
    assert for_another is not None
    for wrong in (for_another, ProviderCredentials(b"never sealed", CredentialType.OAUTH2)):
        command = ConnectProvider(
            user_id=living.user_id,
            provider_id=uuid4(),
            provider_slug=living.slug,
            credentials=wrong,
        )
        result = await living.connections.connect_provider(command, connection_id)
        assert result == Failure(error=ConnectProviderError.INVALID_CREDENTIALS)
        await assert_nothing_is_kept(living, connection_id)
    assert await event_types(living, connection_id) == [*REFUSED, *REFUSED]


async def test_a_command_that_is_repeated_changes_nothing_and_leaves_nothing(
    world: World,
) -> None:
    connection_id = uuid4()
    commands = [await world.command(connection_id) for _ in range(3)]

    async def give(command: ConnectProvider) -> Result[UUID, str]:
        return await world.connections.connect_provider(command, connection_id)

    async with world.working():
        assert await give(commands[0]) == Success(value=connection_id)
        lease = await world.connections.lease(connection_id)
        assert [await give(command) for command in commands] == 3 * [Success(value=connection_id)]
        again = await world.connections.lease(connection_id)
    assert again.access_token == lease.access_token
    assert await count(world, "staged_credentials", connection_id) == 0
    assert await event_types(world, connection_id) == [
        "ProviderConnectionAttempted",
        "ProviderConnectionSucceeded",
    ]


async def test_the_id_of_another_connection_is_refused(living: World) -> None:
    """Bug: whoever named the id of a connection was told that it is theirs."""
    view = await living.imported()
    command = await living.command(view.connection_id)
    for wrong in (replace(command, user_id=uuid4()), replace(command, provider_slug="another")):
        result = await living.connections.connect_provider(wrong, view.connection_id)
        assert result == Failure(error="another user or provider has a connection of this id")


async def test_a_disconnected_connection_is_not_born_again_and_takes_no_secret(
    living: World,
) -> None:
    view = await living.imported()
    command = await living.command(view.connection_id)
    await living.connections.disconnect(view.connection_id)
    await living.connections.receipt(view.connection_id)
    result = await living.connections.connect_provider(command, view.connection_id)
    assert result == Failure(error=ProviderConnectionError.CONNECTION_DISCONNECTED)
    with pytest.raises(Conflict, match="disconnected"):
        await living.connections.seal(view.connection_id, {"access_token": Secret("late")})
    assert await count(living, "data_keys", view.connection_id) == 0


async def test_with_the_database_away_nothing_is_accepted(living: World) -> None:
    connection_id = uuid4()
    command = await living.command(connection_id)
    async with living.without_database():
        with pytest.raises(Unreachable):
            await living.connections.connect_provider(command, connection_id)
        with pytest.raises(Unreachable):
            await living.connections.connect(
                living.slug, living.user_id, connection_id=connection_id
            )
    with pytest.raises(NotFound):
        await living.messaging.result(connection_id)
    with pytest.raises(NotFound):
        await living.connections.view(connection_id)


async def test_once_kept_an_outage_of_the_database_only_delays(world: World) -> None:
    connection_id = uuid4()
    command = await world.command(connection_id)
    giving = asyncio.create_task(world.connections.connect_provider(command, connection_id))
    handle = world.temporal.get_workflow_handle(workflow_id(connection_id))

    async def is_tried_again() -> bool:
        try:
            described = await handle.describe()
        except RPCError:
            return False  # it has not been started yet
        return any(work.attempt > 1 for work in described.raw_description.pending_activities)

    async def is_kept() -> bool:
        return await count(world, "staged_credentials", connection_id) == 1

    await until(is_kept)
    async with world.without_database(), world.working():
        await until(is_tried_again)
    async with world.working():
        assert await giving == Success(value=connection_id)
    assert (await world.connections.view(connection_id)).status is ConnectionStatus.ACTIVE


async def test_bug_an_import_onto_a_pending_connection_was_called_done(living: World) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    command = await living.command(begun.connection_id)
    result = await living.connections.connect_provider(command, begun.connection_id)
    assert isinstance(result, Failure)
    assert "waits for its user" in result.error


async def test_tokens_without_an_access_token_are_no_credentials(living: World) -> None:
    connection_id = uuid4()
    sealed = await living.connections.seal(connection_id, {"refresh_token": Secret("mlcanary-x")})
    command = replace(await living.command(uuid4()), credentials=sealed)
    result = await living.connections.connect_provider(command, connection_id)
    assert result == Failure(error=ConnectProviderError.INVALID_CREDENTIALS)
    await assert_nothing_is_kept(living, connection_id)
