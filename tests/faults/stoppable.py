"""Servers of one test alone: PostgreSQL and Temporal can be stopped and come back, data and all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from moorline.stack import PostgresServer, TemporalServer
from tests.world import World, new_world, servers_up


@asynccontextmanager
async def stoppable_world(state: Path) -> AsyncIterator[World]:
    """A world whose servers keep their data in files, and disturb nobody when they stop."""
    async with servers_up(state, in_memory=False) as own, new_world(own, state) as world:
        yield world


@asynccontextmanager
async def stopped(server: PostgresServer | TemporalServer, for_s: float) -> AsyncIterator[None]:
    """The server is away for as long as the block runs, and for so long at the least."""
    await server.stop()
    back_at = asyncio.get_running_loop().time() + for_s
    try:
        yield
        await asyncio.sleep(back_at - asyncio.get_running_loop().time())  # this long is the fault
    finally:
        await server.start()
