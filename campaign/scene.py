"""One process's death and what follows: a world, the doomed, its successor, and who asked."""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from campaign.doomed import REACHED
from campaign.places import Place
from tests.cli.terminal import Done, Running, Terminal, terminal_of
from tests.world import World

DIES_WITHIN_S = 60.0
READY = "worker ready"


class NotReached(AssertionError):
    """The process did not die, or not at its place: then the point proves nothing."""


@dataclass
class Scene:
    """What one drive works with, and what is known of it so far."""

    world: World
    terminal: Terminal
    place: Place
    connection_id: UUID | None = None
    died_at: float = 0.0
    """Unix seconds, as in the provider's log."""
    asked: list[asyncio.Future[object]] = field(default_factory=list)

    @classmethod
    def of(cls, world: World, place: Place) -> "Scene":
        """A scene in a world of its own."""
        return cls(world, terminal_of(world, 8400), place)

    @property
    def subject(self) -> UUID:
        """The connection that it is about."""
        assert self.connection_id is not None
        return self.connection_id

    @property
    def _armed(self) -> Path:
        return self.world.folder / "armed"

    def arm(self) -> None:
        """From here on the place is deadly."""
        self._armed.touch()

    def hears(self, answer: Coroutine[object, object, object]) -> None:
        """Somebody waits for this answer, which may never come."""
        self.asked.append(asyncio.ensure_future(answer))

    def set_keys(self, keys: str) -> None:
        """Processes that are started from here on have this keyring."""
        (self.world.folder / "keys").write_text(keys)

    @asynccontextmanager
    async def doomed(self, *words: str) -> AsyncIterator[Running]:
        """A command that is to kill itself, for as long as the block lasts."""
        watched = ("--at", str(self.place), "--armed", str(self._armed))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "campaign.doomed", *watched, *words),
            stdout=PIPE,
            stderr=PIPE,
            cwd=self.terminal.folder,
            env=dict(self.terminal.environment),
            start_new_session=True,
        )
        running = Running(process)
        try:
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            await running.ended()

    async def dies(self, running: Running) -> None:
        """Wait until it has killed itself at its place.

        Raises:
            NotReached: it has not.
        """
        try:
            done: Done = await running.ended(DIES_WITHIN_S)
        except TimeoutError:
            raise NotReached(f"{self.place} was not reached") from None
        self.died_at = time.time()
        if done.code != -signal.SIGKILL or self._armed.read_text() != REACHED:
            raise NotReached(f"it ended with {done.code}, not at {self.place}:\n{done.err}")

    @asynccontextmanager
    async def successor(self) -> AsyncIterator[Running]:
        """An ordinary worker takes over, for as long as the block lasts."""
        async with self.terminal.running("worker") as running:
            await running.says(READY)
            yield running
