"""A process whose keyring cannot be right does not start, names the key, and shows none."""

import asyncio
import base64

import pytest

from storage.keyring import new_key
from tests.cli.terminal import Terminal
from tests.world import World

SHORT = base64.b64encode(b"k" * 31).decode()
WRONG = {
    "none": ("", "without keys nothing is stored"),
    "of 31 bytes": (f"old:{SHORT}", "the key 'old' has 31 bytes, not 32"),
    "no base64": ("old:not-base64!", "the key 'old' is not base64"),
    "without a name": (SHORT, "entry 1 is not of the form id:base64"),
    "twice": (f"{new_key('old')},{new_key('old')}", "the key id 'old' stands there twice"),
}


@pytest.mark.parametrize(("keys", "said"), WRONG.values(), ids=WRONG)
async def test_neither_worker_nor_gateway_starts_with_keys_that_cannot_be_right(
    terminal: Terminal, keys: str, said: str
) -> None:
    for line in await asyncio.gather(
        terminal.fails("worker", MOORLINE_KEYS=keys),
        terminal.fails("gateway", MOORLINE_KEYS=keys),
        terminal.fails("worker", MOORLINE_PAYLOAD_KEYS=keys),
    ):
        assert said in line
        for secret in (SHORT, *keys.replace(",", ":").split(":")[1::2]):
            assert not secret or secret not in line


async def test_the_order_of_the_keys_decides_what_seals_and_nothing_else(
    world: World, terminal: Terminal
) -> None:
    other = new_key("other")
    async with world.working():
        views = [await world.imported() for _ in range(2)]
    for keys in (f"{world.keys},{other}", f"{other},{world.keys}"):
        async with terminal.running("worker", MOORLINE_KEYS=keys) as worker:
            await worker.says("worker ready")
            for view in views:
                again = await world.connections.refresh(view.connection_id)
                assert again.trouble is None
