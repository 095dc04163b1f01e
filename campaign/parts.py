"""The parts of a running Moorline, and what can be done to them: kill, freeze, restart, cut off.

Two workers, gateway, Temporal, PostgreSQL and the provider are processes of their own on one state
folder; between them lie the links of ``campaign.proxy``. What ends by itself is started again, as
a service manager would.
"""

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals
from typing import Final
from urllib.parse import urlsplit

from campaign.apps import register, write_entries
from campaign.clocks import RIGHT, Clock
from campaign.proxy import HOST, PASS, Proxy
from moorline.settings import given
from moorline.setup import set_up
from moorline.stack import Ports, Stack, StackError, StackFacts
from moorline.stack.ports import free_ports
from moorline.stack.state import write_private
from providers.sandbox.remote import Remote
from storage import schema
from storage.database import Database
from storage.keyring import new_key

WORKERS: Final = ("worker-1", "worker-2")
PARTS: Final = (*WORKERS, "gateway", "temporal", "postgres")
"""What may be killed and frozen. The provider is not: its log is the evidence."""
SHIFTABLE: Final = (*WORKERS, "gateway")
"""Whose clocks may be shifted. Not those of the servers: theirs are the ones that are believed."""
LINKS: Final = {
    "worker-temporal": ("worker-1-temporal", "worker-2-temporal"),
    "worker-postgres": ("worker-1-postgres", "worker-2-postgres"),
    "worker-provider": ("worker-provider",),
    "client-temporal": ("client-temporal",),
    "client-postgres": ("client-postgres",),
}
"""Each link, and its lines: the two workers can be cut off one by one."""
ALL_LINES: Final = tuple(line for lines in LINKS.values() for line in lines)


