"""Rows of first syncs per second, against a COPY of the same rows by the bare driver."""

import time
from functools import partial

from benchmarks.abreast import abreast, until
from benchmarks.figures import Effort, Figure, mean
from benchmarks.ground import DATA, Ground

ROUNDS = 3


async def synced_rows(ground: Ground, effort: Effort) -> list[Figure]:
    """All connections read their data at once, from the moment they are told to.

    The provider puts them off until they are all connected, so that only reading is timed.
    """
    client = ground.on_queue("bench-data")
    async with ground.working("bench-data"):
        wait = await ground.sandbox.plant(
            "api", "rate_limit", client_id=DATA, retry_after="3600", times=None
        )
        ids = await ground.connect(client, DATA, effort.connections)
        await until(partial(_have_tried, ground, effort.connections), within_s=300)
        await ground.sandbox.clear(wait)
        began = time.monotonic()
        await abreast(client.sync_now, ids)
        # Each connection is some 15 pages, each a call and a transaction.
        within_s = 120 + effort.connections
        await until(partial(_have_read, ground, effort.connections), within_s=within_s)
        seconds = time.monotonic() - began
    rows = await ground.value("SELECT count(*) FROM transactions")
    ours, theirs = rows / seconds, mean([await _copied(ground) for _ in range(ROUNDS)])
    await ground.end(ids)
    raw = {"rows/s": ours, "COPY rows/s": theirs, "rows": rows, "syncs/s": len(ids) / seconds}
    return [Figure("rows of first syncs", effort.connections, ours / theirs, "-", raw)]


async def _have_tried(ground: Ground, count: int) -> bool:
    return await ground.value("SELECT count(*) FROM syncs WHERE failures > 0") >= count


async def _have_read(ground: Ground, count: int) -> bool:
    return await ground.value("SELECT count(*) FROM syncs WHERE completed > 0") >= count


async def _copied(ground: Ground) -> float:
    """Rows per second of a COPY."""
    connection = await ground.raw_connection()
    found = [tuple(row) for row in await connection.fetch("SELECT * FROM transactions")]
    await connection.execute("CREATE TABLE copied (LIKE transactions INCLUDING ALL)")
    began = time.monotonic()
    await connection.copy_records_to_table("copied", records=found)
    seconds = time.monotonic() - began
    await connection.execute("DROP TABLE copied")
    await connection.close()
    return len(found) / seconds
