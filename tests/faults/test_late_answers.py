"""An answer that comes when its asker has been overtaken: kept and used, or revoked, never left.

The overtaken process is this one: an activity of its own beside the worker's, whose claim is taken
from it while the provider's answer is on the way.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from pydantic import JsonValue
from sqlmodel import select

from activities.authenticate import Authentication
from activities.payloads import Authenticate, RefreshCredentials, Refreshed, ShredCredentials
from activities.refresh import Refresh
from activities.shred_credentials import Shredding
from domain.errors import Conflict
from domain.status import ConnectionStatus, StatusReason
from domain.view import Receipt
from storage import claims
from storage.claims import Claim, Purpose, take
from storage.database import run
from storage.tables import JournalRow
from tests.world import World, until


@asynccontextmanager
async def overtaken(world: World, connection_id: UUID) -> AsyncIterator[asyncio.Future[Refreshed]]:
    """A refresh that has rotated the token, and lost its claim before it learns the answer.

    Its answer arrives when the block ends.
    """
    held = await world.plant(
        "token", "delay", seconds=600, when="after_acting", grant_type="refresh_token"
    )
    request = RefreshCredentials(connection_id=connection_id, generation=1)
    refreshing = asyncio.ensure_future(
        world.perform(Refresh(world.resources).refresh_credentials, request)
    )
    grant = await world.grant()
    await world.sandbox.logged(lambda call: call.rotated and not call.answered, grant_id=grant.id)

    async def taken() -> Claim | None:
        await lapse(world, connection_id)
        claim = await take(world.database, connection_id, Purpose.REFRESH, 1)
        return claim if isinstance(claim, Claim) else None

    await until(taken)
    await lapse(world, connection_id)  # whoever took it has died before it sent anything
    yield refreshing
    await world.sandbox.clear(held)


async def lapse(world: World, connection_id: UUID) -> None:
    """The lease has run out: its holder does not renew it any more."""
    statement = "UPDATE credentials SET lease_until = 'epoch' WHERE connection_id = :id"
    async with world.database.transaction() as session:
        await run(session, statement, {"id": connection_id})


async def test_an_answer_that_came_too_late_is_kept_and_tried_before_the_token_it_replaced(
    living: World,
) -> None:
    await living.behave(rotation="strict")
    view = await living.connected()
    async with overtaken(living, view.connection_id) as refreshing:
        pass
    there = (await refreshing).standing
    assert there is not None
    assert there.generation == 1
    async with living.database.transaction() as session:
        (orphan,) = await claims.orphans(session, view.connection_id)
    assert (orphan.generation, orphan.purpose) == (2, Purpose.REFRESH)
    # The stored token was rotated out: presenting it would be taken for theft, and end the grant.
    again = await living.connections.refresh(view.connection_id)
    assert (again.status, again.generation) == (ConnectionStatus.ACTIVE, 2)
    assert [call.presented for call in await living.refreshes()] == ["current", "current"]
    assert (await living.grant()).revoked_by is None


async def test_a_late_answer_is_revoked_with_all_others_when_the_user_disconnects(
    living: World,
) -> None:
    await living.behave(rotation="strict")
    view = await living.connected()
    async with overtaken(living, view.connection_id) as refreshing:
        pass
    await refreshing
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    fates = {token.token: token.result for token in receipt.tokens}
    assert fates["orphaned refresh_token"] == fates["orphaned access_token"] == "revoked"
    assert (await living.grant()).revoked_by == "client"


async def test_a_refreshed_token_that_nobody_can_open_any_more_is_revoked_at_the_provider(
    living: World,
) -> None:
    await living.behave(rotation="strict", revocation_supported=False)
    view = await living.connected()
    async with overtaken(living, view.connection_id) as refreshing:
        await living.connections.disconnect(view.connection_id)
        assert (await living.connections.receipt(view.connection_id)).shredded
        assert (await living.grant()).revoked_by is None
        before = len(await living.log("revoke"))
        await living.behave(revocation_supported=True)
    assert (await refreshing).envelope is None
    fresh = (await living.log("revoke"))[before:]
    assert [call.presented for call in fresh] == ["current", "revoked"]
    assert (await living.grant()).revoked_by == "client"
    async with living.database.transaction() as session:
        assert await claims.orphans(session, view.connection_id) == []


async def test_an_authorization_that_nobody_can_open_any_more_is_revoked_at_the_provider(
    living: World,
) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    held = await living.plant("token", "delay", seconds=600, when="after_acting")
    request = Authenticate(connection_id=begun.connection_id, attempt_id=received.attempt_id)
    exchanging = asyncio.ensure_future(
        living.perform(Authentication(living.resources).authenticate, request)
    )

    async def is_held() -> bool:
        return any(call.acted and not call.answered for call in await living.log())

    await until(is_held)
    over = Receipt(connection_id=begun.connection_id, shredded=True)
    request_to_shred = ShredCredentials(connection_id=begun.connection_id, receipt=over)
    await living.perform(Shredding(living.resources).shred_credentials, request_to_shred)
    await living.sandbox.clear(held)
    answer = await exchanging
    assert (answer.reason, answer.standing) == (StatusReason.EXCHANGE_INTERRUPTED, None)
    assert (await living.grant()).revoked_by == "client"
    async with living.database.transaction() as session:
        (row,) = (await session.exec(select(JournalRow))).all()
    assert row.outcome == "unreadable"


async def test_bug_an_answer_that_was_kept_and_revoked_was_called_lost_on_the_receipt(
    living: World,
) -> None:
    """The journal said only that the provider had acted, not that we have what it sent."""
    await living.behave(rotation="strict")
    view = await living.connected()
    held = await living.plant(
        "token", "delay", seconds=600, when="after_acting", grant_type="refresh_token"
    )
    request = RefreshCredentials(connection_id=view.connection_id, generation=1)
    refreshing = asyncio.ensure_future(
        living.perform(Refresh(living.resources).refresh_credentials, request)
    )
    grant = await living.grant()
    await living.sandbox.logged(lambda call: call.rotated and not call.answered, grant_id=grant.id)
    await living.connections.disconnect(view.connection_id)
    await living.sandbox.clear(held)
    await refreshing
    receipt = await living.connections.receipt(view.connection_id)
    fates = {token.token: token.result for token in receipt.tokens}
    assert fates["orphaned refresh_token"] == "revoked"
    assert "lost answer" not in fates
    assert (await living.grant()).revoked_by == "client"


async def test_bug_the_receipt_was_silent_about_a_lost_answer_to_an_authorization(
    living: World,
) -> None:
    """Its tokens live on at the provider, and nobody can revoke them from here."""
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    await living.plant("token", "drop", when="after_acting")
    with pytest.raises(Conflict, match="interrupted"):
        await living.connections.authorize(received)
    received = await living.received_again(begun.connection_id)
    assert (await living.connections.authorize(received)).status is ConnectionStatus.ACTIVE
    await living.connections.disconnect(begun.connection_id)
    receipt = await living.connections.receipt(begun.connection_id)
    fates = {token.token: token.result for token in receipt.tokens}
    assert fates.pop("lost answer") == "uncertain"
    assert set(fates.values()) == {"revoked"}
    assert [grant.live for grant in await living.grants()] == [True, False]


async def test_a_code_that_was_refused_leaves_nothing_uncertain(living: World) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    refusal: dict[str, JsonValue] = {"error": "invalid_grant"}
    await living.plant("token", "status", status=400, body=refusal)
    with pytest.raises(Conflict):
        await living.connections.authorize(received)
    received = await living.received_again(begun.connection_id)
    await living.connections.authorize(received)
    await living.connections.disconnect(begun.connection_id)
    receipt = await living.connections.receipt(begun.connection_id)
    assert {token.result for token in receipt.tokens} == {"revoked"}
