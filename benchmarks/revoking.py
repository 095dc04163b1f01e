"""From a revoke signal to REVOKED in PostgreSQL, against a bare signal to its workflow's end."""

import time
from uuid import UUID

import asyncpg
from temporalio.client import WorkflowHandle

from benchmarks import bare
from benchmarks.abreast import until
from benchmarks.figures import Effort, Figure, median
from benchmarks.ground import LONG, Ground

SAMPLES = 50
LOOK_EVERY_S = 0.001


async def revocations(ground: Ground, effort: Effort) -> list[Figure]:
    """One at a time, ours and the bare one by turns, while all others rest.

    What follows REVOKED (the provider is told, secrets are shredded) is waited for, not counted.
    """
    client = ground.on_queue("bench-revoke")
    ours, theirs = [], []
    looking = await ground.raw_connection()
    async with (
        ground.working("bench-revoke"),
        bare.new_worker(ground.bare, "bench-bare-revoke"),
    ):
        ids = await ground.connect(client, LONG, effort.connections)
        handles = await bare.start_waiting(ground.bare, "bench-bare-revoke", effort.connections)
        for connection_id, handle in list(zip(ids, handles, strict=True))[:SAMPLES]:
            theirs.append(await _ended(handle))
            began = time.monotonic()
            await client.revoke(connection_id)
            await until(lambda: _is_revoked(looking, connection_id), **_SOON)  # noqa: B023
            ours.append(time.monotonic() - began)
            await until(lambda: _is_shredded(looking, connection_id), **_SOON)  # noqa: B023
        await ground.end(ids)
    await looking.close()
    raw = {"ms": median(ours) * 1000, "bare ms": median(theirs) * 1000}
    ratio = median(ours) / median(theirs)
    return [Figure("revoke signal to REVOKED stored", effort.connections, ratio, "-", raw)]


_SOON = {"within_s": 30.0, "every_s": LOOK_EVERY_S}


async def _ended(handle: WorkflowHandle[bare.Wait, None]) -> float:
    began = time.monotonic()
    await handle.signal(bare.Wait.end)
    await handle.result()
    return time.monotonic() - began


async def _is_revoked(looking: asyncpg.Connection, connection_id: UUID) -> bool:
    query = "SELECT status = 'revoked' FROM connections WHERE id = $1"
    return bool(await looking.fetchval(query, connection_id))


async def _is_shredded(looking: asyncpg.Connection, connection_id: UUID) -> bool:
    query = "SELECT count(*) FROM data_keys WHERE connection_id = $1"
    return not await looking.fetchval(query, connection_id)
