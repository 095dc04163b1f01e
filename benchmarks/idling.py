"""``python -m benchmarks.idling QUEUE``: a worker of bare workflows in a process of its own."""

import asyncio
import os
import sys

from temporalio.client import Client

from benchmarks.bare import new_worker

READY = "bare worker ready"


async def main(queue: str) -> None:
    """Work until killed."""
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    async with new_worker(client, queue):
        print(READY, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
