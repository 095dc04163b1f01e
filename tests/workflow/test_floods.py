"""Floods of messages: a connection that can be reached can be disconnected."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from domain.errors import Conflict, MoorlineError, Unreachable
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.stack import TemporalServer
from moorline.stack.ports import free_ports
from tests.workflow.test_unfit_messages import sent
from tests.world import Servers, World, new_world, until
from workflows.connection import ConnectionWorkflow
from workflows.messages import BeginAuthorization, StartConnection
from workflows.names import workflow_id

SIGNALS = 10_000
TAKEN_BY_A_RUN = 2_000
"""Of these, as ``temporal-dev.yml`` has it: no more than a busy worker can replay in time."""
MOST_SIGNALS = 600
"""That one run takes: enough to make its history long."""
RECONNECTS = 1_000
AT_ONCE = 100
IN_FLIGHT = 10
"""Updates that Temporal lets wait at once for one workflow; more are tried again by the SDK."""


async def at_once(work: Sequence[Callable[[], Awaitable[object]]], how_many: int = AT_ONCE) -> None:
    turns = asyncio.Semaphore(how_many)

    async def one(each: Callable[[], Awaitable[object]]) -> None:
        async with turns:
            await each()

    await asyncio.gather(*map(one, work))


async def test_thousands_of_signals_do_not_keep_a_connection_from_being_disconnected(
    living: World,
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    names = ("nudge", "sync_now")
    flood = [lambda name=names[n % 2]: sent(handle.signal(name)) for n in range(SIGNALS)]
    await at_once(flood)
    await until(lambda: disconnected(living, view))
    with pytest.raises(Conflict):  # at once, wherever its workflow is
        await living.connections.lease(view.connection_id)
    await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    assert (await living.connections.receipt(view.connection_id)).shredded
    taken = signals_of_each_run(await living.whole_history(view.connection_id))
    assert sum(taken) > TAKEN_BY_A_RUN >= max(taken)


def signals_of_each_run(events: Sequence[HistoryEvent]) -> list[int]:
    """How many each took, the first run first."""
    taken: list[int] = []
    for event in events:
        if event.HasField("workflow_execution_started_event_attributes"):
            taken.append(0)
        taken[-1] += event.HasField("workflow_execution_signaled_event_attributes")
    return taken


async def disconnected(world: World, view: ConnectionView) -> bool:
    """Asked for until it is recorded: in a flood it may take longer than the client waits."""
    with suppress(Unreachable):
        await world.connections.disconnect(view.connection_id)
        return True
    return False


async def test_bug_a_run_that_took_no_more_signals_never_heard_of_a_disconnect(
    servers: Servers, tmp_path: Path
) -> None:
    """A run takes 2,000 (``temporal-dev.yml``); here fewer, for a test that need not send them."""
    limit = {"history.maximumSignalsPerExecution": str(MOST_SIGNALS)}
    temporal = TemporalServer(tmp_path, free_ports(1)[0], in_memory=True, dynamic_config=limit)
    async with temporal:
        own = dataclasses.replace(servers, temporal_address=temporal.address)
        async with new_world(own, tmp_path) as world:
            async with world.working():
                view = await world.connected()
            handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
            await at_once([lambda: handle.signal("sync_now")] * MOST_SIGNALS)
            with pytest.raises(RPCError, match="limit for signal events"):
                await handle.signal("sync_now")
            ending = asyncio.create_task(until(lambda: disconnected(world, view)))
            await until(lambda: is_ending(world, view))
            async with world.working():
                await ending
                await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)


async def is_ending(world: World, view: ConnectionView) -> bool:
    return (await world.connections.view(view.connection_id)).ending


async def test_a_revoke_in_the_middle_of_a_flood_is_not_lost_over_continue_as_new(
    living: World,
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    flood = [lambda: handle.signal("nudge") for _ in range(1_000)]
    flood.insert(600, lambda: handle.signal("revoke"))
    await at_once(flood)
    await living.becomes(view.connection_id, ConnectionStatus.REVOKED)
    assert (await living.event_types(view.connection_id)).count("ConnectionRevoked") == 1


async def test_a_thousand_reconnects_do_not_keep_a_connection_from_being_disconnected(
    living: World,
) -> None:
    view = await living.connected()
    refused: list[MoorlineError] = []

    async def reconnect() -> None:
        try:
            await living.connections.begin_authorization(view.connection_id)
        except MoorlineError as error:
            refused.append(error)

    flood = asyncio.create_task(at_once([reconnect] * RECONNECTS, IN_FLIGHT))
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await until(lambda: has_moved_on(handle))
    await living.connections.disconnect(view.connection_id)
    await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    await flood
    assert refused  # those that came after the end
    assert (await living.connections.receipt(view.connection_id)).shredded
    assert (await living.grant()).revoked_by == "client"


async def has_moved_on(handle: WorkflowHandle[object, object]) -> bool:
    """Whether the flood has made its workflow continue as new."""
    first = await anext(handle.fetch_history_events())
    return bool(first.workflow_execution_started_event_attributes.continued_execution_run_id)


async def test_two_starts_for_one_connection_make_one_workflow_and_one_row(living: World) -> None:
    start = StartConnection(
        connection_id=uuid4(), user_id=living.user_id, provider_slug=living.slug
    )

    async def begin() -> object:
        operation = WithStartWorkflowOperation(
            ConnectionWorkflow.run,
            start,
            id=workflow_id(start.connection_id),
            task_queue=living.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        await living.temporal.execute_update_with_start_workflow(
            "begin_authorization", BeginAuthorization(), start_workflow_operation=operation
        )
        return (await operation.workflow_handle()).first_execution_run_id

    runs = await asyncio.gather(*(begin() for _ in range(4)))
    assert len(set(runs)) == 1
    views = await living.connections.list(user_id=living.user_id)
    assert [view.connection_id for view in views] == [start.connection_id]
    with pytest.raises(Conflict):  # and nobody takes a living one for a new one
        await living.connections.connect(
            living.slug, living.user_id, connection_id=start.connection_id
        )
