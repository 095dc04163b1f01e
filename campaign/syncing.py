"""Driving the reading of data to its point."""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue
from sqlalchemy import func
from sqlmodel import select

from campaign.driving import Drive
from campaign.points import Fate
from campaign.scene import Scene
from providers.sandbox.sessions import User
from storage.finance_tables import TransactionRow
from tests.world import Servers, data_of, until

READER: Final[User] = "bob"
"""A user with a thousand transactions more in each account than others: see ``sweep``."""


class Syncing(Drive):
    """A connection's data is read for the first time."""

    def entry(self, servers: Servers) -> Mapping[str, JsonValue]:
        """The provider has data."""
        return data_of(servers)

    async def prepare(self, scene: Scene) -> None:
        """A connection of which nothing could be read so far."""
        world = scene.world
        down = await world.plant("api", "status", status=503, times=None)
        scene.connection_id = (await world.imported(user=READER)).connection_id

        async def has_failed() -> bool:
            sync = (await world.connections.view(scene.subject)).sync
            return sync is not None and sync.failures > 0

        await until(has_failed)
        await world.sandbox.clear(down)

    async def ask(self, scene: Scene) -> None:
        """Read."""
        scene.arm()
        await scene.world.connections.sync_now(scene.subject)

    async def fate(self, scene: Scene) -> str | None:
        """By what the provider says there is."""
        sync = (await scene.world.connections.view(scene.subject)).sync
        if sync is None or sync.completed == 0:
            return None
        there = sum(each.transactions for each in await scene.world.sandbox.finances(READER))
        async with scene.world.database.transaction() as session:
            query = select(func.count()).select_from(TransactionRow)
            stored = (await session.exec(query)).one()
        return Fate.READ if stored == there else f"{stored} of {there} transactions are stored"
