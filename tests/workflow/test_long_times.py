"""What happens when time passes: on a server that skips it, so that months take seconds."""

import dataclasses
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import JsonValue
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from activities.resources import ActivityClock
from client.connections import ConnectionsClient
from client.messaging import Messaging
from client.temporal import data_converter
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from tests.world import Servers, World, new_world
from workflows.names import SEARCH_ATTRIBUTES


@dataclasses.dataclass
class Ages:
    """A world in which time can be let pass."""

    world: World
    environment: WorkflowEnvironment

    async def pass_by(self, time: timedelta) -> None:
        # In steps: the server answers only when the time is over, and a call has 30 s for that.
        while time > timedelta(0):
            step = min(time, timedelta(days=3))
            await self.environment.sleep(step)
            time -= step

    async def view(self, connection_id: UUID) -> ConnectionView:
        return await self.world.connections.view(connection_id)

    async def becomes(self, connection_id: UUID, status: ConnectionStatus) -> ConnectionView:
        return await self.world.becomes(connection_id, status)


@pytest.fixture
async def ages(servers: Servers, tmp_path: Path) -> AsyncIterator[Ages]:
    async with aging(servers, tmp_path) as made:
        yield made


@asynccontextmanager
async def aging(servers: Servers, folder: Path, **entry: JsonValue) -> AsyncIterator[Ages]:
    """A world on a server that skips time; ``entry`` changes what is known of its provider."""
    async with new_world(servers, folder, entry=entry) as world, await skipping(world) as skips:
        await add_search_attributes(skips)
        messaging = Messaging(skips.client, world.task_queue)
        aged = dataclasses.replace(
            world,
            temporal=skips.client,
            messaging=messaging,
            connections=ConnectionsClient(messaging, world.database, world.vault, world.catalogue),
            resources=dataclasses.replace(world.resources, clock=ActivityClock()),
        )
        async with aged.working():
            yield Ages(aged, skips)


async def skipping(world: World) -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(Path(sys.executable).parent / "temporal-test-server"),
        data_converter=data_converter(world.codec),
    )


async def add_search_attributes(skips: WorkflowEnvironment) -> None:
    wanted = {
        key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES
    }
    await skips.client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=skips.client.namespace, search_attributes=wanted)
    )


async def test_an_authorization_that_nobody_finishes_fails_after_half_an_hour(ages: Ages) -> None:
    begun = await ages.world.connections.connect(ages.world.slug, ages.world.user_id)
    await ages.pass_by(timedelta(minutes=29))
    assert (await ages.view(begun.connection_id)).status is ConnectionStatus.PENDING
    await ages.pass_by(timedelta(minutes=2))
    view = await ages.becomes(begun.connection_id, ConnectionStatus.FAILED)
    assert view.reason == "authorization_timeout"


async def test_a_connection_that_never_was_active_is_given_up_after_a_day(ages: Ages) -> None:
    begun = await ages.world.connections.connect(ages.world.slug, ages.world.user_id)
    await ages.pass_by(timedelta(minutes=31))
    await ages.becomes(begun.connection_id, ConnectionStatus.FAILED)
    await ages.pass_by(timedelta(hours=23))
    assert (await ages.view(begun.connection_id)).status is ConnectionStatus.FAILED
    await ages.pass_by(timedelta(hours=2))
    view = await ages.becomes(begun.connection_id, ConnectionStatus.DISCONNECTED)
    assert view.reason == "abandoned"


async def test_hourly_tokens_are_refreshed_for_ten_days_and_none_of_them_dies(ages: Ages) -> None:
    await ages.world.behave(access_ttl_s=3600)
    view = await ages.world.connected()
    await ages.pass_by(timedelta(days=10))
    now = await ages.view(view.connection_id)
    assert now.status is ConnectionStatus.ACTIVE
    hours = 10 * 24
    assert hours < now.generation < hours * 1.5
    entries = await ages.world.refreshes()
    assert {entry.presented for entry in entries} == {"current"}


async def test_a_known_end_of_the_grant_expires_the_connection(
    servers: Servers, tmp_path: Path
) -> None:
    async with aging(servers, tmp_path, lifetimes={"grant_s": 7 * 24 * 3600}) as ages:
        view = await ages.world.connected()
        assert view.reauthorize_by is not None
        await ages.pass_by(timedelta(days=6))
        assert (await ages.view(view.connection_id)).status is ConnectionStatus.ACTIVE
        await ages.pass_by(timedelta(days=2))
        expired = await ages.becomes(view.connection_id, ConnectionStatus.EXPIRED)
        assert expired.reason == "grant_expired"


async def test_a_token_that_cannot_be_refreshed_expires_the_connection_at_its_end(
    ages: Ages,
) -> None:
    await ages.world.behave(issue_refresh_token=False, access_ttl_s=7200)
    view = await ages.world.connected()
    await ages.pass_by(timedelta(hours=1))
    assert (await ages.view(view.connection_id)).status is ConnectionStatus.ACTIVE
    await ages.pass_by(timedelta(hours=2))
    expired = await ages.becomes(view.connection_id, ConnectionStatus.EXPIRED)
    assert expired.reason == "not_refreshable"


async def test_a_provider_that_never_confirms_a_revocation_is_given_up_after_a_day(
    ages: Ages,
) -> None:
    view = await ages.world.connected()
    await ages.world.plant("revoke", "status", status=503, times=None)
    await ages.world.connections.disconnect(view.connection_id)
    await ages.pass_by(timedelta(hours=23))
    assert (await ages.view(view.connection_id)).ending
    await ages.pass_by(timedelta(hours=2))
    over = await ages.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    assert over.receipt is not None
    assert {token.result for token in over.receipt.tokens} == {"gave_up"}
    assert over.receipt.shredded
    # Found here: a revocation without Retry-After was tried every second, for a whole day.
    assert len(await ages.world.log("revoke")) < 2 * 200
    assert "ProviderDisconnectionFailed" in await ages.world.event_types(view.connection_id)


async def test_an_outage_of_six_hours_changes_no_status(ages: Ages) -> None:
    await ages.world.behave(access_ttl_s=3600)
    view = await ages.world.connected()
    fault = await ages.world.plant("token", "status", status=503, times=None)
    await ages.pass_by(timedelta(hours=7))
    degraded = await ages.view(view.connection_id)
    assert degraded.status is ConnectionStatus.ACTIVE
    assert degraded.trouble is not None
    assert degraded.trouble.failures < 100
    await ages.world.sandbox.clear(fault)
    await ages.pass_by(timedelta(hours=1))
    assert (await ages.view(view.connection_id)).trouble is None


async def test_a_lifetime_nobody_stated_never_means_never_refresh(ages: Ages) -> None:
    await ages.world.behave(state_expires_in=False)
    view = await ages.world.connected()
    assert view.expires_at is None
    await ages.pass_by(timedelta(days=3, hours=1))
    assert (await ages.view(view.connection_id)).generation == 4
