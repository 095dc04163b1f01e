"""Connections by link token: verified, read, replaced by their user, and ended truthfully."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlmodel import select

from domain.credentials import CredentialType
from domain.errors import Conflict, InvalidInput, NotFound, NotFresh
from domain.outcomes import Revocation
from domain.result import Failure
from domain.secret import Secret
from domain.status import ConnectionStatus, StatusReason
from storage.tables import StagedRow
from tests.given import LINKED, bring, brought, read_through, write_linked
from tests.world import BROKER, Servers, World, new_world, write_broker

KIND = CredentialType.LINK_TOKEN


@pytest.fixture
async def linked(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    """Link tokens are verified every second, and given up at the second refusal."""
    often = {"verify_every_s": 1, "refused_again_after_s": 1, "refusals_until_expired": 2}
    write_linked(tmp_path, servers.sandbox.base_url, **often)
    write_broker(tmp_path, servers.sandbox.base_url)
    async with new_world(servers, tmp_path) as world, world.working():
        yield world


async def test_a_good_link_token_makes_a_connection_whose_data_is_read(linked: World) -> None:
    made = await linked.sandbox.new_link()
    connection_id = await brought(linked, {"access_token": made.api_key}, KIND, LINKED)
    view = await linked.connections.view(connection_id)
    assert (view.status, view.credential_type) == (ConnectionStatus.ACTIVE, KIND)
    assert "the link token is verified" in (await linked.connections.explain(connection_id)).next
    await read_through(linked, connection_id)
    lease = await linked.connections.lease(connection_id)
    assert lease.access_token.reveal() == made.api_key


async def test_a_link_token_the_provider_refuses_makes_no_connection(linked: World) -> None:
    connection_id = uuid4()
    parts = {"access_token": "mlcanary-link-made-up"}
    result = await bring(linked, parts, KIND, LINKED, connection_id)
    assert result == Failure(error="Linked does not take this link token")
    with pytest.raises(NotFound):
        await linked.connections.view(connection_id)


async def test_a_link_token_goes_to_no_provider_that_works_by_something_else(linked: World) -> None:
    made = await linked.sandbox.new_link()
    for slug, why in ((BROKER, "works by an API key"), (linked.slug, "takes no link token")):
        result = await bring(linked, {"access_token": made.api_key}, KIND, slug)
        assert isinstance(result, Failure)
        assert why in result.error


async def test_bug_an_access_token_was_shown_to_a_provider_of_link_tokens(linked: World) -> None:
    """It was born ACTIVE, its token sent there, and the provider said to be set up wrong."""
    tokens = {"access_token": "mlcanary-access", "refresh_token": "mlcanary-refresh"}
    seen = len(await linked.sandbox.log(endpoint="api"))
    for slug, why in ((LINKED, "works by a link token"), (BROKER, "works by an API key")):
        for kind in (CredentialType.OAUTH2, CredentialType.CUSTOM):
            result = await bring(linked, tokens, kind, slug)
            assert isinstance(result, Failure)
            assert why in result.error
    assert len(await linked.sandbox.log(endpoint="api")) == seen


async def test_a_link_token_that_is_taken_back_expires_and_another_brings_it_back(
    linked: World,
) -> None:
    made = await linked.sandbox.new_link()
    connection_id = await brought(linked, {"access_token": made.api_key}, KIND, LINKED)
    await linked.sandbox.revoke_key(made.key_id)
    view = await linked.becomes(connection_id, ConnectionStatus.EXPIRED)
    assert view.reason is StatusReason.KEY_REFUSED
    explained = (await linked.connections.explain(connection_id)).text
    assert "the provider refuses the link token" in explained
    assert "brings a link token again" in explained
    other = await linked.sandbox.new_link()
    secret = {"access_token": Secret(other.api_key)}
    view = await linked.connections.supply(connection_id, secret)
    assert (view.status, view.generation) == (ConnectionStatus.ACTIVE, 2)


async def test_a_link_token_is_replaced_by_a_good_one_only(linked: World) -> None:
    made = await linked.sandbox.new_link()
    connection_id = await brought(linked, {"access_token": made.api_key}, KIND, LINKED)
    with pytest.raises(Conflict, match="does not take this link token"):
        await linked.connections.supply(connection_id, {"access_token": Secret("mlcanary-no")})
    with pytest.raises(InvalidInput, match="a link token consists of access_token"):
        await linked.connections.supply(connection_id, {"api_key": Secret("mlcanary-no")})
    lease = await linked.connections.lease(connection_id)
    assert (lease.access_token.reveal(), lease.generation) == (made.api_key, 1)


async def test_what_cannot_be_verified_now_is_no_refusal_and_is_not_kept(linked: World) -> None:
    made = await linked.sandbox.new_link()
    connection_id = await brought(linked, {"access_token": made.api_key}, KIND, LINKED)
    other = await linked.sandbox.new_link()
    await linked.sandbox.plant("api", "status", grant_id=other.key_id, status=503)
    secret = {"access_token": Secret(other.api_key)}
    with pytest.raises(NotFresh, match="cannot say now whether this link token is good"):
        await linked.connections.supply(connection_id, secret)
    async with linked.database.transaction() as session:
        assert (await session.exec(select(StagedRow))).all() == []
    assert (await linked.connections.supply(connection_id, secret)).generation == 2


async def test_a_link_token_that_was_refused_elsewhere_is_verified(
    servers: Servers, tmp_path: Path
) -> None:
    write_linked(tmp_path, servers.sandbox.base_url)
    async with new_world(servers, tmp_path) as world, world.working():
        made = await world.sandbox.new_link()
        connection_id = await brought(world, {"access_token": made.api_key}, KIND, LINKED)
        rejection = await world.connections.rejected(connection_id, 1)
        assert (rejection.outcome, rejection.generation) == ("verified", 1)
        with pytest.raises(NotFresh, match="the link token was verified moments ago"):
            await world.connections.rejected(connection_id, 1)


async def test_a_link_token_is_not_refreshed(linked: World) -> None:
    made = await linked.sandbox.new_link()
    connection_id = await brought(linked, {"access_token": made.api_key}, KIND, LINKED)
    with pytest.raises(Conflict, match="a link token cannot be refreshed"):
        await linked.connections.refresh(connection_id)


async def test_the_end_says_that_only_its_user_can_take_a_link_token_back(linked: World) -> None:
    made = await linked.sandbox.new_link()
    connection_id = await brought(linked, {"access_token": made.api_key}, KIND, LINKED)
    await linked.connections.disconnect(connection_id)
    receipt = await linked.connections.receipt(connection_id)
    (token,) = receipt.tokens
    assert (token.token, token.result) == ("link_token", Revocation.UNSUPPORTED)
    assert receipt.shredded
    text = (await linked.connections.explain(connection_id)).text
    assert "link token: only its user can take it back, at the provider" in text
