"""Authorizing again: what it replaces, and what it must not bring back."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.authenticate import Authentication
from activities.payloads import Authenticate, ShredCredentials
from activities.shred_credentials import Shredding
from domain.errors import Conflict
from domain.status import ConnectionStatus, StatusReason
from domain.view import Receipt
from storage import attempts
from storage.connections import locked
from storage.database import now, run
from tests.stored import Stored
from tests.world import World, until


async def test_bug_an_authorization_that_was_used_before_revived_what_had_ended(
    living: World,
) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    view = await living.connections.authorize(received)
    again_at_once = await living.connections.authorize(received)
    assert (again_at_once.status, again_at_once.generation) == (ConnectionStatus.ACTIVE, 1)
    assert len(await living.log()) == 1
    await living.connections.revoke(view.connection_id)
    for _ in range(2):
        with pytest.raises(Conflict, match="used before"):
            await living.connections.authorize(received)
    shown = await living.connections.view(view.connection_id)
    assert shown.status is ConnectionStatus.REVOKED
    assert (await living.connections.rename(view.connection_id, "alive")).alias == "alive"


async def test_bug_an_old_authorization_made_an_expired_connection_active(living: World) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    view = await living.connections.authorize(received)
    await living.plant("token", "status", status=400, body={"error": "invalid_grant"})
    with pytest.raises(Exception, match="expired"):
        await living.connections.refresh(view.connection_id)
    await living.becomes(view.connection_id, ConnectionStatus.EXPIRED)
    with pytest.raises(Conflict, match="used before"):
        await living.connections.authorize(received)
    assert (await living.connections.view(view.connection_id)).status is ConnectionStatus.EXPIRED


async def test_bug_what_a_new_authorization_replaced_lived_on_at_the_provider(
    living: World,
) -> None:
    view = await living.connected()
    for generation in (2, 3):
        received = await living.received_again(view.connection_id)
        assert (await living.connections.authorize(received)).generation == generation
    assert [grant.revoked_by for grant in await living.grants()] == [None, None, None]
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    assert [grant.revoked_by for grant in await living.grants()] == 3 * ["client"]
    names = [token.token for token in receipt.tokens]
    assert names.count("refresh_token") == 1
    assert names.count("replaced refresh_token") == 2
    assert {token.result for token in receipt.tokens} == {"revoked"}


async def test_bug_an_answer_nobody_can_use_replaced_tokens_that_worked(living: World) -> None:
    view = await living.connected()
    before = await living.connections.lease(view.connection_id)
    received = await living.received_again(view.connection_id)
    await living.plant("token", "answer", patch={"token_type": "mac"})
    with pytest.raises(Conflict, match="could not be used"):
        await living.connections.authorize(received)
    after = await living.connections.lease(view.connection_id)
    assert after.access_token == before.access_token
    assert (await living.connections.refresh(view.connection_id)).status is ConnectionStatus.ACTIVE
    await living.connections.disconnect(view.connection_id)
    await living.connections.receipt(view.connection_id)
    assert [grant.revoked_by for grant in await living.grants()] == ["client", "client"]


async def test_a_first_answer_nobody_can_use_fails_and_is_revoked(living: World) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    await living.plant("token", "answer", patch={"token_type": "mac"})
    with pytest.raises(Conflict, match="could not be used"):
        await living.connections.authorize(received)

    async def is_revoked() -> bool:
        return (await living.grant()).revoked_by == "client"

    await until(is_revoked)
    view = await living.connections.view(begun.connection_id)
    assert view.status is not ConnectionStatus.ACTIVE


async def test_bug_tokens_of_an_exchange_that_was_thought_dead_lived_on(living: World) -> None:
    """Its heartbeat was missed, a second attempt failed the authorization, then the tokens came."""
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    held = await living.plant("token", "hang", when="after_acting")
    question = Authenticate(connection_id=received.connection_id, attempt_id=received.attempt_id)
    work = Authentication(living.resources).authenticate
    first = asyncio.create_task(ActivityEnvironment().run(work, question))
    await living.sandbox.logged(lambda call: call.client_id == living.client_id)
    second = await ActivityEnvironment().run(work, question)
    assert (second.reason, second.revocable) == (StatusReason.EXCHANGE_INTERRUPTED, True)
    await living.sandbox.clear(held)
    late = await first
    assert (late.reason, late.revocable) == (StatusReason.EXCHANGE_INTERRUPTED, True)
    await living.connections.disconnect(received.connection_id)
    receipt = await living.connections.receipt(received.connection_id)
    assert (await living.grant()).revoked_by == "client"
    assert {token.token for token in receipt.tokens} >= {"orphaned refresh_token"}


async def test_a_claim_under_which_nothing_could_be_sent_is_given_back_at_once(
    living: World,
) -> None:
    """Else the next one waits ten seconds, and a clean refusal is called a lost rotation."""
    view = await living.connected()
    received = await living.received_again(view.connection_id)
    async with living.database.transaction() as session:
        await run(
            session, "UPDATE authorization_attempts SET code_until = now() - interval '1h'", {}
        )
    with pytest.raises(Conflict):
        await living.connections.authorize(received)
    began = datetime.now(UTC)
    assert (await living.connections.refresh(view.connection_id)).generation == 2
    async with living.database.transaction() as session:
        open_ = await run(session, "SELECT count(*) FROM refresh_journal WHERE outcome IS NULL", {})
        assert open_.scalar_one() == 0
    assert (datetime.now(UTC) - began).total_seconds() < 9


async def test_bug_an_authorization_from_before_a_shredding_was_called_a_storage_fault(
    living: World,
) -> None:
    """One that was begun while the exchange before it was about to be given up, and revoked."""
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    request = ShredCredentials(
        connection_id=begun.connection_id,
        receipt=Receipt(connection_id=begun.connection_id, shredded=True),
    )
    await living.perform(Shredding(living.resources).shred_credentials, request)
    with pytest.raises(Conflict, match="begin anew"):
        await living.connections.authorize(received)
    assert await living.log() == []


async def test_bug_a_code_destroyed_while_its_exchange_waited_was_called_a_broken_secret(
    living: World,
) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    request = Authenticate(connection_id=begun.connection_id, attempt_id=received.attempt_id)
    async with living.database.transaction() as session:
        await locked(session, begun.connection_id)
        exchanging = asyncio.ensure_future(
            living.perform(Authentication(living.resources).authenticate, request)
        )

        await Stored(living.database, living.vault, "").somebody_waits()
        async with living.database.transaction() as other:
            later = await now(other) + timedelta(minutes=2)
            await attempts.destroy_late_codes(other, later)
    assert (await exchanging).reason is StatusReason.AUTHORIZATION_TIMEOUT
    assert await living.log() == []
    # The claim has been given back: another attempt gets its turn at once.
    again = await living.received_again(begun.connection_id)
    assert (await living.connections.authorize(again)).status is ConnectionStatus.ACTIVE
