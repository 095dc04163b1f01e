"""What happens when time passes: on a server that skips it, so that months take seconds."""

import dataclasses
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import JsonValue
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from activities.resources import ActivityClock
from client.connections import ConnectionsClient
from client.messaging import Messaging
from client.temporal import data_converter
from domain.credentials import CredentialType
from domain.status import ConnectionStatus, StatusReason
from domain.view import ConnectionView
from providers.sandbox.remote import NewKey
from tests.given import CERTIFIED, brought, certifying
from tests.world import (
    BROKER,
    Servers,
    World,
    administrator,
    data_of,
    new_world,
    run_before,
    write_broker,
)
from workflows.names import SEARCH_ATTRIBUTES, workflow_id
from workflows.renewal import LONG_HISTORY


@dataclasses.dataclass
class Ages:
    """A world in which time can be let pass."""

    world: World
    environment: WorkflowEnvironment

    async def pass_by(self, time: timedelta) -> None:
        # In steps: the server answers only when the time is over, and a call has 30 s for that.
        while time > timedelta(0):
            step = min(time, timedelta(days=1))
            await self.environment.sleep(step)
            time -= step

    async def runs(self, connection_id: UUID) -> Sequence[Sequence[HistoryEvent]]:
        """What has been recorded of the life, run by run."""
        client, name = self.environment.client, workflow_id(connection_id)
        runs = [(await client.get_workflow_handle(name).fetch_history()).events]
        while before := run_before(runs[0][0]):
            handle = client.get_workflow_handle(name, run_id=before)
            runs.insert(0, (await handle.fetch_history()).events)
        return runs

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
        # Nothing is killed here: a fourteenth of the time would be spent waiting for the disk.
        async with administrator(servers) as admin:
            name = world.database.engine.url.database
            await admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
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


async def test_ten_days_of_hourly_refreshes_and_readings_cost_no_grant_and_no_more_than_they_must(
    servers: Servers, tmp_path: Path
) -> None:
    async with aging(servers, tmp_path, **data_of(servers)) as ages:
        await ages.world.behave(access_ttl_s=3600)
        view = await live(ages, 10, refreshes_a_day=(24, 36))
        assert view.sync is not None
        assert 40 <= view.sync.completed <= 46


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


DAY_S = 24 * 3600


async def warnings(ages: Ages, connection_id: UUID) -> list[object]:
    """How many days were left each time a coming end was announced."""
    rows = await ages.world.connections.events(connection_id)
    return [row.data["days_left"] for row in rows if row.type == "ConnectionExpiring"]


async def test_a_coming_end_of_the_grant_is_announced_14_7_3_and_1_days_before(
    servers: Servers, tmp_path: Path
) -> None:
    async with aging(servers, tmp_path, lifetimes={"grant_s": 30 * DAY_S}) as ages:
        await ages.world.behave(state_expires_in=False)
        view = await ages.world.connected()
        await ages.pass_by(timedelta(days=15))
        assert await warnings(ages, view.connection_id) == []
        await ages.pass_by(timedelta(days=2))
        assert await warnings(ages, view.connection_id) == [14]
        await ages.pass_by(timedelta(days=12, hours=12))
        assert await warnings(ages, view.connection_id) == [14, 7, 3, 1]
        await ages.pass_by(timedelta(days=1))
        await ages.becomes(view.connection_id, ConnectionStatus.EXPIRED)
        (*_, last) = [
            row
            for row in await ages.world.connections.events(view.connection_id)
            if row.type == "ConnectionExpiring"
        ]
        assert last.data["reason"] == "grant_expired"


async def test_the_end_of_a_certificate_is_announced_before_it_is_expired(
    servers: Servers, tmp_path: Path
) -> None:
    async with certifying() as certifier:
        await certifier.write(tmp_path)
        async with aging(servers, tmp_path) as ages:
            parts, _ = await certifier.parts(lifetime_s=30 * DAY_S)
            kind = CredentialType.CERTIFICATE
            connection_id = await brought(ages.world, parts, kind, CERTIFIED)
            await ages.pass_by(timedelta(days=15))
            assert await warnings(ages, connection_id) == []
            await ages.pass_by(timedelta(days=14, hours=12))
            assert await warnings(ages, connection_id) == [14, 7, 3, 1]
            await ages.pass_by(timedelta(days=1))
            view = await ages.becomes(connection_id, ConnectionStatus.EXPIRED)
            assert view.reason is StatusReason.NOT_REFRESHABLE
            seen = await certifier.remote.log(endpoint="api")
            assert len(seen) > 30  # it was verified once a day


