"""Telling the provider: nothing of ours that is missing or broken counts as having told it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from activities.authenticate import Authentication
from activities.holding import Holding, boottime
from activities.payloads import Authenticate
from domain.errors import Conflict
from domain.explanation import explain
from domain.outcomes import Revocation
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage.claims import Claim, Purpose, take
from storage.database import now, run
from tests.world import Servers, World, new_world, until
from workflows.messages import StartConnection

SECRET = "MOORLINE_TEST_CLIENT_SECRET"


@pytest.fixture
async def by_variable(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """A provider app whose secret is where an operator can forget to put it."""
    entry = {"client_secret": f"${{{SECRET}}}"}
    async with new_world(servers, tmp_path, entry=entry) as world, world.working():
        monkeypatch.setenv(SECRET, f"mlcanary-secret-{world.client_id}")
        yield world


async def asked_in_vain(world: World, connection_id: UUID) -> ConnectionView:
    """The view, once the provider could not be made to confirm for a while."""

    async def tried_twice() -> ConnectionView | None:
        view = await world.connections.view(connection_id)
        return view if view.revoking is not None and view.revoking.tries >= 2 else None

    return await until(tried_twice)


async def test_bug_a_missing_client_secret_counted_as_revoked(
    by_variable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = by_variable
    view = await world.connected()
    monkeypatch.delenv(SECRET)
    await world.connections.disconnect(view.connection_id)
    ending = await asked_in_vain(world, view.connection_id)
    assert ending.ending
    assert ending.status is ConnectionStatus.ACTIVE
    assert (await world.grant()).revoked_by is None
    monkeypatch.setenv(SECRET, f"mlcanary-secret-{world.client_id}")
    receipt = await world.connections.receipt(view.connection_id)
    assert {token.result for token in receipt.tokens} == {Revocation.REVOKED}
    assert (await world.grant()).revoked_by == "client"


async def test_what_is_being_revoked_is_explained(
    by_variable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = by_variable
    view = await world.connected()
    monkeypatch.delenv(SECRET)
    await world.connections.revoke(view.connection_id)
    shown = await asked_in_vain(world, view.connection_id)
    async with world.database.transaction() as session:
        text = explain(shown, await now(session)).text
    assert text.startswith("REVOKED since")
    assert "to revoke the tokens and has not confirmed it; it is asked again until" in text
    assert "If not, it is disconnected" in text


@pytest.mark.parametrize("status", [200, 404])
async def test_bug_a_page_of_a_proxy_counted_as_the_providers_word(
    living: World, status: int
) -> None:
    view = await living.connected()
    page = await living.plant("revoke", "html", status=status, times=None)
    await living.connections.revoke(view.connection_id)
    await asked_in_vain(living, view.connection_id)
    assert (await living.grant()).revoked_by is None
    await living.sandbox.clear(page)

    async def is_revoked() -> bool:
        return (await living.grant()).revoked_by == "client"

    await until(is_revoked)


async def test_bug_a_secret_that_does_not_open_kept_the_others_from_being_revoked(
    living: World,
) -> None:
    view = await living.connected()
    received = await living.received_again(view.connection_id)
    await living.connections.authorize(received)
    async with living.database.transaction() as session:
        await run(session, "UPDATE orphans SET sealed = sealed || '\\x00'::bytea", {})
    await living.connections.disconnect(view.connection_id)
    await asked_in_vain(living, view.connection_id)
    revoked = {grant.id: grant.revoked_by for grant in await living.grants()}
    assert sorted(str(by) for by in revoked.values()) == ["None", "client"]


async def test_bug_the_page_in_the_web_ui_said_active_after_the_end(living: World) -> None:
    view = await living.connected()
    await living.connections.disconnect(view.connection_id)
    await living.connections.receipt(view.connection_id)
    details = await living.details(view.connection_id)
    assert details.startswith("DISCONNECTED since")


async def test_a_revoke_that_is_answered_has_been_stored(living: World) -> None:
    view = await living.connected()
    await living.connections.revoke(view.connection_id)
    assert (await living.connections.view(view.connection_id)).status is ConnectionStatus.REVOKED
    await living.connections.revoke(view.connection_id)


async def test_bug_so_many_grants_that_no_try_came_to_the_last_were_never_all_revoked(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await living.connected()
    for _ in range(4):
        await living.connections.authorize(await living.received_again(view.connection_id))
    monkeypatch.setattr("activities.holding.CALL_DEADLINE", timedelta(seconds=3))
    await living.plant("revoke", "delay", seconds=0.7, times=None)
    await living.connections.disconnect(view.connection_id)
    receipt = await asyncio.wait_for(living.connections.receipt(view.connection_id), 60)
    assert [grant.revoked_by for grant in await living.grants()] == 5 * ["client"]
    assert len(receipt.tokens) == 10
    assert {token.result for token in receipt.tokens} == {Revocation.REVOKED}


async def test_bug_a_last_try_that_came_to_no_asking_shredded_what_lived(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim was held by another; that is our own trouble, and no try."""
    monkeypatch.setattr("activities.holding.CLAIM_PATIENCE", timedelta(seconds=1))
    view = await living.connected()
    claim = await take(living.database, view.connection_id, Purpose.AUTHORIZATION)
    assert isinstance(claim, Claim)
    holding = asyncio.create_task(Holding(claim, boottime()).keep(living.database))
    await living.connections.revoke(view.connection_id)
    begun = asyncio.create_task(living.connections.begin_authorization(view.connection_id))
    await asyncio.wait([begun], timeout=3)
    assert not begun.done()
    assert (await living.connections.view(view.connection_id)).receipt is None
    holding.cancel()
    await begun
    assert (await living.grant()).revoked_by == "client"


async def test_bug_tokens_of_a_failed_authorization_lived_on_when_its_answer_was_lost(
    living: World,
) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    await living.plant("token", "answer", patch={"token_type": "mac"})
    question = Authenticate(connection_id=begun.connection_id, attempt_id=begun.attempt_id)
    await living.perform(Authentication(living.resources).authenticate, question)
    with pytest.raises(Conflict, match="could not be used"):
        await living.connections.authorize(received)

    async def is_revoked() -> bool:
        return (await living.grant()).revoked_by == "client"

    await until(is_revoked)


async def test_a_receipt_is_there_also_where_the_workflow_is_not(living: World) -> None:
    """Bug: a workflow that was started once more after the end took the receipt away."""
    view = await living.connected()
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    start = StartConnection(
        connection_id=view.connection_id, user_id=view.user_id, provider_slug=view.provider_slug
    )
    await living.messaging.start(start, again=True)
    assert await living.connections.receipt(view.connection_id) == receipt
