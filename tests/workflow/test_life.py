"""A connection's life on real parts: Temporal, PostgreSQL, and a provider spoken to over HTTP."""

from itertools import pairwise

import pytest

from domain.errors import Conflict, NeedsUser
from domain.status import ConnectionStatus, StatusReason
from tests.world import World, until


async def test_a_connection_becomes_active_by_a_real_login(living: World) -> None:
    view = await living.connected()
    assert view.status is ConnectionStatus.ACTIVE
    assert view.reason is StatusReason.AUTHORIZED
    assert view.generation == 1
    lease = await living.connections.lease(view.connection_id)
    assert lease.access_token.reveal().startswith("mlcanary-at-")


async def test_access_tokens_are_refreshed_before_they_end(living: World) -> None:
    lives_s = 6.0
    await living.behave(access_ttl_s=lives_s)
    view = await living.connected()

    async def refreshed_twice() -> bool:
        return len([call for call in await living.refreshes() if call.answered]) >= 2

    await until(refreshed_twice)
    assert (await living.connections.view(view.connection_id)).status is ConnectionStatus.ACTIVE
    # Each call brought a token that ends so long after it, by the provider's own clock.
    calls = [call for call in await living.log() if call.answered]
    for issued, following in pairwise(calls):
        assert following.presented == "current"
        assert lives_s / 4 < following.started_at - issued.started_at < lives_s


async def test_a_revoked_connection_is_revoked_at_the_provider_and_shredded(living: World) -> None:
    view = await living.connected()
    await living.connections.revoke(view.connection_id)
    await living.becomes(view.connection_id, ConnectionStatus.REVOKED)

    async def shredded() -> bool:
        receipt = (await living.connections.view(view.connection_id)).receipt
        return receipt is not None and receipt.shredded

    await until(shredded)
    view = await living.connections.view(view.connection_id)
    assert view.receipt is not None
    assert {(t.token, t.result) for t in view.receipt.tokens} == {
        ("refresh_token", "revoked"),
        ("access_token", "revoked"),
    }
    (grant,) = [g for g in await living.sandbox.grants() if g.client_id == living.client_id]
    assert grant.revoked_by == "client"


async def test_a_revoked_connection_comes_back_under_the_same_id(living: World) -> None:
    view = await living.connected()
    await living.connections.revoke(view.connection_id)
    await living.becomes(view.connection_id, ConnectionStatus.REVOKED)
    begun = await living.connections.begin_authorization(view.connection_id)
    url = await living.connections.provider_url(begun.attempt_id)
    received = await living.connections.receive_redirect(await living.sandbox.authorize(url))
    again = await living.connections.authorize(received)
    assert again.connection_id == view.connection_id
    assert again.status is ConnectionStatus.ACTIVE
    assert again.connected_at == view.connected_at


async def test_a_disconnected_connection_is_over(living: World) -> None:
    view = await living.connected()
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    assert receipt.shredded
    assert {t.result for t in receipt.tokens} == {"revoked"}
    view = await living.connections.view(view.connection_id)
    assert view.status is ConnectionStatus.DISCONNECTED
    assert await living.event_types(view.connection_id) == [
        "ProviderConnectionAttempted",
        "ProviderConnectionSucceeded",
        "ProviderDisconnectionAttempted",
        "ProviderDisconnectionSucceeded",
        "CredentialsShredded",
    ]


async def test_a_user_who_declines_fails_the_connection(living: World) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun, "deny"))
    with pytest.raises(Conflict, match="declined"):
        await living.connections.authorize(received)
    view = await living.connections.view(begun.connection_id)
    assert (view.status, view.reason) == ("failed", "authorization_denied")


async def test_access_taken_away_at_the_provider_is_found_at_the_next_refresh(
    living: World,
) -> None:
    view = await living.connected()
    (grant,) = [g for g in await living.sandbox.grants() if g.client_id == living.client_id]
    await living.sandbox.take_away(grant.id)
    with pytest.raises(NeedsUser):
        await living.connections.refresh(view.connection_id)
    view = await living.connections.view(view.connection_id)
    assert (view.status, view.reason) == ("revoked", "provider_revoked")