async def test_of_a_grant_that_lives_five_days_only_what_lies_within_it_is_announced(
    servers: Servers, tmp_path: Path
) -> None:
    async with aging(servers, tmp_path, lifetimes={"consent_s": 5 * DAY_S}) as ages:
        view = await ages.world.connected()
        await ages.pass_by(timedelta(days=6))
        await ages.becomes(view.connection_id, ConnectionStatus.EXPIRED)
        assert await warnings(ages, view.connection_id) == [3, 1]


@pytest.mark.parametrize(
    ("lifetime", "reason"),
    [("grant_s", StatusReason.GRANT_EXPIRED), ("consent_s", StatusReason.CONSENT_EXPIRED)],
)
async def test_refreshing_moves_no_end_of_grant_or_consent_and_the_reason_says_which_it_was(
    servers: Servers, tmp_path: Path, lifetime: str, reason: StatusReason
) -> None:
    async with aging(servers, tmp_path, lifetimes={lifetime: 2 * DAY_S}) as ages:
        view = await ages.world.connected()
        await ages.pass_by(timedelta(days=1, hours=12))
        before = await ages.view(view.connection_id)
        assert before.status is ConnectionStatus.ACTIVE
        assert before.generation > 30
        assert before.reauthorize_by == view.reauthorize_by
        await ages.pass_by(timedelta(days=1))
        expired = await ages.becomes(view.connection_id, ConnectionStatus.EXPIRED)
        assert expired.reason is reason
        # And the provider is left alone from then on.
        calls = len(await ages.world.log())
        await ages.pass_by(timedelta(days=1))
        assert len(await ages.world.log()) == calls


async def verifications(ages: Ages, made: NewKey) -> list[int | None]:
    """How each call with this key was answered."""
    return [entry.status for entry in await ages.world.sandbox.log(grant_id=made.key_id)]


async def test_a_key_is_verified_every_day_and_a_refused_one_given_up_within_the_hour(
    servers: Servers, tmp_path: Path
) -> None:
    write_broker(tmp_path, servers.sandbox.base_url, BROKER, data=None)
    async with aging(servers, tmp_path) as ages:
        connection_id, made = await ages.world.connected_by_key()
        await ages.pass_by(timedelta(days=10, hours=12))
        # Once when it was brought, and once a day.
        assert await verifications(ages, made) == 11 * [200]
        await ages.world.sandbox.revoke_key(made.key_id)
        await ages.pass_by(timedelta(hours=13))
        expired = await ages.becomes(connection_id, ConnectionStatus.EXPIRED)
        assert expired.reason is StatusReason.KEY_REFUSED
        assert (await verifications(ages, made))[11:] == 3 * [401]
        await ages.pass_by(timedelta(days=3))
        assert len(await verifications(ages, made)) == 14


async def test_a_provider_of_keys_that_is_away_for_a_day_is_not_asked_in_a_hurry(
    servers: Servers, tmp_path: Path
) -> None:
    write_broker(tmp_path, servers.sandbox.base_url, BROKER, data=None)
    async with aging(servers, tmp_path) as ages:
        connection_id, made = await ages.world.connected_by_key()
        fault = await ages.world.sandbox.plant(
            "api", "status", status=503, times=None, grant_id=made.key_id
        )
        await ages.pass_by(timedelta(days=2))
        degraded = await ages.view(connection_id)
        assert degraded.status is ConnectionStatus.ACTIVE
        assert degraded.trouble is not None
        # Every ten minutes at the most, after the first few.
        assert 24 * 5 < degraded.trouble.failures < 24 * 6 + 12
        await ages.world.sandbox.clear(fault)
        await ages.pass_by(timedelta(minutes=30))
        assert (await ages.view(connection_id)).trouble is None


