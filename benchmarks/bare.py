"""The least that could be compared: workflows of a timer, a no-op activity, a signal.

Also a program, ``python -m benchmarks.bare QUEUE``: a worker of them in a process of its own, whose
memory can be told apart.
"""

import asyncio
import os
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from moorline.assembly import workflow_runner

READY = "bare worker ready"


_done = 0


@activity.defn
async def nothing() -> None:
    """Do nothing, successfully, and count it."""
    global _done
    _done += 1


def done() -> int:
    """How many times nothing has been done in this process."""
    return _done


@workflow.defn
class Cycle:
    """A timer and an activity, again and again: the least a refresh cycle could cost."""

    @workflow.run
    async def run(self, seconds: float) -> None:
        """For ever, in histories of 500 events."""
        while workflow.info().get_current_history_length() < 500:
            await asyncio.sleep(seconds)
            await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=60))
        workflow.continue_as_new(seconds)


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


def new_worker(client: Client, queue: str) -> Worker:
    """A worker of these, set up as ours is."""
    return Worker(
        client,
        task_queue=queue,
        workflows=[Cycle, Wait],
        activities=[nothing],
        workflow_runner=workflow_runner(),
        max_cached_workflows=2000,
    )


async def main(queue: str) -> None:
    """Work until killed."""
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"], data_converter=pydantic_data_converter
    )
    async with new_worker(client, queue):
        print(READY, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
