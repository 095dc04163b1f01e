"""Nothing that was said gets lost, however it meets a life that is just continuing as new."""

import asyncio
import random
from collections.abc import Awaitable
from functools import partial
from uuid import UUID

from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from domain.status import ConnectionStatus
from tests.world import World, until
from workflows.messages import Nudge
from workflows.names import workflow_id

CONNECTIONS = 20
RENAMES = 10
NUDGES = 12
WAVE = 4


async def test_hundreds_of_messages_and_cancels_race_continue_as_new_and_none_is_lost(
    living: World,
) -> None:
    views = await asyncio.gather(*(living.imported() for _ in range(CONNECTIONS)))
    await asyncio.gather(*(storm(living, view.connection_id, n) for n, view in enumerate(views)))
    for view in views:
        names = await living.event_types(view.connection_id)
        assert names.count("ConnectionRenamed") == RENAMES
        assert names.count("ConnectionRevoked") == 1
        over = await living.connections.view(view.connection_id)
        assert (over.status, over.reason) == ("disconnected", "operator_cancelled")
    assert await runs_of(living, views[1].connection_id) > 3


async def storm(living: World, connection_id: UUID, seed: int) -> None:
    """Renames, nudges (each has it continue as new) and a revoke, in any order; then a cancel."""
    dice = random.Random(seed)
    handle = living.temporal.get_workflow_handle(workflow_id(connection_id))
    sent: list[Awaitable[object]] = [
        living.connections.rename(connection_id, f"name {n}") for n in range(RENAMES)
    ]
    sent += [handle.signal("nudge", Nudge()) for _ in range(NUDGES)]
    sent.append(living.connections.revoke(connection_id))
    dice.shuffle(sent)
    for wave in range(0, len(sent), WAVE):
        run_id = (await handle.describe()).run_id
        await asyncio.gather(*sent[wave : wave + WAVE], handle.signal("nudge"))
        if seed % 2:  # half of them are left in peace to begin a new run, half never are
            await until(partial(has_moved_on, handle, run_id))
    await living.becomes(connection_id, ConnectionStatus.REVOKED)
    await asyncio.gather(handle.signal("nudge", Nudge()), handle.cancel(), handle.signal("nudge"))
    await living.becomes(connection_id, ConnectionStatus.DISCONNECTED)


async def has_moved_on(handle: WorkflowHandle[object, object], run_id: str | None) -> bool:
    return (await handle.describe()).run_id != run_id


async def runs_of(living: World, connection_id: UUID) -> int:
    """How many runs the life has had so far, by following them from the last to the first."""
    handle = living.temporal.get_workflow_handle(workflow_id(connection_id))
    count, run_id = 0, (await handle.describe()).run_id
    while run_id:
        count += 1
        run = living.temporal.get_workflow_handle(workflow_id(connection_id), run_id=run_id)
        first = await anext(run.fetch_history_events())
        run_id = first.workflow_execution_started_event_attributes.continued_execution_run_id
    return count


async def test_a_cancel_that_arrives_with_the_nudge_to_continue_as_new_is_honoured(
    world: World,
) -> None:
    async with world.working():
        view = await world.imported()
    handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await handle.signal("nudge")
    await handle.cancel()
    async with world.working():
        over = await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
        await handle.result()
    assert over.reason == "operator_cancelled"
    assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_a_revoke_that_arrives_with_the_nudge_is_carried_over(world: World) -> None:
    async with world.working():
        view = await world.imported()
    handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await handle.signal("nudge")
    await handle.signal("revoke")
    async with world.working():
        await world.becomes(view.connection_id, ConnectionStatus.REVOKED)


async def test_a_life_survives_having_no_cache(world: World) -> None:
    """Every workflow task replays from the beginning: state must not depend on memory."""
    async with world.working(max_cached_workflows=0):
        view = await world.connected()
        assert (await world.connections.refresh(view.connection_id)).generation == 2
        await world.connections.rename(view.connection_id, "replayed")
        await world.connections.revoke(view.connection_id)
        await world.becomes(view.connection_id, ConnectionStatus.REVOKED)
        await world.connections.disconnect(view.connection_id)
        await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
