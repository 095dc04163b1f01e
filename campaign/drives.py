"""How each operation is driven into its point, and how it is told what became of it.

``prepare`` runs while nothing is deadly yet; ``ask`` brings the process to its place. ``fate`` is
asked again and again once a successor runs: None means that it is not settled yet.
"""

import asyncio
from abc import abstractmethod

from campaign.points import Fate, Operation
from campaign.scene import Scene
from domain.status import ConnectionStatus, StatusReason


class Drive:
    """One operation; an object for each scene."""

    settles_within_s = 30.0

    @abstractmethod
    async def prepare(self, scene: Scene) -> None:
        """Set the stage."""

    @abstractmethod
    async def ask(self, scene: Scene) -> None:
        """Have the deadly thing done."""

    @abstractmethod
    async def fate(self, scene: Scene) -> str | None:
        """What became of it; None: not settled yet."""


class Refreshing(Drive):
    """A user's program wants a new token."""

    async def prepare(self, scene: Scene) -> None:
        """A connection that is ACTIVE and fresh."""
        scene.connection_id = (await scene.world.imported()).connection_id

    async def ask(self, scene: Scene) -> None:
        """Refresh; whoever asks may give up waiting."""
        scene.arm()
        asked = scene.world.connections.refresh(scene.subject)
        scene.asked.append(asyncio.ensure_future(asked))

    async def fate(self, scene: Scene) -> str | None:
        """By the provider's log, and the row."""
        view = await scene.world.connections.view(scene.subject)
        if view.status is ConnectionStatus.ACTIVE and view.generation == 1:
            return None
        posts = await scene.world.refreshes()
        presented = [post.presented for post in posts]
        if view.status is ConnectionStatus.ACTIVE and view.generation == 2:
            if presented == ["current"]:
                return Fate.KEPT if posts[0].started_at < scene.died_at else Fate.SENT_ONCE
            if presented == ["current", "previous_in_grace"]:
                return Fate.FOUND
        elif view.reason is StatusReason.LOST_ROTATION and presented == ["current", "rotated_out"]:
            return Fate.LOST
        return f"{view.status} ({view.reason}), generation {view.generation}, {presented}"


DRIVES: dict[Operation, type[Drive]] = {Operation.REFRESH: Refreshing}
