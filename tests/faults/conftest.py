"""A world without a worker, and a terminal in it to start workers that can be killed."""

import pytest

from tests.cli.terminal import Terminal, terminal_of
from tests.world import World


@pytest.fixture
def terminal(world: World) -> Terminal:
    return terminal_of(world, 8400)
