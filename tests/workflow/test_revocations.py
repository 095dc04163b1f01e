"""Telling the provider: nothing of ours that is missing or broken counts as having told it."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from domain.explanation import explain
from domain.outcomes import Revocation
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage.database import now, run
from tests.world import Servers, World, new_world, until

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
