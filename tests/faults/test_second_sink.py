"""A minute without PostgreSQL, or without Temporal, in the worst moments of a refresh.

Real outages: the servers are processes of these tests alone, stopped and started again. They are
lived once; the tests look at what came of the connections in them.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pytest
from sqlmodel import select

from domain.errors import Unreachable
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage.tables import JournalRow
from tests.cli.terminal import Running, terminal_of
from tests.faults.stoppable import stoppable_world, stopped
from tests.world import World, until
from workflows.names import workflow_id

OUTAGE_S = 60
BACK_WITHIN = timedelta(seconds=60)
"""What Temporal holds for a database that is away is tried again every 30 s at the longest."""


@dataclass
class PostgresOutage:
    """What there was before and after a minute without PostgreSQL."""

    world: World
    answered: ConnectionView
    """The answer to its refresh came when PostgreSQL had just gone; then its worker was killed."""
    due: ConnectionView
    """Its refresh became due while PostgreSQL was away."""
    asked_meanwhile: int
    """How many token requests the provider had seen when PostgreSQL came back."""


@dataclass
class TemporalOutage:
    """What there was before and after a minute without Temporal."""

    world: World
    view: ConnectionView
    """The answer to its refresh came when Temporal had just gone."""
    leased: list[int]
    """Generations that were leased meanwhile: of this one, and of one that nobody refreshed."""


@dataclass
class Outages:
    """A minute without each of the servers, lived at the same time in two worlds."""

    postgres: PostgresOutage
    temporal: TemporalOutage


@pytest.fixture(scope="module")
async def outages(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outages]:
    async with (
        stoppable_world(tmp_path_factory.mktemp("without-postgres")) as first,
        stoppable_world(tmp_path_factory.mktemp("without-temporal")) as second,
        second.working(),
    ):
        async with terminal_of(first, 8400).running("worker") as worker:
            await worker.says("worker ready")
            postgres, temporal = await asyncio.gather(
                lived_without_postgres(first, worker), lived_without_temporal(second)
            )
        async with first.working():
            for view in (postgres.answered, postgres.due):
                await until(partial(knows, first, view, 2), BACK_WITHIN)
            yield Outages(postgres, temporal)


async def lived_without_postgres(world: World, worker: Running) -> PostgresOutage:
    await world.behave(rotation="strict")
    answered, due = await world.imported(), await world.imported()
    held = await world.plant(
        "token", "delay", seconds=600, when="after_acting", grant_type="refresh_token"
    )
    asked = [asyncio.create_task(world.messaging.refresh_now(answered.connection_id, 1))]
    await world.lost_answer()
    async with stopped(world.servers.postgres, OUTAGE_S):
        await world.sandbox.clear(held)
        asked.append(asyncio.create_task(world.messaging.refresh_now(due.connection_id, 1)))
        await until(lambda: is_trying(world, answered, "store_credentials"))
        await until(lambda: is_trying(world, due, "refresh_credentials"))
        with pytest.raises(Unreachable):
            await world.connections.lease(answered.connection_id)
        worker.process.kill()
        posts = len(await world.log())
    for each in asked:
        each.cancel()  # whoever asked does not wait for the next worker
    await asyncio.gather(*asked, return_exceptions=True)
    return PostgresOutage(world, answered, due, posts)


async def test_tokens_that_came_into_a_minute_without_postgresql_are_stored_exactly_once(
    outages: Outages,
) -> None:
    world, connection_id = outages.postgres.world, outages.postgres.answered.connection_id
    async with world.database.transaction() as session:
        query = select(JournalRow).where(JournalRow.connection_id == connection_id)
        journal = (await session.exec(query)).all()
    assert [(row.kind, row.outcome) for row in journal][-1] == ("refresh", "stored")
    types = await world.event_types(connection_id)
    assert types.count("ProviderTokenRefreshAttempted") == 1
    assert types.count("ProviderTokenRefreshSucceeded") == 1
    # The provider has no grace: a token that was lost or shown twice would have ended the grant.
    again = await world.connections.refresh(connection_id)
    assert (again.status, again.generation) == (ConnectionStatus.ACTIVE, 3)
    assert {call.presented for call in await world.refreshes()} == {"current"}


async def test_without_postgresql_no_refresh_is_sent_and_with_it_one_is(outages: Outages) -> None:
    outage = outages.postgres
    assert outage.asked_meanwhile == 1  # the one that had been sent before
    types = await outage.world.event_types(outage.due.connection_id)
    assert types.count("ProviderTokenRefreshSucceeded") == 1
    view = await outage.world.connections.view(outage.due.connection_id)
    assert (view.status, view.generation, view.trouble) == (ConnectionStatus.ACTIVE, 2, None)


async def lived_without_temporal(world: World) -> TemporalOutage:
    await world.behave(rotation="strict")
    view, other = await world.imported(), await world.imported()
    held = await world.plant(
        "token", "delay", seconds=600, when="after_acting", grant_type="refresh_token"
    )
    asked = asyncio.create_task(world.messaging.refresh_now(view.connection_id, 1))
    await world.lost_answer()
    async with stopped(world.servers.temporal, OUTAGE_S):
        await world.sandbox.clear(held)
        await until(partial(is_stored, world, view, 2))
        leases = [await world.connections.lease(each.connection_id) for each in (view, other)]
    await asyncio.gather(asked, return_exceptions=True)
    return TemporalOutage(world, view, [lease.generation for lease in leases])


async def test_an_answer_that_came_into_a_minute_without_temporal_is_in_postgresql_at_once(
    outages: Outages,
) -> None:
    world, view = outages.temporal.world, outages.temporal.view
    assert outages.temporal.leased == [2, 1]  # tokens that are good need no workflow
    # The workflow learns of it without asking the provider again, and life goes on.
    await until(partial(knows, world, view, 2))
    assert len(await world.refreshes()) == 1
    assert (await world.connections.refresh(view.connection_id)).generation == 3
    assert {call.presented for call in await world.refreshes()} == {"current"}


async def is_stored(world: World, view: ConnectionView, generation: int) -> bool:
    return (await world.connections.view(view.connection_id)).generation == generation


async def knows(world: World, view: ConnectionView, generation: int) -> bool:
    """Whether the workflow itself has these credentials."""
    handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
    asked: ConnectionView = await handle.query("view", result_type=ConnectionView)
    return asked.generation == generation


async def is_trying(world: World, view: ConnectionView, activity: str) -> bool:
    """Whether the workflow waits for this activity, and it has failed before."""
    handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
    pending = (await handle.describe()).raw_description.pending_activities
    return any(each.activity_type.name == activity and each.attempt > 1 for each in pending)
