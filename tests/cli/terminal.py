"""A person at a terminal: real commands, as processes of their own, in the environment of a world.

Whatever a command writes is searched for secrets; only ``token`` may print one.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, Signals

import httpx
from pydantic import JsonValue

from moorline.stack.ports import free_ports
from tests.world import World

CANARY = "mlcanary"
WITHIN_S = 60


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> JsonValue:
        """Its standard output, which is one JSON value and nothing else."""
        value: JsonValue = json.loads(self.out)
        return value

    @property
    def object(self) -> dict[str, JsonValue]:
        assert isinstance(self.json, dict)
        return self.json


class Running:
    """A command that runs: what it has written so far."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.out = ""
        self.err = ""
        self._readers = [
            asyncio.create_task(self._read("out", process.stdout)),
            asyncio.create_task(self._read("err", process.stderr)),
        ]

    async def says(self, text: str, within_s: float = WITHIN_S) -> str:
        """Wait until it has written this; the line it stands in."""
        try:
            async with asyncio.timeout(within_s):
                while text not in self.out + self.err:
                    assert self.process.returncode is None, f"it ended:\n{self.out}\n{self.err}"
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{text!r} is not in:\n{self.out}\n{self.err}") from None
        return next(line for line in (self.out + self.err).splitlines() if text in line)

    async def url(self) -> str:
        """The provider's page that it wants opened."""
        return (await self.says("/authorize?")).strip()

    async def ended(self, within_s: float = WITHIN_S) -> Done:
        """Once it has ended."""
        async with asyncio.timeout(within_s):
            code = await self.process.wait()
            await asyncio.gather(*self._readers)
        return Done(code, self.out, self.err)

    async def told(self, signal: Signals) -> Done:
        """Once it has ended because of this signal."""
        self.process.send_signal(signal)
        return await self.ended()

    async def _read(self, name: str, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while chunk := await stream.read(65536):
            setattr(self, name, getattr(self, name) + chunk.decode())


@dataclass
class Terminal:
    """Where commands are given."""

    environment: Mapping[str, str]
    folder: Path
    module: str = "moorline"
    """What a command is of."""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    async def run(self, *words: object, stdin: str = "", **changes: str | None) -> Done:
        """Run one command to its end; ``changes`` of the environment, None takes one away."""
        async with self.running(*words, stdin=stdin, **changes) as command:
            return await command.ended()

    async def fails(self, *words: object, stdin: str = "", **changes: str | None) -> str:
        """A command that fails cleanly; the one line it says."""
        done = await self.run(*words, stdin=stdin, **changes)
        assert (done.code, done.out) == (1, ""), (words, done)
        assert done.err.startswith("Error: "), done.err
        assert done.err.count("\n") == 1, done.err
        assert "unexpected" not in done.err
        return done.err

    @asynccontextmanager
    async def running(
        self, *words: object, stdin: str = "", **changes: str | None
    ) -> AsyncIterator[Running]:
        """Run a command for as long as the block lasts."""
        process = await self.spawn(*words, stdin=PIPE, **changes)
        assert process.stdin is not None
        process.stdin.write(stdin.encode())
        process.stdin.close()
        command = Running(process)
        try:
            yield command
        finally:
            if process.returncode is None:
                process.send_signal(SIGKILL)
            await command.ended()
            self._search(command, may_print=words[:1] == ("token",))

    async def spawn(self, *words: object, stdin: int, **changes: str | None) -> Process:
        """Start one command."""
        environment = {**self.environment, **changes}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self.module, *map(str, words)),
            stdin=stdin,
            stdout=PIPE,
            stderr=PIPE,
            cwd=self.folder,
            env={name: value for name, value in environment.items() if value is not None},
            start_new_session=True,
        )

    def _search(self, command: Running, *, may_print: bool) -> None:
        shown = command.err if may_print else command.out + command.err
        for secret in (CANARY, *self.secrets):
            assert secret not in shown


def terminal_of(world: World, redirect_port: int) -> Terminal:
    """A terminal in a world's environment, in an empty folder."""
    folder = world.folder / "terminal"
    folder.mkdir()
    keys, payload_keys = world.folder / "keys", world.folder / "payload-keys"
    keys.write_text(world.keys)
    payload_keys.write_text(world.payload_keys)
    environment = {
        **bare_environment(),
        "MOORLINE_DATABASE_URL": database_url(world),
        "MOORLINE_KEYS": f"file:{keys}",
        "MOORLINE_PAYLOAD_KEYS": f"file:{payload_keys}",
        "MOORLINE_PROVIDERS": str(world.folder),
        "MOORLINE_TASK_QUEUE": world.task_queue,
        "MOORLINE_REDIRECT_URI": redirect_uri(redirect_port),
        "TEMPORAL_ADDRESS": world.servers.temporal_address,
    }
    password = world.database.engine.url.password
    secrets = (world.keys.partition(":")[2], world.payload_keys.partition(":")[2], str(password))
    return Terminal(environment, folder, secrets=secrets)


def database_url(world: World) -> str:
    return world.database.engine.url.render_as_string(hide_password=False)


def bare_environment() -> dict[str, str]:
    """Nothing of ours is set; commands are those of the tree that the tests stand in."""
    own = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    safe = {"PYTHONSAFEPATH": "1", "TEMPORAL_CONFIG_FILE": os.devnull}
    return {**own, **safe, "PYTHONPATH": str(Path(__file__).parents[2])}


def redirect_uri(port: int) -> str:
    return f"http://127.0.0.1:{port}/callback"


def free_port() -> int:
    return free_ports(1)[0]


async def get(url: str, **headers: str) -> httpx.Response:
    """What a browser does with an address."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(url, headers=headers)
