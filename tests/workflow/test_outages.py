"""What providers and our own database do to a connection when they fail, and what they do not."""

import asyncio

import pytest

from domain.errors import NeedsUser, NotFresh
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage import provider_apps
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
        handle = living.temporal.get_workflow_handle(f"connection-{view.connection_id}")

        async def spilled() -> bool:
            events = [event async for event in handle.fetch_history_events()]
            names = [e.activity_task_scheduled_event_attributes.activity_type.name for e in events]
            return "store_credentials" in names

        await until(spilled)
    assert (await asked).generation == 2
    lease = await living.connections.lease(view.connection_id)
    assert lease.generation == 2
    assert len(await living.refreshes()) == 1
