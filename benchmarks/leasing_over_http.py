"""Leases per second through the gateway, against a bare endpoint that reads one row, by turns.

Both are processes of their own, asked by the same callers, while a worker refreshes other
connections every second or two: what a lease costs where Moorline is at work.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import httpx

from benchmarks.figures import Effort, Figure, mean
from benchmarks.ground import LONG, SHORT, Ground
from domain.roles import Role
from moorline.stack.ports import free_ports
from storage import api_keys
from storage.database import now

AT_ONCE = 10
ROUNDS = 5
KEPT_FRESH = 20
"""Connections that are refreshed meanwhile."""
QUEUE = "bench-http"


async def leases_over_http(ground: Ground, effort: Effort) -> list[Figure]:
    """Ten callers at once, each on a connection of its own to the server."""
    client = ground.on_queue(QUEUE)
    async with ground.working(QUEUE), await _callers(ground) as http:
        ids = await ground.connect(client, LONG, effort.connections)
        fresh = await ground.connect(client, SHORT, KEPT_FRESH)
        bare = await _bare(ground)
        leased = f"{ground.development.stack.gateway_url}/v1/connections"
        ours, theirs = _Side(), _Side()
        for _ in range(ROUNDS):
            await theirs.ask(lambda one: http.get(f"{bare}/{one}"), ids, effort)
            await ours.ask(lambda one: http.post(f"{leased}/{one}/lease"), ids, effort)
        await ground.end([*ids, *fresh])
    raw = {
        "leases/s": mean(ours.per_second),
        "answers/s": mean(theirs.per_second),
        "p50 ms": ours.quantile(0.5),
        "p99 ms": ours.quantile(0.99),
        "bare p50 ms": theirs.quantile(0.5),
        "bare p99 ms": theirs.quantile(0.99),
    }
    ratio = mean(ours.per_second) / mean(theirs.per_second)
    return [Figure("leases over HTTP", effort.connections, ratio, "-", raw)]


class _Side:
    """What one of the two servers did."""

    def __init__(self) -> None:
        self.per_second: list[float] = []
        self._took_ms: list[float] = []

    async def ask(
        self,
        question: Callable[[UUID], Awaitable[httpx.Response]],
        ids: list[UUID],
        effort: Effort,
    ) -> None:
        dice = random.Random(7)
        over = time.monotonic() + effort.seconds / ROUNDS / 2
        before = len(self._took_ms)

        async def one() -> None:
            while (began := time.monotonic()) < over:
                answer = await question(dice.choice(ids))
                assert answer.status_code == 200, answer.text
                self._took_ms.append((time.monotonic() - began) * 1000)

        began = time.monotonic()
        await asyncio.gather(*(one() for _ in range(AT_ONCE)))
        self.per_second.append((len(self._took_ms) - before) / (time.monotonic() - began))

    def quantile(self, part: float) -> float:
        return sorted(self._took_ms)[int(part * (len(self._took_ms) - 1))]


async def _callers(ground: Ground) -> httpx.AsyncClient:
    async with ground.parts.database.transaction() as session:
        _, key = api_keys.create(session, Role.LEASE, "a benchmark", await now(session))
    headers = {"Authorization": f"Bearer {key.reveal()}"}
    return httpx.AsyncClient(headers=headers, trust_env=False, timeout=30)


async def _bare(ground: Ground) -> str:
    (port,) = free_ports(1)
    await ground.development.stack.start_python(
        "bare-http",
        ["-m", "benchmarks.bare_http", str(port)],
        env={"MOORLINE_DATABASE_URL": ground.development.stack.database_url},
        ready=f"http://127.0.0.1:{port}/00000000-0000-4000-8000-000000000000",
    )
    return f"http://127.0.0.1:{port}"
