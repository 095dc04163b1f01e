"""Real servers for the whole session: Temporal, PostgreSQL, and the sandbox provider."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import strategies
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
)
from temporalio.service import RPCError

from tests.web.gateway import Web, gateway_of
from tests.world import Servers, World, new_world, servers_up, until, write_broker

# A shell's background job ignores Ctrl-C, and so would every command that is tested here.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def hypothesis_is_loaded() -> None:
    """It imports more when it is first used. In the middle of a session that fails now and then:
    CPython 3.11 cannot parse a module while garbage is collected that runs code of its own.
    """
    strategies.from_type(int).validate()


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with servers_up(tmp_path_factory.mktemp("servers")) as shared:
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


@pytest.fixture
async def web(world: World) -> AsyncIterator[Web]:
    """A gateway of a world with a worker."""
    async with gateway_of(world) as made:
        yield made


@pytest.fixture
async def web_without_worker(world: World) -> AsyncIterator[Web]:
    """A gateway of a world without a worker."""
    async with gateway_of(world, working=False) as made:
        yield made


@pytest.fixture
async def namespace(world: World) -> str:
    """A namespace that nobody has made ready."""
    name = f"ns-{world.slug}"
    service = world.temporal.workflow_service
    await service.register_namespace(
        RegisterNamespaceRequest(
            namespace=name, workflow_execution_retention_period=Duration(seconds=86_400)
        )
    )

    async def known() -> bool:
        try:
            await service.describe_namespace(DescribeNamespaceRequest(namespace=name))
        except RPCError:
            return False
        return True

    await until(known)
    return name


@pytest.fixture
async def broker(servers: Servers, tmp_path: Path) -> AsyncIterator[Web]:
    """A gateway in a world whose broker takes API keys."""
    write_broker(tmp_path, servers.sandbox.base_url)
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        yield web
