"""Destroying what nobody confirmed: a code, or what was given, waits for a minute, and no longer.

Every gateway does it, side by side; whoever comes first has done it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from domain.errors import MoorlineError
from storage import session_ends
from storage.database import Database

log = logging.getLogger(__name__)

PAUSE_S: Final = 5


@asynccontextmanager
async def sweeping(database: Database) -> AsyncIterator[None]:
    """Sweep for as long as the block lasts."""
    task = asyncio.create_task(_sweep(database))
    try:
        yield
    finally:
        task.cancel()


async def _sweep(database: Database) -> None:
    while True:
        try:
            await session_ends.sweep(database)
        except MoorlineError as error:
            log.warning("what was not confirmed could not be destroyed yet: %s", error)
        except Exception:
            log.exception("what was not confirmed could not be destroyed yet")  # but must be
        await asyncio.sleep(PAUSE_S)
