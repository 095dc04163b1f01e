"""A child process: started with a log and a claim, watched, stopped politely, killed if need be.

It must not know what the process does; when it is ready is the business of `readiness`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Self

from .claims import Claim
from .errors import StackError
from .logs import Log
from .parents import dying_with_parent
from .state import StateFolder


@dataclass(frozen=True)
class Command:
    """What a child runs, and how it is asked to stop."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    stop_signal: Signals = SIGTERM
    stop_within: float = 10


class Child:
    """A running child of this process."""

    def __init__(
        self, command: Command, process: asyncio.subprocess.Process, claim: Claim, log: Log
    ) -> None:
        self.name = command.name
        self.pid = process.pid
        self.stopping = False
        self._command = command
        self._process = process
        self._claim = claim
        self._log = log
        self._reaper = asyncio.create_task(self._reap())

    @classmethod
    async def spawn(cls, command: Command, state: StateFolder) -> Self:
        """Start `command`, once what an earlier run left of it has ended."""
        claim = Claim.take(state.pid_file(command.name))
        try:
            await claim.end_leftover()
            log = Log.begin(state.log(command.name))
            process = await _spawn(command, log)
        except BaseException:
            claim.release()
            raise
        claim.note(process.pid, command.stop_signal)
        return cls(command, process, claim, log)

    @property
    def log(self) -> Path:
        return self._log.path

    @property
    def output(self) -> str:
        """What it wrote since it was started."""
        return self._log.text()

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def wait(self) -> int:
        """Its return code, once it has ended."""
        return await asyncio.shield(self._reaper)

    async def stop(self) -> None:
        """Ask it to end; kill it when it does not."""
        self._signal(self._command.stop_signal, os.kill)
        try:
            async with asyncio.timeout(self._command.stop_within):
                await self.wait()
        except TimeoutError:
            self.kill()
            await self.wait()

    def kill(self) -> None:
        """SIGKILL, to it and what it started. Not an unexpected death: nobody is told of it."""
        self._signal(SIGKILL, os.killpg)

    def _signal(self, signal: Signals, send: Callable[[int, int], None]) -> None:
        # `Process.send_signal` may collect the return code before asyncio does, which loses it.
        self.stopping = True
        if self.returncode is None:
            with suppress(ProcessLookupError):
                send(self.pid, signal)

    def obituary(self) -> str:
        """How it ended and what it said last, for a person."""
        said = self._log.tail() or "(it wrote nothing)"
        return f"{self.name} {self._ending()}; the end of {self.log}:\n{said}"

    def _ending(self) -> str:
        if self.returncode is None:
            return f"(pid {self.pid}) is still running"
        if self.returncode < 0:
            return f"(pid {self.pid}) was ended by {Signals(-self.returncode).name}"
        return f"(pid {self.pid}) ended with exit code {self.returncode}"

    async def _reap(self) -> int:
        returncode = await self._process.wait()
        self._claim.release()
        return returncode


async def _spawn(command: Command, log: Log) -> asyncio.subprocess.Process:
    try:
        with log.sink() as sink:
            return await asyncio.create_subprocess_exec(
                *command.argv,
                env=command.env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=asyncio.subprocess.STDOUT,
                umask=0o077,
                start_new_session=True,  # Ctrl-C reaches us alone: we stop children in order
                preexec_fn=dying_with_parent(command.stop_signal),
            )
    except OSError as error:
        raise StackError(f"{command.name} cannot be started: {error}") from None
