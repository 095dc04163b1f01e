"""What all drives have in common: how an operation is led to its point, and judged afterwards.

``prepare`` runs while nothing is deadly yet; ``ask`` brings the process to its place. ``fate`` is
asked again and again once a successor runs: None means that it is not settled yet.
"""

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from pydantic import JsonValue

from campaign.scene import READY, Scene
from tests.cli.terminal import Running
from tests.world import Servers


class Drive:
    """One operation; an object for each scene."""

    settles_within_s = 30.0

    def entry(self, servers: Servers) -> Mapping[str, JsonValue]:  # noqa: ARG002 -- most need none
        """What the provider's entry says besides the usual."""
        return {}

    async def kill(self, scene: Scene) -> None:
        """A worker comes to its place, and dies there."""
        async with scene.doomed("worker") as doomed:
            await doomed.says(READY)
            await self.prepare(scene)
            await self.fall(scene, doomed)

    async def fall(self, scene: Scene, doomed: Running) -> None:
        """From the question to the death."""
        await self.ask(scene)
        await scene.dies(doomed)

    def succeed(self, scene: Scene) -> AbstractAsyncContextManager[Running]:
        """Whoever goes on where the dead one was."""
        return scene.successor()

    @abstractmethod
    async def prepare(self, scene: Scene) -> None:
        """Set the stage."""

    @abstractmethod
    async def ask(self, scene: Scene) -> None:
        """Have the deadly thing done."""

    @abstractmethod
    async def fate(self, scene: Scene) -> str | None:
        """What became of it; None: not settled yet."""
