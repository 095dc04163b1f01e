"""The benchmarks, one function each: ours and the bare thing, one after the other, same servers."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from temporalio.client import WorkflowHandle

from activities.resources import Resources
from benchmarks import bare
from benchmarks.figures import Figure
from benchmarks.ground import Ground, abreast, until
from domain.status import ConnectionStatus
from moorline import assembly
from providers.transport import new_http_client
from storage.database import Database

CYCLES_FOR_S = 20
LEASES_FOR_S = 5
DUE_PER_S = 110
"""More cycles than the machine can make: tokens live as long as their number asks for."""
AT_ONCE = 10
FIRST_TASK_DONE = 4
"""Events of a workflow that has been taken up, and waits."""


async def refresh_cycles(ground: Ground, connections: int) -> list[Figure]:
    """Refresh cycles per second against a timer and a no-op activity per cycle.

    Both are driven beyond what the machine can do, by more cycles due than it can make. Ours also
    asks the provider over HTTP, seals, and commits to PostgreSQL, in the same process: that, and
    the dev server on SQLite, is what bounds it.
    """
    client = ground.on_queue("bench-cycles")
    async with _worker(ground, "bench-cycles"):
        await ground.sandbox.behave("bench-short", access_ttl_s=_lifetime(connections))
        ids = await ground.connect(client, "bench-short", connections)
        await asyncio.sleep(3)
        before = await _generations(ground)
        await asyncio.sleep(CYCLES_FOR_S)
        ours = (await _generations(ground) - before) / CYCLES_FOR_S
        await ground.end(ids)
    async with bare.new_worker(ground.bare, "bench-bare-cycles"):
        handles = await abreast(
            lambda _: ground.bare.start_workflow(
                bare.Cycle.run,
                connections / DUE_PER_S,
                id=f"cycle-{uuid4()}",
                task_queue="bench-bare-cycles",
            ),
            range(connections),
        )
        await asyncio.sleep(3)
        before = bare.done()
        await asyncio.sleep(CYCLES_FOR_S)
        theirs = (bare.done() - before) / CYCLES_FOR_S
        await abreast(lambda handle: handle.terminate(), handles)
    raw = {"cycles/s": ours, "bare cycles/s": theirs}
    return [Figure("refresh cycles per second", connections, ours / theirs, "0.9", raw)]


async def cycle_costs(ground: Ground, connections: int) -> list[Figure]:
    """Events, bytes and billable actions per refresh cycle, all connections together.

    By the server's own counters: length and size of the histories, and its metric of actions. A
    cycle is one timer and one activity; what is above that is continuing as new.
    """
    client = ground.on_queue("bench-costs")
    async with _worker(ground, "bench-costs"):
        await ground.sandbox.behave("bench-short", access_ttl_s=_lifetime(connections))
        ids = await ground.connect(client, "bench-short", connections)
        before, actions = await _generations(ground), await ground.actions()
        events, size = await _histories(ground, ids)
        await asyncio.sleep(CYCLES_FOR_S)
        longer, larger = await _histories(ground, ids)
        cycles = await _generations(ground) - before
        raw = {
            "events": (longer - events) / cycles,
            "bytes": (larger - size) / cycles,
            "actions": (await ground.actions() - actions) / cycles,
        }
        await ground.end(ids)
    wanted = "12 events, 1,500 bytes, 2 actions"
    return [Figure("cost of a refresh cycle", connections, None, wanted, raw)]


async def revocations(ground: Ground, connections: int) -> list[Figure]:
    """From a revoke signal to REVOKED in PostgreSQL, against a bare signal to its workflow's end.

    Ours is two workflow tasks and a transaction more; twenty at once.
    """
    client = ground.on_queue("bench-revoke")
    async with _worker(ground, "bench-revoke"):
        ids = await ground.connect(client, "bench-long", connections)

        async def revoke(connection_id: UUID) -> float:
            began = time.monotonic()
            await client.revoke(connection_id)
            while (await client.view(connection_id)).status is not ConnectionStatus.REVOKED:
                await asyncio.sleep(0.005)
            return time.monotonic() - began

        ours = _mean(await abreast(revoke, ids))
        await ground.end(ids)
    async with bare.new_worker(ground.bare, "bench-bare-revoke"):
        handles = await abreast(
            lambda _: ground.bare.start_workflow(
                bare.Wait.run, id=f"wait-{uuid4()}", task_queue="bench-bare-revoke"
            ),
            range(connections),
        )

        async def end(handle: WorkflowHandle[bare.Wait, None]) -> float:
            began = time.monotonic()
            await handle.signal(bare.Wait.end)
            await handle.result()
            return time.monotonic() - began

        theirs = _mean(await abreast(end, handles))
    raw = {"ms": ours * 1000, "bare ms": theirs * 1000}
    return [Figure("revoke signal to REVOKED stored", connections, ours / theirs, "-", raw)]


async def leases(ground: Ground, connections: int) -> list[Figure]:
    """Leases per second, against a bare SELECT of one row by its key with the bare driver.

    A lease joins three tables through the ORM, unwraps a data key and opens the token.
    """
    client = ground.on_queue("bench-leases")
    async with _worker(ground, "bench-leases"):
        ids = await ground.connect(client, "bench-long", connections)
    dice = random.Random(7)
    ours = await _per_second(lambda: client.lease(dice.choice(ids)))
    pool = [await ground.raw_connection() for _ in range(AT_ONCE)]

    async def select() -> None:
        raw = pool.pop()
        await raw.fetchrow("SELECT * FROM credentials WHERE connection_id = $1", dice.choice(ids))
        pool.append(raw)

    theirs = await _per_second(select)
    for raw_connection in pool:
        await raw_connection.close()
    await ground.end(ids)
    raw = {"leases/s": ours, "selects/s": theirs}
    return [Figure("leases per second", connections, ours / theirs, "-", raw)]


async def synced_rows(ground: Ground, connections: int) -> list[Figure]:
    """Rows of first syncs per second, against a COPY of the same rows by the bare driver.

    Ours asks the provider page by page, over a new connection each time, checks in each
    transaction that it may still write, and keeps what is unchanged.
    """
    client = ground.on_queue("bench-data")
    async with _worker(ground, "bench-data"):
        began = time.monotonic()
        ids = await ground.connect(client, "bench-data", connections)

        async def all_read() -> bool:
            read = await ground.value("SELECT count(*) FROM syncs WHERE completed > 0")
            return read >= connections

        await until(all_read)
        seconds = time.monotonic() - began
        await ground.end(ids)
    rows = await ground.value("SELECT count(*) FROM transactions")
    connection = await ground.raw_connection()
    found = await connection.fetch("SELECT * FROM transactions")
    await connection.execute("CREATE TABLE copied (LIKE transactions INCLUDING ALL)")
    began = time.monotonic()
    await connection.copy_records_to_table("copied", records=[tuple(row) for row in found])
    theirs = rows / (time.monotonic() - began)
    await connection.execute("DROP TABLE copied")
    await connection.execute("TRUNCATE syncs, accounts CASCADE")
    await connection.close()
    raw = {"rows/s": rows / seconds, "COPY rows/s": theirs, "rows": rows}
    return [Figure("rows of first syncs", connections, rows / seconds / theirs, "-", raw)]


async def memory(ground: Ground, connections: int) -> list[Figure]:
    """Memory of a worker per idle connection it keeps, against a bare idle workflow's."""
    stack = ground.development.stack
    ours_worker = await ground.development.start_worker(
        "bench-memory", MOORLINE_TASK_QUEUE="bench-memory"
    )
    client = ground.on_queue("bench-memory")
    first = await ground.connect(client, "bench-long", 30)
    before = _resident(ours_worker.pid)
    ids = await ground.connect(client, "bench-long", connections)
    ours = (_resident(ours_worker.pid) - before) / connections
    await ground.end([*first, *ids])
    await ours_worker.stop()
    queue = f"bench-idle-{connections}"
    bare_worker = await stack.start_python(
        "bench-bare",
        ["-m", "benchmarks.bare", queue],
        env=ground.development.environment,
        ready=bare.READY,
    )

    async def start(_: int) -> None:
        handle = await ground.bare.start_workflow(
            bare.Wait.run, id=f"idle-{uuid4()}", task_queue=queue
        )
        while (await handle.describe()).history_length < FIRST_TASK_DONE:
            await asyncio.sleep(0.05)

    await abreast(start, range(30))
    before = _resident(bare_worker.pid)
    await abreast(start, range(connections))
    theirs = (_resident(bare_worker.pid) - before) / connections
    await bare_worker.stop()
    raw = {"KiB": ours, "bare KiB": theirs}
    return [Figure("memory per idle connection", connections, ours / theirs, "-", raw)]