@dataclass
class Parts:
    """What runs, and how to get at it."""

    state: Path
    stack: Stack
    lines: Mapping[str, Proxy]
    sandbox: Remote
    clocks: Mapping[str, Clock]
    """Of the parts whose clocks can be shifted; of none, where that cannot be done."""
    client_environment: Mapping[str, str] = field(repr=False)
    """What a part is told that goes over the links of the clients."""
    restarts: Counter[str] = field(default_factory=Counter)
    """How often a part ended by itself and was started again."""
    _busy: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock), repr=False
    )

    @asynccontextmanager
    async def holding(self, name: str) -> AsyncIterator[None]:
        """Nobody else starts or stops this part in the block."""
        async with self._busy[name]:
            yield

    def is_busy(self, names: Iterable[str]) -> bool:
        """Whether somebody is starting or stopping one of these."""
        return any(self._busy[name].locked() for name in names)

    def kill(self, name: str) -> None:
        """SIGKILL, to the part and all it has started."""
        family = self._family(name)
        self.stack.children[name].kill()
        _signal(family, SIGKILL)

    def freeze(self, name: str) -> None:
        """SIGSTOP: it lives, keeps its connections, and does nothing."""
        _signal(self._family(name), SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        _signal(self._family(name), SIGCONT)

    async def restart(self, name: str) -> None:
        """Have it stopped in order, if it runs, and started, until it is ready."""
        while True:
            try:
                await self.stack.restart(name)
            except StackError:
                await asyncio.sleep(0.5)  # what it needs is not there yet
            else:
                return

    async def watch(self) -> None:
        """Start again what ends by itself; runs until it is cancelled."""
        async with asyncio.TaskGroup() as restarting:
            while True:
                child = await self.stack.wait()
                self.restarts[child.name] += 1
                restarting.create_task(self._start_again(child.name))

    async def heal(self) -> None:
        """Every line passes, every part runs, and the provider is well."""
        for line in self.lines.values():
            await line.become(PASS)
        for clock in self.clocks.values():
            clock.shift(RIGHT)
        await self.sandbox.clear()
        for name in PARTS:
            self.thaw(name)
            async with self.holding(name):
                if self.stack.children[name].returncode is not None:
                    await self.restart(name)

    def _family(self, name: str) -> list[int]:
        child = self.stack.children[name]
        return _family(child.pid) if child.returncode is None else []

    async def _start_again(self, name: str) -> None:
        async with self.holding(name):
            if self.stack.children[name].returncode is not None:
                await self.restart(name)


@asynccontextmanager
async def running(state: Path) -> AsyncIterator[Parts]:
    """All parts up, on ports of their own; at the end none is left."""
    facts, ports = StackFacts.read(), Ports.free()
    async with AsyncExitStack() as stack:
        running_stack = await stack.enter_async_context(Stack(state, facts, ports, headless=True))
        lines = await _lines(stack, ports)
        await _prepare(state, running_stack)
        client_environment = _environment(state, running_stack, lines, "client")
        clocks = {name: clock for name in SHIFTABLE if (clock := Clock.of(state / f"clock-{name}"))}
        await _start_sandbox(running_stack, state, lines)
        for name in SHIFTABLE:
            told = client_environment
            if name in WORKERS:
                told = _environment(state, running_stack, lines, name)
            shifted = clocks[name].environment if name in clocks else {}
            await _start(running_stack, name, {**told, **shifted})
        sandbox = await stack.enter_async_context(Remote.connect(running_stack.sandbox_url))
        await register(sandbox)
        parts = Parts(state, running_stack, lines, sandbox, clocks, client_environment)
        watching = asyncio.create_task(parts.watch())
        try:
            yield parts
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            for name in running_stack.children:
                parts.thaw(name)  # what is frozen cannot be asked to stop


async def _lines(stack: AsyncExitStack, ports: Ports) -> Mapping[str, Proxy]:
    targets = {
        "temporal": ports.temporal,
        "postgres": ports.postgres,
        "provider": ports.sandbox,
    }
    lines = {}
    for name, port in zip(ALL_LINES, free_ports(len(ALL_LINES)), strict=True):
        proxy = Proxy(port, targets[name.rpartition("-")[2]])
        lines[name] = await stack.enter_async_context(proxy)
    return lines


async def _prepare(state: Path, stack: Stack) -> None:
    for file in ("keys", "payload-keys"):
        write_private(state / file, new_key("first") + "\n")
    database = Database(stack.database_url)
    await schema.migrate(database)
    await database.close()
    environment = {
        "TEMPORAL_ADDRESS": stack.temporal_address,
        "TEMPORAL_NAMESPACE": stack.facts.temporal.namespace,
        "TEMPORAL_CONFIG_FILE": os.devnull,
    }
    await set_up(given(), environment)


async def _start_sandbox(stack: Stack, state: Path, lines: Mapping[str, Proxy]) -> None:
    folder = state / "providers"
    link = f"http://{HOST}:{lines['worker-provider'].port}"
    write_entries(folder, stack.sandbox_url, link)
    where = [f"--port={stack.ports.sandbox}", f"--state={state / 'sandbox'}"]
    await stack.start_python(
        "sandbox", ["-m", "providers.sandbox", *where], ready=f"{stack.sandbox_url}/healthz"
    )


async def _start(stack: Stack, name: str, environment: Mapping[str, str]) -> None:
    is_worker = name in WORKERS
    await stack.start_python(
        name,
        ["-m", "moorline", "worker" if is_worker else "gateway"],
        env=environment,
        ready="worker ready" if is_worker else f"{stack.gateway_url}/healthz",
    )


def _environment(
    state: Path, stack: Stack, lines: Mapping[str, Proxy], who: str
) -> Mapping[str, str]:
    """What a part is told: it reaches the servers over lines of its own."""
    database = urlsplit(stack.database_url)
    netloc = f"{database.username}:{database.password}@{HOST}:{lines[f'{who}-postgres'].port}"
    return {
        "MOORLINE_DATABASE_URL": database._replace(netloc=netloc).geturl(),
        "MOORLINE_REDIRECT_URI": f"http://{HOST}:{stack.ports.redirect}/callback",
        "MOORLINE_GATEWAY_PORT": str(stack.ports.gateway),
        "MOORLINE_PUBLIC_URL": stack.gateway_url,
        "MOORLINE_KEYS": f"file:{(state / 'keys').resolve()}",
        "MOORLINE_PAYLOAD_KEYS": f"file:{(state / 'payload-keys').resolve()}",
        "MOORLINE_PROVIDERS": str((state / "providers").resolve()),
        "MOORLINE_LOG_LEVEL": "DEBUG",
        "TEMPORAL_ADDRESS": f"{HOST}:{lines[f'{who}-temporal'].port}",
        "TEMPORAL_NAMESPACE": stack.facts.temporal.namespace,
        # What a person has configured for other servers must not reach these.
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "TEMPORAL_TLS": "false",
    }


def _family(pid: int) -> list[int]:
    """A process and all its descendants: PostgreSQL's lead groups of their own."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            fields = stat.read_text().rpartition(")")[2].split()
            children[int(fields[1])].append(int(stat.parent.name))
    family = [pid]
    for member in family:
        family += children[member]
    return family


def _signal(pids: list[int], signal: Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal)
