"""The least that could be compared: a timer, an activity, a signal, a call that is held up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.policies import CALL, HEARTBEAT_EVERY, HEARTBEAT_TIMEOUT
from benchmarks.abreast import abreast
from moorline.assembly import PASSED_THROUGH, STICKY
from workflows.renewal import LONG_HISTORY

SHORTEST_S = 0.01
"""A timer that has always fired by the time the worker comes to it: no pace but its own."""

_done = 0


@activity.defn
async def nothing() -> None:
    """Do nothing, successfully, and count it."""
    global _done
    _done += 1


@workflow.defn
class Cycle:
    """A timer and an activity, again and again: the least a refresh cycle could cost."""

    @workflow.run
    async def run(self) -> None:
        """For ever, in histories as long as ours."""
        while workflow.info().get_current_history_length() < LONG_HISTORY:
            await asyncio.sleep(SHORTEST_S)
            await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=60))
        workflow.continue_as_new()


@workflow.defn
class Wait:
    """Idle until it is signalled, and then over."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self) -> None:
        """Wait."""
        await workflow.wait_condition(lambda: self._told)

    @workflow.signal
    def end(self) -> None:
        """It is over."""
        self._told = True


@activity.defn
async def held() -> None:
    """The first time: a call that is never answered. Tried again: it is, at once."""
    while activity.info().attempt == 1:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT_EVERY.total_seconds())


@workflow.defn
class Hold:
    """One activity, watched by heartbeats as our calls are."""

    @workflow.run
    async def run(self) -> None:
        """Until it is answered."""
        await workflow.execute_activity(
            held,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=CALL["retry_policy"],
        )


@asynccontextmanager
async def cycling(client: Client, queue: str, count: int) -> AsyncIterator[None]:
    """So many workflows make cycles, as fast as they can."""
    async with new_worker(client, queue):

        async def start(_: int) -> WorkflowHandle[Cycle, None]:
            return await client.start_workflow(Cycle.run, id=f"cycle-{uuid4()}", task_queue=queue)

        handles = await abreast(start, range(count))
        yield
        await abreast(lambda handle: handle.terminate(), handles)


async def made() -> float:
    """How many cycles have been made in this process."""
    return _done


async def start_waiting(client: Client, queue: str, count: int) -> list[WorkflowHandle[Wait, None]]:
    """So many workflows that have begun, and are idle."""

    async def one(_: int) -> WorkflowHandle[Wait, None]:
        handle = await client.start_workflow(Wait.run, id=f"wait-{uuid4()}", task_queue=queue)
        while (await handle.describe()).history_length < _TAKEN_UP:
            await asyncio.sleep(0.05)
        return handle

    return await abreast(one, range(count))


async def start_holding(client: Client, queue: str, count: int) -> list[WorkflowHandle[Hold, None]]:
    """So many workflows whose call is under way."""

    async def one(_: int) -> WorkflowHandle[Hold, None]:
        handle = await client.start_workflow(Hold.run, id=f"hold-{uuid4()}", task_queue=queue)
        while not await _calls(handle):
            await asyncio.sleep(0.05)
        return handle

    return await abreast(one, range(count))


async def _calls(handle: WorkflowHandle[Hold, None]) -> bool:
    pending = (await handle.describe()).raw_description.pending_activities
    return any(
        each.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED for each in pending
    )


_TAKEN_UP = 4
"""Events of a workflow that has been taken up by a worker, and waits."""


def new_worker(client: Client, queue: str) -> Worker:
    """A worker of these, set up as ours is: also in that it loads its own code once for all."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(
        *PASSED_THROUGH, "benchmarks"
    )
    return Worker(
        client,
        task_queue=queue,
        workflows=[Cycle, Wait, Hold],
        activities=[nothing, held],
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
        sticky_queue_schedule_to_start_timeout=STICKY,
        max_cached_workflows=2000,
    )
