"""The workflow of each connection: whether it lives, goes on, and where its worker must be."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.view import ConnectionView
from workflows.names import workflow_id

AT_ONCE: Final = 20
MANY_ATTEMPTS: Final = 8
UNKNOWN_STATUS: Final = "is not a valid WorkflowExecutionStatus"
"""The SDK cannot read the status of a paused workflow, which lives all the same."""


@dataclass(frozen=True)
class Found:
    """How the workflow of a connection is."""

    view: ConnectionView
    lives: bool
    over: bool = False
    """It has come to its end, with a receipt: the connection was DISCONNECTED."""
    failures: int = 0
    """How many times its workflow task has failed in a row: while it does, nothing goes on."""
    fails_at: str | None = None
    """The activity that it cannot go on without and that has failed again and again."""
    task_queue: str | None = None


async def look(client: Client, living: Sequence[ConnectionView]) -> list[Found]:
    """Look at the workflow of each."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def found(view: ConnectionView) -> Found:
        async with turns:
            return await _found(client, view)

    return await asyncio.gather(*map(found, living))


async def _found(client: Client, view: ConnectionView) -> Found:
    try:
        described = await client.get_workflow_handle(workflow_id(view.connection_id)).describe()
    except ValueError as error:
        if UNKNOWN_STATUS in str(error):
            return Found(view, lives=True)
        raise
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Found(view, lives=False)
        raise
    task = described.raw_description.pending_workflow_task
    return Found(
        view,
        lives=described.status is WorkflowExecutionStatus.RUNNING,
        over=described.status is WorkflowExecutionStatus.COMPLETED,
        failures=max(0, task.attempt - 1),
        fails_at=_fails_at(described.raw_description.pending_activities),
        task_queue=described.task_queue,
    )


def _fails_at(pending: Iterable[PendingActivityInfo]) -> str | None:
    """A minute or more of failing; the shorter outages of a database are nobody's business."""
    for each in pending:
        if each.attempt > MANY_ATTEMPTS:
            return each.activity_type.name
    return None
