"""What an operator sees in Temporal's own web UI, and finds by its search, as the README says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import JsonValue
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowUpdateStage

from domain.errors import NeedsUser
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from tests.world import Servers, World, connect_temporal, data_of, new_world, until
from workflows.names import REAUTHORIZE_BY, STATUS_REASON, USER_ID, workflow_id

DAY_S = 24 * 3600
ACCEPTED = WorkflowUpdateStage.ACCEPTED


async def details(world: World, connection_id: UUID) -> str:
    """The text that stands on the workflow's page, asked for as the page does."""
    handle = world.temporal.get_workflow_handle(workflow_id(connection_id))
    metadata: WorkflowMetadata = await handle.query(
        "__temporal_workflow_metadata", result_type=WorkflowMetadata
    )
    return metadata.current_details


async def shown(world: World, connection_id: UUID, *words: str) -> str:
    """The text, once it holds all of these words."""

    async def fact() -> str | None:
        text = await details(world, connection_id)
        return text if all(word in text for word in words) else None

    return await until(fact)


async def test_the_page_of_a_connection_says_how_it_is_and_what_comes_next(living: World) -> None:
    begun = await living.connections.connect(living.slug, living.user_id)
    await shown(living, begun.connection_id, "PENDING since", "until", "The user must act.")
    received = await living.connections.receive_redirect(await living.consent(begun))
    view = await living.connections.authorize(received)
    active = await shown(living, view.connection_id, "ACTIVE since")
    assert "the user authorized it." in active
    assert view.refresh_at is not None
    assert f"it is refreshed {view.refresh_at:%Y-%m-%d %H:%M}" in active
    assert active.endswith("Nobody has to do anything.")


async def test_the_page_of_a_degraded_connection_says_so_and_then_that_it_has_recovered(
    living: World,
) -> None:
    view = await living.connected()
    fault = await living.plant("token", "status", status=503, times=None)
    await living.temporal.get_workflow_handle(workflow_id(view.connection_id)).start_update(
        "ensure_fresh", {"seen_generation": 1, "force": True}, wait_for_stage=ACCEPTED
    )
    degraded = await shown(living, view.connection_id, "Degraded since", "tried again")
    assert degraded.startswith("ACTIVE since")
    assert degraded.endswith("The provider must recover; nobody here has to do anything.")
    await living.sandbox.clear(fault)
    recovered = await shown(living, view.connection_id, "access token 2 ends")
    assert "Degraded" not in recovered


async def test_the_page_of_a_connection_whose_data_is_read_says_when_it_was(
    servers: Servers, tmp_path: Path
) -> None:
    async with new_world(servers, tmp_path, entry=data_of(servers)) as world, world.working():
        view = await world.connected()
        await shown(world, view.connection_id, "ACTIVE since", "Data was read", "; next ")


async def test_the_page_of_an_expired_connection_says_why_and_that_its_user_must_act(
    living: World,
) -> None:
    view = await expired(living)
    text = await shown(living, view.connection_id, "EXPIRED since")
    assert "the provider says the grant is no longer valid." in text
    assert text.endswith("The user must act.")


async def test_the_page_of_a_revoked_connection_says_what_became_of_its_tokens(
    living: World,
) -> None:
    view = await living.connected()
    await living.connections.revoke(view.connection_id)
    text = await shown(living, view.connection_id, "REVOKED since", "all secrets are destroyed")
    assert "refresh token: revoked; access token: revoked" in text


async def test_the_page_of_a_disconnected_connection_says_that_it_is_over(
    living: World,
) -> None:
    view = await living.connected()
    await living.connections.disconnect(view.connection_id)
    await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    text = await shown(living, view.connection_id, "DISCONNECTED since", "this connection is over")
    assert "refresh token: revoked; access token: revoked" in text
    assert text.endswith("Nobody has to do anything.")


async def test_the_page_is_closed_to_whoever_has_not_the_keys(living: World) -> None:
    view = await living.connected()
    await living.connections.rename(view.connection_id, "my secret hobby")
    stranger = await connect_temporal(living.servers, None)
    handle = stranger.get_workflow_handle(workflow_id(view.connection_id))
    with pytest.raises(KeyError, match="binary/encrypted"):
        await handle.query("__temporal_workflow_metadata")


async def expired(world: World) -> ConnectionView:
    await world.behave(refresh_ttl_s=0)
    view = await world.connected()
    with pytest.raises(NeedsUser):
        await world.connections.refresh(view.connection_id)
    return await world.becomes(view.connection_id, ConnectionStatus.EXPIRED)


async def found(world: World, query: str) -> set[str]:
    """The workflows that the search finds of this world's provider."""
    query = f"{query} AND ProviderSlug = '{world.slug}'"
    return {each.id async for each in world.temporal.list_workflows(query)}


async def is_found(world: World, query: str, *connection_ids: UUID) -> None:
    """Until the search finds exactly these; it is told with a delay."""
    wanted = {workflow_id(each) for each in connection_ids}

    async def fact() -> bool:
        return await found(world, query) == wanted

    await until(fact)


async def test_all_that_wait_for_their_users_are_found_by_status_and_provider(
    living: World,
) -> None:
    waits = await expired(living)
    await living.behave(refresh_ttl_s=None)
    active = await living.connected()
    await is_found(living, "ConnectionStatus = 'expired'", waits.connection_id)
    await is_found(living, "ConnectionStatus = 'active'", active.connection_id)
    await is_found(living, "StatusReason = 'grant_expired'", waits.connection_id)
    both = waits.connection_id, active.connection_id
    await is_found(living, f"UserId = '{living.user_id}'", *both)
    begun = await living.connections.begin_authorization(waits.connection_id)
    url = await living.connections.provider_url(begun.attempt_id)
    back = await living.connections.receive_redirect(await living.sandbox.authorize(url))
    await living.connections.authorize(back)
    await is_found(living, "ConnectionStatus = 'active'", *both)
    await living.connections.disconnect(active.connection_id)
    await is_found(living, "ConnectionStatus = 'disconnected'", active.connection_id)


async def test_those_whose_users_must_act_soon_are_found_by_the_day(
    servers: Servers, tmp_path: Path
) -> None:
    lifetimes: dict[str, JsonValue] = {"lifetimes": {"grant_s": 5 * DAY_S}}
    async with new_world(servers, tmp_path, entry=lifetimes) as world, world.working():
        view = await world.connected()
        assert view.reauthorize_by is not None
        for days, ids in ((6, [view.connection_id]), (4, [])):
            by = datetime.now(UTC) + timedelta(days=days)
            await is_found(world, f"ReauthorizeBy < '{by.isoformat()}'", *ids)
        handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
        attributes = (await handle.describe()).typed_search_attributes
        by = attributes[REAUTHORIZE_BY]
        assert abs(by - view.reauthorize_by) < timedelta(seconds=1)


async def test_a_connection_without_a_known_end_is_nobodys_deadline(living: World) -> None:
    view = await living.connected()
    await is_found(living, "ReauthorizeBy IS NULL", view.connection_id)
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    attributes = (await handle.describe()).typed_search_attributes
    assert attributes.get(REAUTHORIZE_BY) is None
    assert attributes[STATUS_REASON] == "authorized"
    assert attributes[USER_ID] == str(living.user_id)
