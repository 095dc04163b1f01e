"""A rotation of the keyring while everything runs: add, promote, rewrap, retire.

Between two steps old and new processes work side by side, as in any deploy.
"""

import asyncio
import itertools
import os
import sys
from typing import Final

from campaign.clients import Clients
from campaign.diary import Diary
from campaign.parts import WORKERS, Parts
from moorline.stack.state import write_private
from storage.keyring import new_key

REWRAP_WITHIN_S: Final = 60
PAUSE_S: Final = 1.0


class KeyRotation:
    """Rotates as often as it is asked to, one after the other."""

    def __init__(self, parts: Parts, clients: Clients, diary: Diary) -> None:
        self._parts = parts
        self._clients = clients
        self._diary = diary
        self._numbers = itertools.count(1)
        self._turn = asyncio.Lock()
        self._file = parts.state / "keys"
        self.retired = 0

    async def rotate(self) -> None:
        """Put a new key in the place of the one there is."""
        async with self._turn:
            old = self._file.read_text().strip()
            new = new_key(f"key-{next(self._numbers)}")
            await self._tell_all("added", f"{old},{new}")
            await self._tell_all("promoted", f"{new},{old}")
            await self._rewrap()
            await self._tell_all("retired", new)
            self.retired += 1

    async def _tell_all(self, step: str, ring: str) -> None:
        """Give the ring to every process, one after the other."""
        self._diary.write("keys", step=step)
        write_private(self._file, ring + "\n")
        for name in (*WORKERS, "gateway"):
            async with self._parts.holding(name):
                await self._parts.restart(name)
        self._clients.read_keys()

    async def _rewrap(self) -> None:
        """``moorline keys rewrap``, until it says that nothing is left."""
        while True:
            command = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "moorline", "keys", "rewrap", "--json"),
                env={**_environment(), **self._parts.client_environment},
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(REWRAP_WITHIN_S):
                    code = await command.wait()
            finally:
                if command.returncode is None:
                    command.kill()
                    await command.wait()
            self._diary.write("keys", step="rewrapped" if code == 0 else "rewrap to be repeated")
            if code == 0:
                return
            await asyncio.sleep(PAUSE_S)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONSAFEPATH": "1"}
