"""Messages that are no good, garbage or too large: others are answered, and it can be ended."""

import asyncio
from collections.abc import Awaitable, Sequence
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.client import (
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.service import RPCError

from domain.status import ConnectionStatus
from domain.view import ConnectionView
from tests.world import WITHIN, World
from workflows.names import workflow_id

ASKED_SO = {"begin_authorization", "ensure_fresh"}
"""Updates for which no input, or one with unknown fields alone, is as good as any."""
UPDATES = ("begin_authorization", "authorize", "supply_key", "rename", "ensure_fresh")
SIGNALED = ("revoke", "disconnect", "nudge", "sync_now")
TAKEN, REFUSED = "x" * 900_000, "x" * 3_000_000
"""What Temporal delivers in any message, and what it delivers in none: 2 MB at most, and all the
updates of a workflow that wait at once may have 1 MiB (``temporal-dev.yml``)."""
DONE_AGAIN = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
WRONG: Sequence[object] = (None, [], [[]], [None] * 100, "text", 7, True, {"a": {"b": []}})


async def test_whatever_is_sent_in_whatever_message_the_connection_can_still_be_disconnected(
    living: World,
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    for wrong in WRONG:
        for signal in ("nudge", "sync_now"):
            await sent(handle.signal(signal, wrong))
        for update in UPDATES:
            if not isinstance(wrong, list | str | int) and update in ASKED_SO:
                continue
            assert not await sent(handle.execute_update(update, wrong))
    shown = await handle.query("view", result_type=ConnectionView)
    assert (shown.status, shown.generation, shown.alias) == (ConnectionStatus.ACTIVE, 1, None)
    await handle.signal("disconnect", [["whatever"]])
    await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    assert (await living.connections.receipt(view.connection_id)).shredded


@pytest.mark.parametrize("large", [TAKEN, REFUSED], ids=["taken", "refused"])
@pytest.mark.parametrize("signal", SIGNALED)
async def test_a_signal_that_is_too_large_leaves_a_connection_that_answers(
    living: World, signal: str, large: str
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    assert await sent(handle.signal(signal, large)) == (large is TAKEN)
    if signal != "disconnect" or large is REFUSED:
        await answers(living, view)
    await ends(living, view)


@pytest.mark.parametrize("large", [TAKEN, REFUSED], ids=["taken", "refused"])
async def test_a_query_that_is_too_large_leaves_a_connection_that_answers(
    living: World, large: str
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    for query in ("view", "explain", "no such query"):
        taken = large is TAKEN and query != "no such query"
        assert await sent(handle.query(query, large)) == taken
        await answers(living, view)
    await ends(living, view)


@pytest.mark.parametrize("large", [TAKEN, REFUSED], ids=["taken", "refused"])
async def test_bug_an_update_that_was_too_large_kept_all_others_waiting_for_twenty_seconds(
    living: World, large: str
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))

    def send(update: str) -> Awaitable[bool]:
        return sent(handle.execute_update(update, {"alias": [large]}))

    sending = asyncio.gather(*map(send, UPDATES))
    while not sending.done():
        await answers(living, view)
    fitting = ASKED_SO if large is TAKEN else set()
    taken = {update for update, was in zip(UPDATES, await sending, strict=True) if was}
    assert taken <= fitting  # for some there may be no room beside the others
    for update in UPDATES:
        assert await send(update) == (update in fitting)
    await answers(living, view)
    await ends(living, view)


async def test_a_start_that_is_too_large_leaves_its_id_free(living: World) -> None:
    for large in (TAKEN, REFUSED):
        connection_id = uuid4()
        wrong = {"connection_id": str(connection_id), "user_id": large, "provider_slug": large}
        start = living.temporal.start_workflow(
            "ConnectionWorkflow",
            wrong,
            id=workflow_id(connection_id),
            task_queue=living.task_queue,
        )
        assert await sent(start) == (large is TAKEN)
        if large is TAKEN:
            refused = living.temporal.get_workflow_handle(workflow_id(connection_id))
            with pytest.raises(WorkflowFailureError):
                await refused.result()
        view = await living.connected(connection_id)
        await answers(living, view)
        await ends(living, view)


async def answers(world: World, view: ConnectionView) -> None:
    """Whoever asks something reasonable is answered."""
    handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
    async with asyncio.timeout(WITHIN.total_seconds()):
        renamed = await world.connections.rename(view.connection_id, "as ever")
        shown = await handle.query("view", result_type=ConnectionView)
    assert (renamed.alias, shown.alias) == ("as ever", "as ever")


async def ends(world: World, view: ConnectionView) -> None:
    """It is disconnected like any other, and nothing had to be done twice for what was sent."""
    async with asyncio.timeout(WITHIN.total_seconds()):
        await world.connections.disconnect(view.connection_id)
        assert (await world.connections.receipt(view.connection_id)).shredded
    failed = await world.failed_tasks(view.connection_id)
    # Each would cost everybody who waits for this workflow some ten seconds, but for those that are
    # done again because another message has come meanwhile: that is normal.
    assert {each.cause for each in failed} <= {DONE_AGAIN}


async def sent(message: Awaitable[object]) -> bool:
    """Whether it was taken."""
    try:
        await message
    except (
        RPCError,
        WorkflowQueryFailedError,
        WorkflowUpdateFailedError,
    ):
        return False
    return True
