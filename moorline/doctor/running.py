"""The workflow of each connection: whether it lives, goes on, and where its worker must be."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.view import ConnectionView
from workflows.names import workflow_id

AT_ONCE: Final = 20
UNKNOWN_STATUS: Final = "is not a valid WorkflowExecutionStatus"
"""The SDK cannot read the status of a paused workflow, which lives all the same."""


@dataclass(frozen=True)
class Found:
    """How the workflow of a connection is."""

    view: ConnectionView
    lives: bool
    failures: int = 0
    """How many times its workflow task has failed in a row: while it does, nothing goes on."""
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
        failures=max(0, task.attempt - 1),
        task_queue=described.task_queue,
    )
