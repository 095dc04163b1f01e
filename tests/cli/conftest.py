"""A world whose logins come back to a port of its own, with a worker, and a terminal in it."""

import dataclasses
from collections.abc import AsyncIterator

import pytest

from tests.cli.terminal import Terminal, free_port, redirect_uri, terminal_of
from tests.world import World


@pytest.fixture
def port() -> int:
    """Where logins come back to."""
    return free_port()


@pytest.fixture
def terminal(world: World, port: int) -> Terminal:
    """A terminal in a world without a worker."""
    world.resources = dataclasses.replace(world.resources, redirect_uri=redirect_uri(port))
    return terminal_of(world, port)


@pytest.fixture
async def busy(world: World, terminal: Terminal) -> AsyncIterator[Terminal]:
    """A terminal in a world with a worker."""
    async with world.working():
        yield terminal
