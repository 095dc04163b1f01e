"""The stack as one thing: starts the servers, runs Python parts beside them, stops all in order.

Which Python parts there are, and what they are told, is the caller's to say.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from signal import SIGTERM
from typing import Self

from . import readiness
from .child import Child, Command
from .claims import Claim
from .errors import StackError
from .facts import StackFacts
from .ports import HOST, Ports
from .postgres import PostgresServer
from .state import StateFolder
from .temporal import TemporalServer

# What is not named here, the workers, stops before these: each needs those after it.
_STOPPED_LAST = ("gateway", "sandbox", "temporal", "postgres")


class Stack:
    """Temporal and PostgreSQL on one state folder, and whatever Python parts are started."""

    def __init__(
        self,
        state: Path,
        facts: StackFacts,
        ports: Ports,
        *,
        headless: bool = False,
        in_memory: bool = False,
        codec_endpoint: str | None = None,
    ) -> None:
        """`in_memory` concerns Temporal alone; `codec_endpoint` is where its web UI decodes."""
        self.facts = facts
        self.ports = ports
        self.postgres = PostgresServer(state, ports.postgres, facts=facts)
        self.temporal = TemporalServer(
            state,
            ports.temporal,
            facts=facts,
            ui_port=None if headless else ports.ui,
            metrics_port=ports.metrics,
            in_memory=in_memory,
            codec_endpoint=codec_endpoint,
        )
        self._state = StateFolder.open(state)
        self._starts: dict[str, Callable[[], Awaitable[Child]]] = {
            "postgres": self.postgres.start,
            "temporal": self.temporal.start,
        }
        self._children: dict[str, Child] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._deaths: asyncio.Queue[Child] = asyncio.Queue()

    @property
    def database_url(self) -> str:
        """With the password: not for a log or a screen."""
        return self.postgres.database_url

    @property
    def temporal_address(self) -> str:
        return self.temporal.address

    @property
    def metrics_url(self) -> str:
        return self.temporal.metrics_url

    @property
    def ui_url(self) -> str:
        return f"http://{HOST}:{self.ports.ui}"

    @property
    def sandbox_url(self) -> str:
        return f"http://{HOST}:{self.ports.sandbox}"

    @property
    def gateway_url(self) -> str:
        return f"http://{HOST}:{self.ports.gateway}"

    @property
    def versions(self) -> dict[str, str]:
        """What the servers say they are: `temporal`, `ui`, `cli` and `postgresql`."""
        return {**self.temporal.versions, "postgresql": self.postgres.version}

    @property
    def children(self) -> Mapping[str, Child]:
        """The newest child of each name."""
        return self._children

    async def __aenter__(self) -> Self:
        self._claim = Claim.take(self._state.lock)
        try:
            self._claim.note(os.getpid(), SIGTERM)
            await self._end_leftovers()
            self.ports.check()
            await self._start_servers()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def start_python(
        self,
        name: str,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        ready: str | None = None,
        ready_within: float = 30,
        stop_within: float = 40,
    ) -> Child:
        """Run `python ARGS` as a child named `name`, with the log `logs/NAME.log`.

        `ready` is a URL that will answer with success, or a text that will stand in the log;
        without it the child counts as ready at once. `env` is added to our own environment.
        """
        command = Command(
            name, [sys.executable, *args], _environment(env or {}), stop_within=stop_within
        )
        self._refuse_twice(name)
        self._starts[name] = partial(
            readiness.start, command, self._state, _probe(ready), ready_within
        )
        return await self.restart(name)

    async def restart(self, name: str) -> Child:
        """Start a part again as it was started before; it is stopped first if it still runs."""
        if earlier := self._children.get(name):
            await earlier.stop()
        child = self._children[name] = await self._starts[name]()
        watch = asyncio.create_task(self._watch(child))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return child

    async def wait(self) -> Child:
        """The next part that ended without being told to; its `obituary()` says how."""
        return await self._deaths.get()

    async def _stop(self) -> None:
        """Stop everything, in the order in which the parts need one another."""
        by_rank = sorted(self._children.values(), key=_rank)
        for _, children in groupby(by_rank, key=_rank):
            await asyncio.gather(*(child.stop() for child in children))
        self._children.clear()
        self._claim.release()

    async def _end_leftovers(self) -> None:
        for path in sorted(self._state.pid_files(), key=lambda path: _rank_of(path.stem)):
            claim = Claim.take(path)
            await claim.end_leftover()
            claim.release()

    async def _start_servers(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for name in ("temporal", "postgres"):
                    group.create_task(self.restart(name))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _watch(self, child: Child) -> None:
        await child.wait()
        if not child.stopping:
            self._deaths.put_nowait(child)

    def _refuse_twice(self, name: str) -> None:
        earlier = self._children.get(name)
        if earlier and earlier.returncode is None and not earlier.stopping:
            raise StackError(f"{name} is already running (pid {earlier.pid})")


def _rank(child: Child) -> int:
    return _rank_of(child.name)


def _rank_of(name: str) -> int:
    return _STOPPED_LAST.index(name) if name in _STOPPED_LAST else -1


def _probe(ready: str | None) -> readiness.Probe:
    if ready is None:
        return readiness.at_once
    return readiness.answers(ready) if ready.startswith("http://") else readiness.says(ready)


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    # Unbuffered, so that a log can be read while it is written; without the current folder on the
    # module path, so that a folder the user stands in is never taken for one of our rooms.
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1", **extra}
