"""Connections by API key: verified when connecting and from then on, given up only when sure."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import JsonValue
from sqlmodel import select

from domain.credentials import CredentialType
from domain.errors import Conflict, NotFound
from domain.outcomes import Outcome, Revocation
from domain.result import Failure, Success
from domain.secret import Secret
from domain.status import ConnectionStatus, StatusReason
from providers.catalogue import Catalogue
from providers.sandbox.remote import NewKey
from storage.tables import DataKeyRow, StagedRow
from tests.world import BROKER, Servers, World, new_world, until, write_broker


async def of_broker(servers: Servers, folder: Path, **changes: JsonValue) -> AsyncIterator[World]:
    write_broker(folder, servers.sandbox.base_url, BROKER, **changes)
    async with new_world(servers, folder) as world, world.working():
        yield world


@pytest.fixture
async def keyed(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    async for world in of_broker(servers, tmp_path):
        yield world


@pytest.fixture
async def hurried(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    """Keys are verified every few seconds, and given up after three refusals."""
    async for world in of_broker(servers, tmp_path, verify_every_s=1, refused_again_after_s=1):
        yield world


async def test_a_good_key_makes_a_connection_that_is_verified_in_a_day(keyed: World) -> None:
    connection_id, made = await keyed.connected_by_key()
    view = await keyed.connections.view(connection_id)
    assert (view.status, view.credential_type) == (ConnectionStatus.ACTIVE, CredentialType.API_KEY)
    assert view.expires_at is None
    assert view.refresh_at is not None
    assert abs(view.refresh_at - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)
    assert "the API key is verified" in (await keyed.connections.explain(connection_id)).next
    verified, *_ = await broker_log(keyed, made)
    assert verified == 200


async def broker_log(world: World, made: NewKey) -> list[int | None]:
    """How each call with this key was answered."""
    return [entry.status for entry in await world.sandbox.log(grant_id=made.key_id)]


async def test_a_key_the_provider_refuses_makes_no_connection_and_leaves_no_secret(
    keyed: World,
) -> None:
    connection_id = uuid4()
    result = await keyed.bring_key("mlcanary-key-made-up", connection_id=connection_id)
    assert result == Failure(error="Broker does not take this API key")
    with pytest.raises(NotFound):
        await keyed.connections.view(connection_id)
    async with keyed.database.transaction() as session:
        assert (await session.exec(select(StagedRow))).all() == []
        assert (await session.exec(select(DataKeyRow))).all() == []
    types = [row.type for row in await keyed.connections.events(connection_id)]
    assert types == ["ProviderConnectionAttempted", "ProviderConnectionFailed"]


async def test_a_provider_that_is_away_makes_no_connection_and_says_so(keyed: World) -> None:
    made = await keyed.sandbox.new_key()
    fault = await keyed.sandbox.plant("api", "status", status=503, times=1, grant_id=made.key_id)
    result = await keyed.bring_key(made.api_key)
    await keyed.sandbox.clear(fault)
    assert isinstance(result, Failure)
    assert "try again later" in result.error
    assert isinstance(await keyed.bring_key(made.api_key), Success)


async def test_a_provider_that_asks_its_users_itself_takes_no_key(keyed: World) -> None:
    result = await keyed.bring_key("mlcanary-key-made-up", keyed.slug)
    assert isinstance(result, Failure)
    assert "takes no API key" in result.error


async def test_a_provider_that_takes_keys_has_no_page_to_send_the_user_to(keyed: World) -> None:
    with pytest.raises(Exception, match="API key"):
        await keyed.connections.connect(BROKER, keyed.user_id)


async def test_data_is_read_with_the_key(keyed: World) -> None:
    connection_id, _ = await keyed.connected_by_key()

    async def read() -> bool:
        sync = (await keyed.connections.view(connection_id)).sync
        return sync is not None and sync.completed == 1

    await until(read)


async def test_a_lease_is_the_key_without_an_end(keyed: World) -> None:
    connection_id, made = await keyed.connected_by_key()
    lease = await keyed.connections.lease(connection_id)
    assert lease.access_token.reveal() == made.api_key
    assert lease.expires_at is None


async def test_a_key_is_not_refreshed(keyed: World) -> None:
    connection_id, _ = await keyed.connected_by_key()
    with pytest.raises(Conflict, match="cannot be refreshed"):
        await keyed.connections.refresh(connection_id)


async def test_a_key_that_is_deleted_at_the_provider_expires_after_three_refusals(
    hurried: World,
) -> None:
    connection_id, made = await hurried.connected_by_key()
    await hurried.sandbox.revoke_key(made.key_id)

    async def doubted() -> bool:
        trouble = (await hurried.connections.view(connection_id)).trouble
        return trouble is not None and trouble.cause is Outcome.KEY_REFUSED

    await until(doubted)
    assert "the API key" in (await hurried.connections.explain(connection_id)).text
    view = await hurried.becomes(connection_id, ConnectionStatus.EXPIRED)
    assert view.reason is StatusReason.KEY_REFUSED
    verified = [
        entry for entry in await hurried.sandbox.log(grant_id=made.key_id) if entry.status == 401
    ]
    assert len(verified) >= 3
    types = await hurried.event_types(connection_id)
    assert types.count("ConnectionDegraded") == 1


async def test_another_key_brings_it_back_in_place(hurried: World) -> None:
    connection_id, made = await hurried.connected_by_key()
    await hurried.sandbox.revoke_key(made.key_id)
    await hurried.becomes(connection_id, ConnectionStatus.EXPIRED)
    another = await hurried.sandbox.new_key()
    view = await hurried.connections.supply_key(connection_id, Secret(another.api_key))
    assert (view.status, view.generation) == (ConnectionStatus.ACTIVE, 2)
    lease = await hurried.connections.lease(connection_id)
    assert lease.access_token.reveal() == another.api_key
    async with hurried.database.transaction() as session:
        (staged,) = (await session.exec(select(StagedRow))).all()
    assert (staged.generation, staged.sealed) == (2, b"")  # that it was used, and nothing else


async def test_a_key_that_is_not_taken_leaves_the_old_one_in_its_place(keyed: World) -> None:
    connection_id, made = await keyed.connected_by_key()
    with pytest.raises(Conflict, match="does not take this API key"):
        await keyed.connections.supply_key(connection_id, Secret("mlcanary-key-made-up"))
    view = await keyed.connections.view(connection_id)
    assert (view.status, view.generation) == (ConnectionStatus.ACTIVE, 1)
    assert (await keyed.connections.lease(connection_id)).access_token.reveal() == made.api_key


async def test_a_connected_key_is_replaced_while_it_is_active(keyed: World) -> None:
    connection_id, _ = await keyed.connected_by_key()
    another = await keyed.sandbox.new_key()
    view = await keyed.connections.supply_key(connection_id, Secret(another.api_key))
    assert view.generation == 2
    assert "ConnectionReauthorized" in await keyed.event_types(connection_id)


async def test_an_outage_of_any_length_gives_no_key_up_and_is_said(hurried: World) -> None:
    connection_id, made = await hurried.connected_by_key()
    fault = await hurried.sandbox.plant(
        "api", "status", status=500, times=None, grant_id=made.key_id
    )

    async def failed_often() -> bool:
        trouble = (await hurried.connections.view(connection_id)).trouble
        return trouble is not None and trouble.failures >= 4

    await until(failed_often)
    assert (await hurried.connections.view(connection_id)).status is ConnectionStatus.ACTIVE
    await hurried.sandbox.clear(fault)

    async def recovered() -> bool:
        return (await hurried.connections.view(connection_id)).trouble is None

    await until(recovered)
    assert "ConnectionRecovered" in await hurried.event_types(connection_id)


async def test_a_page_of_a_proxy_refuses_no_key(hurried: World) -> None:
    connection_id, made = await hurried.connected_by_key()
    await hurried.sandbox.plant("api", "html", status=403, times=None, grant_id=made.key_id)

    async def failed_often() -> bool:
        trouble = (await hurried.connections.view(connection_id)).trouble
        return trouble is not None and trouble.failures >= 3

    await until(failed_often)
    view = await hurried.connections.view(connection_id)
    assert view.trouble is not None
    assert view.trouble.cause is Outcome.TRANSIENT


async def test_the_end_of_a_keyed_connection_says_that_only_its_user_can_delete_the_key(
    keyed: World,
) -> None:
    connection_id, _ = await keyed.connected_by_key()
    await keyed.connections.disconnect(connection_id)
    receipt = await keyed.connections.receipt(connection_id)
    (token,) = receipt.tokens
    assert (token.token, token.result) == ("api_key", Revocation.UNSUPPORTED)
    assert receipt.shredded


def test_the_shipped_broker_takes_keys() -> None:
    entry = Catalogue.read().given("sandbox-broker")
    assert entry.credential_type is CredentialType.API_KEY
