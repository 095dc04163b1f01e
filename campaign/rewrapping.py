"""Driving the rewrapping of data keys to its point: a command, not a worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from campaign.driving import Drive
from campaign.points import Fate
from campaign.scene import Scene
from domain.secret import Secret
from storage import data_keys
from storage.data_keys import REWRAP_BATCH
from storage.keyring import Keyring, new_key
from storage.vault import Vault
from tests.cli.terminal import Running

COMMAND = ("keys", "rewrap")
NEW = "new"


class Rewrapping(Drive):
    """The operator has put a new key before the old one."""

    async def kill(self, scene: Scene) -> None:
        """The command comes to its place, and dies there."""
        await self.prepare(scene)
        await self.ask(scene)
        async with scene.doomed(*COMMAND) as doomed:
            await scene.dies(doomed)

    async def prepare(self, scene: Scene) -> None:
        """More than a batch is sealed under the old key; one connection is alive."""
        world = scene.world
        async with world.working():
            scene.connection_id = (await world.imported()).connection_id
        for _ in range(REWRAP_BATCH + REWRAP_BATCH // 5):
            await world.connections.seal(uuid4(), {"access_token": Secret("x")})

    async def ask(self, scene: Scene) -> None:
        """A new key, before the old one."""
        self._new = new_key(NEW)
        scene.set_keys(f"{self._new},{scene.world.keys}")
        scene.arm()

    @asynccontextmanager
    async def succeed(self, scene: Scene) -> AsyncIterator[Running]:
        """The same command again; then a worker that has the new key alone."""
        done = await scene.terminal.run(*COMMAND)
        assert done.code == 0, done.err
        scene.set_keys(self._new)
        async with scene.successor() as running:
            yield running

    async def fate(self, scene: Scene) -> str | None:
        """By the rows: under which key they are, and whether it opens them."""
        async with scene.world.database.transaction() as session:
            counts = await data_keys.count_by_key(session)
            wrapped = await data_keys.find(session, scene.subject)
        assert wrapped is not None
        Vault(Keyring.parse(self._new, "keys")).unwrap(wrapped)
        return Fate.REWRAPPED if counts.keys() == {NEW} else f"under these keys: {counts}"
