"""The dev server as it is tuned here, against the one that nobody has tuned."""

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from temporalio.client import Client

from benchmarks import bare
from benchmarks.counting import pace
from benchmarks.figures import Effort, Figure, mean
from benchmarks.ground import Ground
from moorline.stack import StackFacts, TemporalServer
from moorline.stack.ports import free_ports

ROUNDS = 2


async def server_tuning(ground: Ground, effort: Effort) -> list[Figure]:  # noqa: ARG001 -- as all
    """Bare cycles per second by turns: write-ahead log and fewer flushes, or SQLite's defaults."""
    facts = StackFacts.read()
    tuned: list[float] = []
    plain: list[float] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clients = []
        for name, pragmas in (("tuned", facts.temporal.sqlite_pragmas), ("plain", {})):
            (port,) = free_ports(1)
            temporal = facts.temporal.model_copy(update={"sqlite_pragmas": pragmas})
            server = TemporalServer(
                folder / name, port, facts=facts.model_copy(update={"temporal": temporal})
            )
            await stack.enter_async_context(server)
            clients.append(await Client.connect(server.address))
        for turn in range(ROUNDS):
            for client, found in zip(clients, (tuned, plain), strict=True):
                half = Effort(effort.connections, effort.seconds / 2)
                async with bare.cycling(client, f"bench-{turn}", effort.connections):
                    found.append((await pace(bare.made, {}, half)).per_s)
    ratio = mean(tuned) / mean(plain)
    raw = {"cycles/s": mean(tuned), "untuned cycles/s": mean(plain)}
    return [Figure("tuned dev server", effort.connections, ratio, "2", raw)]
