"""It must end at once when the person says so: whatever is under way, and whoever is away."""

import asyncio
from uuid import UUID, uuid4

import pytest

from domain.errors import Conflict, NeedsUser, NotFound
from domain.status import ConnectionStatus
from domain.view import ConnectionView, Receipt
from tests.world import World, until
from workflows.connection import ConnectionWorkflow
from workflows.names import workflow_id


async def test_no_lease_succeeds_once_a_disconnect_is_acknowledged(living: World) -> None:
    view = await living.connected()
    stop = asyncio.Event()
    acknowledged = asyncio.Event()
    late: list[int] = []

    async def lease_again_and_again() -> None:
        while not stop.is_set():
            before = acknowledged.is_set()
            try:
                await living.connections.lease(view.connection_id)
            except (Conflict, NeedsUser):
                continue
            late.extend([1] if before else [])

    leasing = [asyncio.ensure_future(lease_again_and_again()) for _ in range(5)]
    await living.connections.disconnect(view.connection_id)
    acknowledged.set()
    await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    stop.set()
    await asyncio.gather(*leasing)
    assert late == []


async def test_a_disconnect_in_the_middle_of_an_exchange_revokes_the_new_token(
    living: World,
) -> None:
    await living.behave(rotation="strict")
    view = await living.connected()
    held = await living.plant(
        "token", "delay", seconds=60, when="after_acting", grant_type="refresh_token"
    )
    asked = asyncio.ensure_future(living.messaging.refresh_now(view.connection_id, 1))
    grant = await living.grant()
    await living.sandbox.logged(lambda e: e.rotated and not e.answered, grant_id=grant.id)
    await living.connections.disconnect(view.connection_id)
    with pytest.raises(Conflict):
        await living.connections.lease(view.connection_id)
    await living.sandbox.clear(held)
    receipt = await living.connections.receipt(view.connection_id)
    # Also that of the answer which came late: it was kept, and so it is not uncertain.
    assert {token.result for token in receipt.tokens} == {"revoked"}
    assert (await living.grant()).revoked_by == "client"
    await asyncio.gather(asked, return_exceptions=True)
    # The end was stored first: what came late changed no row, and was revoked as an orphan.
    assert (await living.connections.view(view.connection_id)).generation == 1


async def test_a_revoke_in_the_middle_of_an_exchange_revokes_the_new_token(living: World) -> None:
    await living.behave(rotation="strict")
    view = await living.connected()
    held = await living.plant(
        "token", "delay", seconds=60, when="after_acting", grant_type="refresh_token"
    )
    asked = asyncio.ensure_future(living.messaging.refresh_now(view.connection_id, 1))
    grant = await living.grant()
    await living.sandbox.logged(lambda e: e.rotated and not e.answered, grant_id=grant.id)
    await living.connections.revoke(view.connection_id)
    await living.becomes(view.connection_id, ConnectionStatus.REVOKED)
    with pytest.raises(NeedsUser):
        await living.connections.lease(view.connection_id)
    await living.sandbox.clear(held)
    await until(lambda: receipt_of(living, view.connection_id))
    assert (await living.grant()).revoked_by == "client"
    await asyncio.gather(asked, return_exceptions=True)


async def test_a_provider_that_is_away_delays_the_end_but_not_its_effect(living: World) -> None:
    view = await living.connected()
    fault = await living.plant("revoke", "status", status=503, times=None)
    await living.connections.disconnect(view.connection_id)
    with pytest.raises(Conflict):
        await living.connections.lease(view.connection_id)
    await living.sandbox.logged(lambda e: e.status == 503, endpoint="revoke")
    ending = await living.connections.view(view.connection_id)
    assert ending.ending
    assert ending.status is ConnectionStatus.ACTIVE
    await living.sandbox.clear(fault)
    receipt = await living.connections.receipt(view.connection_id)
    assert {token.result for token in receipt.tokens} == {"revoked"}


async def test_a_provider_that_cannot_revoke_is_said_so_in_the_receipt(living: World) -> None:
    await living.behave(revocation_supported=False)
    view = await living.connected()
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    fates = {token.token: token for token in receipt.tokens}
    assert fates["refresh_token"].result == "unsupported"
    assert fates["access_token"].dies_at == view.expires_at
    assert receipt.shredded


async def lost_rotation(living: World) -> ConnectionView:
    """A connection whose rotated token never reached us, at a provider without grace: EXPIRED."""
    await living.behave(rotation="strict")
    view = await living.connected()
    await living.plant("token", "drop", when="after_acting", grant_type="refresh_token")
    with pytest.raises(NeedsUser):
        await living.connections.refresh(view.connection_id)
    return await living.becomes(view.connection_id, ConnectionStatus.EXPIRED)


async def test_an_answer_that_was_lost_leaves_an_uncertain_token_in_the_receipt(
    living: World,
) -> None:
    view = await lost_rotation(living)
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    fates = {token.token: token.result for token in receipt.tokens}
    assert fates.pop("lost answer") == "uncertain"
    assert set(fates.values()) == {"revoked"}
    explained = await living.connections.explain(view.connection_id)
    assert "lost answer: uncertain" in explained.text


async def test_bug_a_grant_whose_authorization_was_lost_was_missing_in_the_receipt(
    living: World,
) -> None:
    """The provider made it, and its tokens never reached us: it lives on, and nobody can end it."""
    view = await living.connected()
    await living.plant("token", "drop", when="after_acting")
    with pytest.raises(Conflict, match="interrupted"):
        await living.connections.authorize(await living.received_again(view.connection_id))
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    fates = {token.token: token.result for token in receipt.tokens}
    assert fates["lost answer"] == "uncertain"
    assert sorted(str(grant.revoked_by) for grant in await living.grants()) == ["None", "client"]


