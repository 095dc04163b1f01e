"""Another API key in the place of one: only what was kept for it, only if the provider takes it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import ActivityEnvironment

from activities.payloads import ReplaceApiKey, VerifyApiKey
from activities.replace_api_key import KeyReplacement
from activities.verify_api_key import Verification
from domain.commands import ConnectProvider
from domain.credentials import CredentialType
from domain.errors import Conflict, NotFound
from domain.outcomes import Outcome
from domain.result import Failure, Success
from domain.secret import Secret
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage.database import run
from tests.world import Servers, World, new_world, until, write_broker
from workflows.names import workflow_id

BROKER = "broker"


@pytest.fixture
async def keyed(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    write_broker(tmp_path, servers.sandbox.base_url, BROKER)
    async with new_world(servers, tmp_path) as world, world.working():
        yield world


@pytest.fixture
async def hurried(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    """Keys are verified every second, and given up after a few."""
    often = {"verify_every_s": 1, "refused_again_after_s": 1}
    write_broker(tmp_path, servers.sandbox.base_url, BROKER, **often)
    async with new_world(servers, tmp_path) as world, world.working():
        yield world


async def connected(world: World) -> tuple[ConnectionView, str]:
    """A connection by key, and the id of its key at the provider."""
    made, connection_id = await world.sandbox.new_key(), uuid4()
    command = await command_of(world, connection_id, made.api_key)
    result = await world.connections.connect_provider(command, connection_id)
    assert result == Success(value=connection_id)
    return await world.connections.view(connection_id), made.key_id


async def command_of(world: World, connection_id: UUID, key: str) -> ConnectProvider:
    secret = {"api_key": Secret(key)}
    return ConnectProvider(
        user_id=world.user_id,
        provider_id=uuid4(),
        provider_slug=BROKER,
        credentials=await world.connections.seal(connection_id, secret, CredentialType.API_KEY),
    )


async def keep(world: World, connection_id: UUID, key: str) -> UUID:
    """Where a key is kept that is to replace another."""
    return await world.connections.keep(connection_id, {"api_key": Secret(key)})


async def count(world: World, table: str, connection_id: UUID) -> int:
    async with world.database.transaction() as session:
        query = f"SELECT count(*) FROM {table} WHERE connection_id = :id"
        return int((await run(session, query, {"id": connection_id})).scalar_one())


async def test_a_new_key_takes_the_place_of_one_that_was_deleted(keyed: World) -> None:
    view, key_id = await connected(keyed)
    await keyed.sandbox.revoke_key(key_id)
    other = await keyed.sandbox.new_key()
    supplied = await keyed.connections.supply_key(view.connection_id, Secret(other.api_key))
    assert (supplied.status, supplied.generation) == (ConnectionStatus.ACTIVE, 2)
    lease = await keyed.connections.lease(view.connection_id)
    assert lease.access_token.reveal() == other.api_key


async def test_bug_a_key_that_nobody_kept_revived_a_connection(hurried: World) -> None:
    keyed = hurried
    view, key_id = await connected(keyed)
    await keyed.sandbox.revoke_key(key_id)
    await keyed.becomes(view.connection_id, ConnectionStatus.EXPIRED)
    handle = keyed.temporal.get_workflow_handle(workflow_id(view.connection_id))
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("supply_key", {"staged_id": str(uuid4())})
    assert getattr(refused.value.cause, "type", None) == "NotFound"
    assert (await keyed.connections.view(view.connection_id)).status is ConnectionStatus.EXPIRED


async def test_bug_a_key_for_a_connection_that_has_none_ended_its_life(keyed: World) -> None:
    view = await keyed.connected()
    handle = keyed.temporal.get_workflow_handle(workflow_id(view.connection_id))
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("supply_key", {"staged_id": str(uuid4())})
    assert getattr(refused.value.cause, "type", None) == "InvalidInput"
    assert (await keyed.connections.rename(view.connection_id, "alive")).alias == "alive"


async def test_bug_a_refused_key_was_called_stored_when_it_was_tried_again(keyed: World) -> None:
    view, _ = await connected(keyed)
    staged_id = await keep(keyed, view.connection_id, "mlcanary-key-nobody-made")
    request = ReplaceApiKey(connection_id=view.connection_id, staged_id=staged_id)
    replace = KeyReplacement(keyed.resources).replace_api_key
    with pytest.raises(Conflict, match="does not take this API key"):
        await ActivityEnvironment().run(replace, request)
    with pytest.raises(NotFound):  # as after a crash between the refusal and its report
        await ActivityEnvironment().run(replace, request)
    assert await count(keyed, "staged_credentials", view.connection_id) == 0


async def test_a_key_that_was_stored_is_found_stored_by_whoever_tries_again(keyed: World) -> None:
    view, _ = await connected(keyed)
    other = await keyed.sandbox.new_key()
    staged_id = await keep(keyed, view.connection_id, other.api_key)
    request = ReplaceApiKey(connection_id=view.connection_id, staged_id=staged_id)
    replace = KeyReplacement(keyed.resources).replace_api_key
    answers = [await ActivityEnvironment().run(replace, request) for _ in range(2)]
    generations = [answer.standing.generation for answer in answers if answer.standing]
    assert generations == [2, 2]


async def test_bug_a_refused_key_stayed_behind(keyed: World) -> None:
    view, _ = await connected(keyed)
    with pytest.raises(Conflict):
        await keyed.connections.supply_key(view.connection_id, Secret("mlcanary-key-wrong"))
    assert await count(keyed, "staged_credentials", view.connection_id) == 0
    await keyed.connections.disconnect(view.connection_id)
    await keyed.connections.receipt(view.connection_id)
    with pytest.raises(Conflict, match="disconnected"):
        await keyed.connections.supply_key(view.connection_id, Secret("mlcanary-key-late"))
    assert await count(keyed, "staged_credentials", view.connection_id) == 0
    assert await count(keyed, "data_keys", view.connection_id) == 0


@pytest.mark.parametrize("key", ["mlcanary-schlüssel", "two\nlines", " padded", "", "nul\0"])
async def test_bug_a_key_that_no_header_can_carry_was_tried_for_ever(
    keyed: World, key: str
) -> None:
    connection_id = uuid4()
    command = await command_of(keyed, connection_id, key)
    result = await keyed.connections.connect_provider(command, connection_id)
    assert isinstance(result, Failure)
    assert "printable ASCII" in result.error


async def test_bug_a_stored_key_that_does_not_open_was_said_nowhere(keyed: World) -> None:
    view, _ = await connected(keyed)
    async with keyed.database.transaction() as session:
        await run(session, "UPDATE credentials SET sealed = sealed || '\\x00'::bytea", {})
    verify = Verification(keyed.resources).verify_api_key
    request = VerifyApiKey(connection_id=view.connection_id, generation=1)
    answer = await ActivityEnvironment().run(verify, request)
    assert answer.outcome is Outcome.STORAGE_FAULT
    shown = await keyed.connections.view(view.connection_id)
    assert shown.trouble is not None
    assert shown.trouble.cause is Outcome.STORAGE_FAULT
    explained = await keyed.connections.explain(view.connection_id)
    assert explained.who_must_act == "operator"
    assert "ConnectionDegraded" in await keyed.event_types(view.connection_id)


async def test_bug_asking_three_times_at_once_gave_a_key_up(keyed: World) -> None:
    view, key_id = await connected(keyed)
    await keyed.sandbox.revoke_key(key_id)
    verify = Verification(keyed.resources).verify_api_key
    request = VerifyApiKey(connection_id=view.connection_id, generation=1)
    answers = [await ActivityEnvironment().run(verify, request) for _ in range(3)]
    assert [answer.failures for answer in answers] == [1, 1, 1]
    assert [answer.reason for answer in answers] == [None, None, None]


async def test_bug_of_two_keys_at_once_the_second_was_destroyed(keyed: World) -> None:
    view, _ = await connected(keyed)
    other = await keyed.sandbox.new_key()
    both = await asyncio.gather(
        *(keyed.connections.supply_key(view.connection_id, Secret(other.api_key)) for _ in "ab")
    )
    assert sorted(each.generation for each in both) == [2, 3]


async def test_bug_a_key_that_was_replaced_unseen_was_never_verified(hurried: World) -> None:
    """The answer of the replacement was lost, and each verification was of the old generation."""
    view, _ = await connected(hurried)
    other = await hurried.sandbox.new_key()
    staged_id = await keep(hurried, view.connection_id, other.api_key)
    request = ReplaceApiKey(connection_id=view.connection_id, staged_id=staged_id)
    await hurried.perform(KeyReplacement(hurried.resources).replace_api_key, request)
    handle = hurried.temporal.get_workflow_handle(workflow_id(view.connection_id))

    async def is_known() -> bool:
        shown = await handle.query("view", result_type=ConnectionView)
        return bool(shown.generation == 2 and shown.trouble is None)

    await until(is_known)
    await hurried.sandbox.revoke_key(other.key_id)
    await hurried.becomes(view.connection_id, ConnectionStatus.EXPIRED)


async def test_bug_a_key_that_could_not_be_verified_for_a_moment_was_spoilt_for_ever(
    keyed: World,
) -> None:
    made, connection_id = await keyed.sandbox.new_key(), uuid4()
    command = await command_of(keyed, connection_id, made.api_key)
    await keyed.sandbox.plant("api", "status", grant_id=made.key_id, status=503)
    refused = await keyed.connections.connect_provider(command, connection_id)
    assert isinstance(refused, Failure)
    assert "try again later" in refused.error
    again = await keyed.connections.connect_provider(command, connection_id)
    assert again == Success(value=connection_id)


async def test_a_new_key_waits_for_the_revocation_that_shreds(keyed: World) -> None:
    view, _ = await connected(keyed)
    handle = keyed.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await handle.signal("revoke")
    await keyed.becomes(view.connection_id, ConnectionStatus.REVOKED)
    other = await keyed.sandbox.new_key()
    supplied = await keyed.connections.supply_key(view.connection_id, Secret(other.api_key))
    assert supplied.status is ConnectionStatus.ACTIVE
