"""Migrations take their time: one after the other, however long the one before takes."""

import asyncio

from sqlalchemy import text

from storage import schema
from storage.database import Database
from tests.world import Servers, create_database


async def test_bug_a_migration_that_waited_for_another_gave_up(servers: Servers) -> None:
    """Every statement was given up after the time that is meant for those of a request."""
    hasty = Database(await create_database(servers, "waits_its_turn"), statement_timeout_s=0.3)
    try:
        async with hasty.engine.begin() as first:
            lock = "SELECT pg_advisory_xact_lock(:lock)"
            await first.execute(text(lock), {"lock": schema._LOCK})
            second = asyncio.create_task(schema.migrate(hasty))
            async with hasty.engine.connect() as looking:
                waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                while (await looking.execute(text(waits))).scalar_one() == 0:
                    await asyncio.sleep(0.02)
                    await looking.rollback()
            await asyncio.wait([second], timeout=1)
            assert not second.done()
        assert await second == schema.newest_revision()
    finally:
        await hasty.close()