async def test_bug_a_first_authorization_that_was_lost_left_an_empty_receipt(living: World) -> None:
    await living.plant("token", "drop", when="after_acting")
    with pytest.raises(Conflict, match="interrupted"):
        await living.connected()
    (view,) = await living.connections.list(user_id=living.user_id)
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    assert [(token.token, token.result) for token in receipt.tokens] == [
        ("lost answer", "uncertain")
    ]
    assert (await living.grant()).revoked_by is None


async def test_an_authorization_that_the_provider_refused_leaves_nothing_uncertain(
    living: World,
) -> None:
    view = await living.connected()
    await living.plant("token", "status", status=400, body={"error": "invalid_grant"})
    with pytest.raises(Conflict, match="refused"):
        await living.connections.authorize(await living.received_again(view.connection_id))
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    assert {token.result for token in receipt.tokens} == {"revoked"}


async def test_bug_a_lost_rotation_was_forgotten_when_the_user_authorized_anew(
    living: World,
) -> None:
    view = await lost_rotation(living)
    await living.connections.authorize(await living.received_again(view.connection_id))
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    assert ("lost answer", "uncertain") in {(t.token, t.result) for t in receipt.tokens}


async def test_bug_a_key_that_was_missing_for_a_moment_counted_as_a_revocation(
    living: World,
) -> None:
    view = await living.connected()
    await living.damage("UPDATE data_keys SET key_id = 'retired'")
    await living.connections.disconnect(view.connection_id)

    async def was_tried() -> bool:
        revoking = (await living.connections.view(view.connection_id)).revoking
        return revoking is not None and revoking.tries > 0

    await until(was_tried)
    assert await living.log("revoke") == []
    await living.damage("UPDATE data_keys SET key_id = 'test'")
    receipt = await living.connections.receipt(view.connection_id)
    assert {token.result for token in receipt.tokens} == {"revoked"}
    assert (await living.grant()).revoked_by == "client"


async def test_a_revoke_before_the_user_has_finished_fails_the_connection(living: World) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    await living.connections.revoke(begun.connection_id)
    view = await living.becomes(begun.connection_id, ConnectionStatus.FAILED)
    assert view.reason == "user_revoked"


async def test_a_link_that_was_begun_before_a_revoke_is_void_after_it(living: World) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    back = await living.consent(begun)
    await living.connections.revoke(begun.connection_id)
    await living.becomes(begun.connection_id, ConnectionStatus.FAILED)
    await until(lambda: receipt_of(living, begun.connection_id))
    with pytest.raises(Conflict, match="begin anew"):
        await living.connections.receive_redirect(back)
    assert await living.log() == []


async def test_a_revoke_by_signal_alone_voids_links_also_where_no_status_changes(
    living: World,
) -> None:
    view = await living.connected()
    await living.connections.revoke(view.connection_id)
    await until(lambda: receipt_of(living, view.connection_id))
    begun = await living.connections.begin_authorization(view.connection_id)
    back = await living.sandbox.authorize(await living.connections.provider_url(begun.attempt_id))
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await handle.signal("revoke")

    async def is_void() -> bool:
        attempt = (await handle.query(ConnectionWorkflow.view)).attempt
        return attempt is not None and attempt.reason == "user_revoked"

    await until(is_void)
    with pytest.raises(Conflict, match="begin anew"):
        await living.connections.receive_redirect(back)


async def test_an_authorization_that_finishes_after_a_revoke_does_not_bring_it_to_life(
    living: World,
) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    held = await living.plant("token", "delay", seconds=60, when="after_acting")
    asked = asyncio.ensure_future(living.connections.authorize(received))
    grant = await until(lambda: grant_of(living))
    await living.connections.revoke(begun.connection_id)
    await living.becomes(begun.connection_id, ConnectionStatus.FAILED)
    await living.sandbox.clear(held)
    with pytest.raises(Conflict):
        await asked
    await until(lambda: receipt_of(living, begun.connection_id))
    assert (await living.sandbox.grant(grant)).revoked_by == "client"
    view = await living.connections.view(begun.connection_id)
    assert (view.status, view.reason) == ("failed", "user_revoked")


async def test_a_second_disconnect_and_messages_after_the_end_do_no_harm(living: World) -> None:
    view = await living.connected()
    await living.connections.disconnect(view.connection_id)
    await living.connections.disconnect(view.connection_id)
    await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    await living.connections.disconnect(view.connection_id)
    await living.connections.revoke(view.connection_id)
    with pytest.raises(Conflict):
        await living.connections.begin_authorization(view.connection_id)
    with pytest.raises(Conflict):
        await living.connections.lease(view.connection_id)
    with pytest.raises(Conflict):
        await living.connections.rename(view.connection_id, "too late")
    with pytest.raises(Conflict):
        await living.connections.connect(
            living.slug, living.user_id, connection_id=view.connection_id
        )


async def test_messages_to_a_connection_that_never_was_are_answered_with_not_found(
    living: World,
) -> None:
    nobody = uuid4()
    for call in (
        living.connections.revoke(nobody),
        living.connections.disconnect(nobody),
        living.connections.lease(nobody),
        living.connections.view(nobody),
        living.connections.begin_authorization(nobody),
        living.connections.rename(nobody, None),
    ):
        with pytest.raises(NotFound):
            await call


async def test_a_disconnect_by_signal_alone_ends_it_as_well(living: World) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await handle.signal("disconnect")
    await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    result = await living.connections.receipt(view.connection_id)
    assert result.shredded


async def receipt_of(living: World, connection_id: UUID) -> Receipt | None:
    return (await living.connections.view(connection_id)).receipt


async def grant_of(living: World) -> str | None:
    grants = [g for g in await living.sandbox.grants() if g.client_id == living.client_id]
    return grants[0].id if grants else None