ALL: dict[str, Callable[[Ground, int], Awaitable[list[Figure]]]] = {
    "refresh": refresh_cycles,
    "costs": cycle_costs,
    "revoke": revocations,
    "leases": leases,
    "rows": synced_rows,
    "memory": memory,
}


@asynccontextmanager
async def _worker(ground: Ground, queue: str) -> AsyncIterator[None]:
    """A worker of ours in this process, as the bare ones are."""
    parts = ground.parts
    # A pool of its own: the benchmark asks for many things at once, too.
    database = Database(parts.settings.database_url.get_secret_value())
    async with new_http_client() as http:
        resources = Resources(
            database, parts.vault, parts.catalogue, http, parts.settings.redirect_uri
        )
        worker = assembly.new_worker(
            parts.temporal,
            queue,
            resources,
            graceful_shutdown=timedelta(seconds=30),
            max_cached_workflows=2000,
        )
        async with worker:
            yield
    await database.close()


def _lifetime(connections: int) -> float:
    """The lifetime in seconds of which each connection is due as often as it should be."""
    # A token of a minute or less is refreshed after three eighths to half of its life.
    return connections / DUE_PER_S * 16 / 7


async def _generations(ground: Ground) -> float:
    return await ground.value("SELECT sum(generation) FROM credentials")


async def _histories(ground: Ground, ids: Iterable[UUID]) -> tuple[float, float]:
    """Events and bytes of all these lives together."""

    async def one(connection_id: UUID) -> tuple[int, int]:
        handle = ground.bare.get_workflow_handle(f"connection-{connection_id}")
        info = (await handle.describe()).raw_description.workflow_execution_info
        return info.history_length, info.history_size_bytes

    found = await abreast(one, ids)
    return sum(events for events, _ in found), sum(size for _, size in found)


async def _per_second(work: Callable[[], Awaitable[object]]) -> float:
    """How often this can be done in a second, ten at once."""
    over = time.monotonic() + LEASES_FOR_S

    async def one() -> int:
        count = 0
        while time.monotonic() < over:
            await work()
            count += 1
        return count

    return sum(await asyncio.gather(*(one() for _ in range(AT_ONCE)))) / LEASES_FOR_S


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _resident(pid: int) -> float:
    """Memory of a process, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return float(line.split()[1])
