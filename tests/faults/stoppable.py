"""Servers of one test alone: PostgreSQL and Temporal can be stopped and come back, data and all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from moorline.stack import PostgresServer, TemporalServer
from moorline.stack.ports import free_ports
from providers.sandbox import create_app
from providers.sandbox.remote import Remote
from providers.sandbox.serving import serve
from tests.world import Servers, World, create_template, new_world


@dataclass
class Stoppable:
    """A world, and the servers under it."""

    world: World
    postgres: PostgresServer
    temporal: TemporalServer


@asynccontextmanager
async def stoppable_world(state: Path) -> AsyncIterator[Stoppable]:
    """A world whose servers keep their data in files, and disturb nobody when they stop."""
    postgres_port, temporal_port, metrics_port = free_ports(3)
    async with (
        PostgresServer(state, postgres_port) as postgres,
        TemporalServer(state, temporal_port, metrics_port=metrics_port) as temporal,
        serve(create_app(None)) as sandbox_url,
        Remote.connect(sandbox_url) as sandbox,
    ):
        own = Servers(temporal.address, temporal.metrics_url, postgres.database_url, sandbox)
        await create_template(own)
        async with new_world(own, state) as world:
            yield Stoppable(world, postgres, temporal)


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
