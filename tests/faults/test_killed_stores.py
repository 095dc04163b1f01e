"""Killed in a short transaction of our own, with no provider in it: the next worker begins soon.

The connection's row is locked meanwhile, so that the transaction is as long as a test wants it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.workflow.v1 import PendingActivityInfo

from activities.policies import HEARTBEAT_TIMEOUT
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage.database import lock_connection
from tests.cli.terminal import Terminal
from tests.faults.test_frozen_workers import worker
from tests.world import World, until
from workflows.messages import Revoke
from workflows.names import workflow_id

STORING = "persist_transition"


@asynccontextmanager
async def locked(world: World, view: ConnectionView) -> AsyncIterator[None]:
    """Whoever wants to write to the connection waits for as long as the block runs."""
    async with world.database.transaction() as session:
        await lock_connection(session, view.connection_id)
        yield


async def storing(world: World, view: ConnectionView) -> PendingActivityInfo | None:
    """The change of status, if it is under way."""
    handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
    pending = (await handle.describe()).raw_description.pending_activities
    started = (each for each in pending if each.HasField("last_started_time"))
    names = {each.activity_type.name: each for each in started}
    return names.get(STORING)


async def noticed_by(world: World, view: ConnectionView) -> int | None:
    """What told Temporal that the first worker was dead; it is recorded when the second is done."""
    events = await world.history(view.connection_id)
    (asked,) = (
        event.event_id
        for event in events
        if event.activity_task_scheduled_event_attributes.activity_type.name == STORING
    )
    begun = (event.activity_task_started_event_attributes for event in events)
    failures = [each.last_failure for each in begun if each.scheduled_event_id == asked]
    return failures[0].timeout_failure_info.timeout_type if failures else None


async def test_bug_killed_in_a_short_transaction_it_was_begun_again_after_half_a_minute_only(
    world: World, terminal: Terminal
) -> None:
    async with worker(terminal) as first:
        view = await world.imported()
        async with locked(world, view):
            await world.messaging.tell(view.connection_id, "revoke", Revoke())
            await until(lambda: storing(world, view))
            first.process.kill()
    async with worker(terminal):
        after = await world.becomes(view.connection_id, ConnectionStatus.REVOKED)
        noticed = await until(lambda: noticed_by(world, view))
    assert after.reason == "user_revoked"
    assert noticed == TimeoutType.TIMEOUT_TYPE_HEARTBEAT
    assert timedelta(seconds=5) == HEARTBEAT_TIMEOUT  # start_to_close would take thirty


async def test_a_transaction_that_takes_longer_than_a_heartbeat_is_not_begun_twice(
    world: World,
) -> None:
    async with world.working():
        view = await world.imported()
        async with locked(world, view):
            await world.messaging.tell(view.connection_id, "revoke", Revoke())
            await until(lambda: storing(world, view))

            async def lives_on() -> bool:
                found = await storing(world, view)
                assert found is not None
                assert found.attempt == 1
                beat_at, began_at = found.last_heartbeat_time, found.last_started_time
                lived = beat_at.ToDatetime() - began_at.ToDatetime()
                return lived > HEARTBEAT_TIMEOUT

            await until(lives_on)
        await world.becomes(view.connection_id, ConnectionStatus.REVOKED)
    types = await world.event_types(view.connection_id)
    assert types.count("ConnectionRevoked") == 1
