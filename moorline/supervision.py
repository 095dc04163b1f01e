"""Keeping the parts of a stack running: what dies is buried with its last words and started again.

Our own parts are, with a growing pause between tries. A server that dies takes the stack with it:
what made it die is not for us to hide.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final, NoReturn

from moorline.stack import Child, Stack, StackError

SERVERS: Final = frozenset({"postgres", "temporal"})
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
CALM_S: Final = 60.0
"""A part that ran so long has recovered: its next death is its first."""

Say = Callable[[str], None]


class Supervision:
    """Watches one stack."""

    def __init__(self, stack: Stack, say: Say) -> None:
        self._stack = stack
        self._say = say
        self._pauses: defaultdict[str, float] = defaultdict(lambda: FIRST_PAUSE_S)
        self._started: defaultdict[str, float] = defaultdict(time.monotonic)

    async def watch(self) -> NoReturn:
        """Start again what dies.

        Raises:
            StackError: a server has died.
        """
        async with asyncio.TaskGroup() as restarts:
            while True:
                child = await self._stack.wait()
                self._say(child.obituary())
                if child.name in SERVERS:
                    raise StackError(f"{child.name} is gone, so everything is stopped")
                restarts.create_task(self._restart(child))

    async def _restart(self, child: Child) -> None:
        if time.monotonic() - self._started[child.name] > CALM_S:
            self._pauses.pop(child.name, None)
        while True:
            pause = self._pauses[child.name]
            self._pauses[child.name] = min(2 * pause, LONGEST_PAUSE_S)
            self._say(f"{child.name} is started again in {pause:g} s")
            await asyncio.sleep(pause)
            try:
                await self._stack.restart(child.name)
            except StackError as error:
                self._say(str(error))
            else:
                self._started[child.name] = time.monotonic()
                self._say(f"{child.name} runs again")
                return
