"""What providers and our own database do to a connection when they fail, and what they do not."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import JsonValue

from domain.errors import NeedsUser, NotFresh
from domain.outcomes import Outcome
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage import provider_apps
from storage.database import run
from storage.tables import ProviderAppRow
from tests.world import World, until


async def test_an_answer_lost_on_the_way_is_asked_for_again_at_once_where_there_is_grace(
    living: World,
) -> None:
    await living.behave(rotation="grace", grace_s=30)
    view = await living.connected()
    await living.plant("token", "drop", when="after_acting", grant_type="refresh_token")
    again = await living.connections.refresh(view.connection_id)
    assert (again.status, again.generation) == ("active", 2)
    lost, found = await living.refreshes()
    assert (lost.answered, lost.rotated) == (False, True)
    assert found.presented == "previous_in_grace"
    types = await living.event_types(view.connection_id)
    assert types[2:] == [
        "ProviderTokenRefreshAttempted",
        "ProviderTokenRefreshFailed",
        "ConnectionDegraded",
        "ProviderTokenRefreshAttempted",
        "ProviderTokenRefreshSucceeded",
        "ConnectionRecovered",
    ]


async def test_an_answer_lost_on_the_way_is_called_a_lost_rotation_where_there_is_no_grace(
    living: World,
) -> None:
    await living.behave(rotation="strict")
    view = await living.connected()
    await living.plant("token", "drop", when="after_acting", grant_type="refresh_token")
    with pytest.raises(NeedsUser):
        await living.connections.refresh(view.connection_id)
    view = await living.connections.view(view.connection_id)
    assert (view.status, view.reason) == ("expired", "lost_rotation")
    explained = await living.connections.explain(view.connection_id)
    assert "lost_rotation" in explained.text
    assert explained.who_must_act == "user"
    # And the provider is left alone: no refresh after its refusal.
    assert len(await living.refreshes()) == 2


async def test_bug_a_provider_that_said_it_had_failed_was_taken_to_have_done_nothing(
    living: World,
) -> None:
    """It had rotated; the loss was then told as an end of the grant, as if the user had left."""
    await living.behave(rotation="strict")
    view = await living.connected()
    body: dict[str, JsonValue] = {"error": "temporarily_unavailable"}
    await living.plant("token", "status", when="after_acting", status=400, body=body)
    with pytest.raises(NeedsUser):
        await living.connections.refresh(view.connection_id)
    view = await living.connections.view(view.connection_id)
    assert (view.status, view.reason) == ("expired", "lost_rotation")


async def test_a_clean_refusal_is_an_expired_grant_and_not_a_lost_rotation(living: World) -> None:
    await living.behave(refresh_ttl_s=0)
    view = await living.connected()
    with pytest.raises(NeedsUser):
        await living.connections.refresh(view.connection_id)
    view = await living.connections.view(view.connection_id)
    assert (view.status, view.reason) == ("expired", "grant_expired")


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"kind": "status", "status": 503}, "transient"),
        ({"kind": "rate_limit", "retry_after": "1"}, "rate_limited"),
        ({"kind": "html", "status": 403}, "transient"),
        ({"kind": "html", "status": 200}, "protocol_error"),
        ({"kind": "drop"}, "ambiguous"),
        ({"kind": "truncate"}, "ambiguous"),
    ],
    ids=lambda value: str(value),
)
async def test_an_outage_degrades_a_connection_and_it_recovers_by_itself(
    living: World, fault: dict[str, str | int], cause: str
) -> None:
    await living.behave(rotation="grace", access_ttl_s=600)
    view = await living.connected()
    fields = {name: value for name, value in fault.items() if name != "kind"}
    fault_id = await living.plant(
        "token", str(fault["kind"]), grant_type="refresh_token", times=None, **fields
    )
    asked = asyncio.ensure_future(living.messaging.refresh_now(view.connection_id, 1))

    async def degraded() -> ConnectionView | None:
        now = await living.connections.view(view.connection_id)
        return now if now.trouble is not None else None

    meanwhile = await until(degraded)
    assert meanwhile.status is ConnectionStatus.ACTIVE
    assert meanwhile.trouble is not None
    assert meanwhile.trouble.cause == cause
    assert "Degraded" in (await living.connections.explain(view.connection_id)).text
    await living.sandbox.clear(fault_id)
    assert (await asked).generation == 2
    assert (await living.connections.view(view.connection_id)).trouble is None
    assert "ConnectionRecovered" in await living.event_types(view.connection_id)


async def test_a_token_endpoint_that_hangs_degrades_a_connection_and_holds_up_nothing_else(
    living: World,
) -> None:
    await living.behave(rotation="grace")
    view = await living.connected()
    fault = await living.plant("token", "hang", grant_type="refresh_token", times=None)
    asked = asyncio.ensure_future(living.messaging.refresh_now(view.connection_id, 1))
    await living.sandbox.logged(
        lambda call: call.client_id == living.client_id and call.fault == "hang"
    )
    # Meanwhile it can be spoken to, and its token be used.
    assert (await living.connections.rename(view.connection_id, "here")).alias == "here"
    assert (await living.connections.lease(view.connection_id)).generation == 1

    async def degraded() -> ConnectionView | None:
        now = await living.connections.view(view.connection_id)
        return now if now.trouble is not None else None

    meanwhile = await until(degraded)  # after the whole patience with one call
    assert meanwhile.status is ConnectionStatus.ACTIVE
    assert meanwhile.trouble is not None
    assert meanwhile.trouble.cause is Outcome.AMBIGUOUS
    explained = await living.connections.explain(view.connection_id)
    assert "answer was lost on the way" in explained.text
    assert explained.who_must_act == "provider"
    await living.sandbox.clear(fault)

    async def recovered() -> bool:
        now = await living.connections.view(view.connection_id)
        return now.trouble is None and now.generation == 2

    await until(recovered)
    await asyncio.gather(asked, return_exceptions=True)
    assert "ConnectionRecovered" in await living.event_types(view.connection_id)


async def test_a_provider_that_says_how_long_to_wait_is_left_alone_for_so_long(
    living: World,
) -> None:
    view = await living.connected()
    await living.plant("token", "rate_limit", retry_after="240", times=None)
    with pytest.raises(NotFresh) as refused:
        await living.connections.refresh(view.connection_id)
    limited = await living.connections.view(view.connection_id)
    assert limited.trouble is not None
    assert limited.trouble.retry_at is not None
    wait = limited.trouble.retry_at - limited.trouble.since
    assert timedelta(seconds=240) <= wait < timedelta(seconds=265)
    assert refused.value.retry_at is not None
    assert abs(refused.value.retry_at - limited.trouble.retry_at) < timedelta(seconds=5)
    # Somebody who wants a token now does not hasten it.
    with pytest.raises(NotFresh):
        await living.messaging.newer_than(view.connection_id, 1, timedelta(0), datetime.now(UTC))
    assert len(await living.refreshes()) == 1


async def test_a_wrong_client_secret_is_the_operators_trouble_and_no_connection_leaves_its_status(
    living: World,
) -> None:
    await living.behave(rotation="grace")
    view = await living.connected()
    await living.sandbox.change_secret(living.client_id, "another")
    # Waiting would not help, so nobody is made to wait.
    with pytest.raises(NotFresh, match="client id or secret"):
        await asyncio.wait_for(living.connections.refresh(view.connection_id), 10)

    async def noted() -> list[ProviderAppRow]:
        async with living.database.transaction() as session:
            return list(await provider_apps.in_trouble(session))

    (app,) = await until(noted)
    assert (app.provider_slug, app.misconfigured_code) == (living.slug, "invalid_client")
    explained = await living.connections.explain(view.connection_id)
    assert (explained.status, explained.who_must_act) == ("active", "operator")
    await living.sandbox.change_secret(living.client_id, f"mlcanary-secret-{living.client_id}")
    assert (await living.connections.refresh(view.connection_id)).generation == 2
    assert await noted() == []


async def test_a_database_that_is_away_when_the_answer_comes_does_not_lose_the_token(
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
    async with living.without_database():
        await living.sandbox.clear(held)
        await until(lambda: is_left_to_temporal(living, view.connection_id))
    assert (await asked).generation == 2
    lease = await living.connections.lease(view.connection_id)
    assert lease.generation == 2
    assert len(await living.refreshes()) == 1


async def is_left_to_temporal(world: World, connection_id: UUID) -> bool:
    """Whether sealed credentials are on their way to the database by way of Temporal."""
    names = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in await world.history(connection_id)
    ]
    return "store_credentials" in names


async def test_a_database_that_is_away_when_the_first_tokens_come_does_not_lose_them(
    living: World,
) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    received = await living.connections.receive_redirect(await living.consent(begun))
    held = await living.plant("token", "delay", seconds=60, when="after_acting")
    asked = asyncio.ensure_future(living.connections.authorize(received))
    await living.sandbox.logged(
        lambda call: call.client_id == living.client_id and call.acted and not call.answered
    )
    async with living.without_database():
        await living.sandbox.clear(held)
        await until(lambda: is_left_to_temporal(living, begun.connection_id))
    view = await asked
    assert (view.status, view.generation) == (ConnectionStatus.ACTIVE, 1)
    assert (await living.connections.lease(begun.connection_id)).generation == 1
    # A code may be exchanged once, and was.
    assert len(await living.log()) == 1


DAMAGES = {
    "a secret that was changed": "UPDATE credentials SET sealed = set_byte(sealed, 20, "
    "(get_byte(sealed, 20) + 1) % 256)",
    "a key that was changed": "UPDATE data_keys SET wrapped = set_byte(wrapped, 20, "
    "(get_byte(wrapped, 20) + 1) % 256)",
    "a keyring without the key": "UPDATE data_keys SET key_id = 'retired'",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_secret_that_does_not_open_is_the_operators_trouble_and_never_the_users(
    living: World, damage: str
) -> None:
    view = await living.connected()
    whole = await stored(living)
    await living.damage(damage)
    with pytest.raises(NotFresh, match="do not open"):
        await asyncio.wait_for(living.connections.refresh(view.connection_id), 10)
    degraded = await living.connections.view(view.connection_id)
    assert degraded.status is ConnectionStatus.ACTIVE
    assert degraded.trouble is not None
    assert degraded.trouble.cause is Outcome.STORAGE_FAULT
    explained = await living.connections.explain(view.connection_id)
    assert explained.who_must_act == "operator"
    assert "do not open" in explained.text
    # Nothing was sent, nothing destroyed, and nobody was told to authorize again.
    assert await living.refreshes() == []
    rows = await living.connections.events(view.connection_id)
    assert [row.type for row in rows[2:5]] == [
        "ProviderTokenRefreshAttempted",
        "ProviderTokenRefreshFailed",
        "ConnectionDegraded",
    ]
    assert not any(row.data.get("needs_user_action") for row in rows)
    async with living.database.transaction() as session:
        await run(session, RESTORE_CREDENTIALS, whole)
        await run(session, RESTORE_KEY, whole)
    assert (await living.connections.refresh(view.connection_id)).generation == 2
    assert (await living.connections.view(view.connection_id)).trouble is None


RESTORE_CREDENTIALS = "UPDATE credentials SET sealed = :sealed"
RESTORE_KEY = "UPDATE data_keys SET wrapped = :wrapped, key_id = :key_id"


async def stored(world: World) -> dict[str, object]:
    """What is stored of the one secret there is."""
    query = "SELECT sealed, wrapped, key_id FROM credentials, data_keys"
    async with world.database.transaction() as session:
        return dict((await run(session, query, {})).one()._mapping)
