"""Fixtures: a gateway beside one test's world."""

from collections.abc import AsyncIterator

import pytest

from tests.web.gateway import Web, gateway_of
from tests.world import World


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