async def test_an_end_that_every_refresh_moves_is_announced_only_while_refreshing_fails(
    servers: Servers, tmp_path: Path
) -> None:
    async with aging(servers, tmp_path, lifetimes={"refresh_token_s": 8 * DAY_S}) as ages:
        await ages.world.behave(state_expires_in=False)
        view = await ages.world.connected()
        await ages.pass_by(timedelta(days=20))
        assert await warnings(ages, view.connection_id) == []
        fault = await ages.world.plant("token", "status", status=503, times=None)
        await ages.pass_by(timedelta(days=9))
        expired = await ages.becomes(view.connection_id, ConnectionStatus.EXPIRED)
        assert expired.reason == "refresh_token_expired"
        assert await warnings(ages, view.connection_id) == [7, 3, 1]
        await ages.world.sandbox.clear(fault)


async def test_data_is_read_every_six_hours(servers: Servers, tmp_path: Path) -> None:
    async with aging(servers, tmp_path, **data_of(servers)) as ages:
        view = await ages.world.connected()
        await ages.pass_by(timedelta(days=3))
        sync = (await ages.view(view.connection_id)).sync
        assert sync is not None
        assert 12 <= sync.completed <= 15


async def test_a_year_of_daily_refreshes_costs_no_grant_and_its_history_stays_bounded(
    servers: Servers, tmp_path: Path
) -> None:
    async with aging(servers, tmp_path) as ages:
        # An end that is not stated: such a token is refreshed once a day.
        await ages.world.behave(state_expires_in=False)
        await live(ages, 365, refreshes_a_day=(1, 1))


@pytest.mark.year
async def test_a_year_of_hourly_refreshes_costs_no_grant_and_its_history_stays_bounded(
    servers: Servers, tmp_path: Path
) -> None:
    async with aging(servers, tmp_path, **data_of(servers)) as ages:
        await ages.world.behave(access_ttl_s=3600)
        view = await live(ages, 365, refreshes_a_day=(24, 36))
        assert view.sync is not None
        assert 4 * 364 <= view.sync.completed <= 4.5 * 366


async def live(ages: Ages, days: int, refreshes_a_day: tuple[int, int]) -> ConnectionView:
    """So many days, in steps; the connection at their end, whose every day was like the others."""
    view = await ages.world.connected()
    for _ in range(days // 5):
        await ages.pass_by(timedelta(days=5))
    view = await ages.view(view.connection_id)
    assert view.status is ConnectionStatus.ACTIVE
    assert {entry.presented for entry in await ages.world.refreshes()} == {"current"}
    runs = await ages.runs(view.connection_id)
    assert len(runs) > 5
    assert max(len(run) for run in runs) <= LONG_HISTORY + 50
    assert min(len(run) for run in runs[:-1]) > LONG_HISTORY
    _, *whole, _ = actions_by_day(runs).values()
    assert len(whole) in {days - 2, days - 1, days}
    least, most = refreshes_a_day
    for day in whole:
        # What is due at midnight may be done a little before it or after.
        assert least - 1 <= day["refresh_credentials"] <= most + 1
        assert day.total() <= 2 * calls(day) + 4
    # A refresh is two actions, a reading one or two; each new run has two timers of its own.
    assert sum(day.total() for day in whole) <= 2 * (sum(map(calls, whole)) + len(runs) + 1)
    assert sum(map(calls, whole)) >= least * (days - 2) - 1
    return view


def calls(day: Counter[str]) -> int:
    """To the provider."""
    return day["refresh_credentials"] + day["sync_data"]


def actions_by_day(runs: Sequence[Sequence[HistoryEvent]]) -> dict[date, Counter[str]]:
    """What a life was billed for on each of its days: its activities, and its timers."""
    days: dict[date, Counter[str]] = {}
    for event in (event for run in runs for event in run):
        day = days.setdefault(event.event_time.ToDatetime().date(), Counter())
        if event.HasField("activity_task_scheduled_event_attributes"):
            day[event.activity_task_scheduled_event_attributes.activity_type.name] += 1
        elif event.HasField("timer_started_event_attributes"):
            day["a timer"] += 1
        elif event.HasField("upsert_workflow_search_attributes_event_attributes"):
            day["search attributes"] += 1
    return days
