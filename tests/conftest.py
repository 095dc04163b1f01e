"""Real servers for the whole session: Temporal, PostgreSQL, and the sandbox provider."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorline.stack import PostgresServer, StackFacts, TemporalServer
from moorline.stack.ports import free_ports
from providers.sandbox import create_app
from providers.sandbox.remote import Remote
from providers.sandbox.serving import serve
from tests.world import Servers, World, create_template, new_world


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    state = tmp_path_factory.mktemp("servers")
    postgres_port, temporal_port, metrics_port = free_ports(3)
    facts = StackFacts.read()
    async with (
        PostgresServer(state, postgres_port) as postgres,
        TemporalServer(
            state, temporal_port, in_memory=True, metrics_port=metrics_port, facts=facts
        ) as temporal,
        serve(create_app(None)) as sandbox_url,
        Remote.connect(sandbox_url) as sandbox,
    ):
        shared = Servers(temporal.address, temporal.metrics_url, postgres.database_url, sandbox)
        await create_template(shared)
        yield shared


@pytest.fixture
async def world(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    """A world without a worker."""
    async with new_world(servers, tmp_path) as made:
        yield made


@pytest.fixture
async def living(world: World) -> AsyncIterator[World]:
    """A world with a worker."""
    async with world.working():
        yield world
