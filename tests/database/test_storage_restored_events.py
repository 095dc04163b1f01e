"""Events of another server, as a restored dump has them: numbered by its transactions, not by ours.

That server was ahead of this one. (Tried with two servers as well; here the numbers are moved.)
"""

import re
from pathlib import Path

from storage import connections, events
from storage.connections import locked
from storage.events import BEGINNING, Place
from tests.stored import AT, Stored

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
AHEAD = "UPDATE events SET xid = (xid::text::bigint + 1000000000)::text::xid8"


async def told(stored: Stored, place: Place = BEGINNING) -> list[str]:
    """The causes of the events that a reader is told from here on."""
    async with stored.database.transaction() as session:
        rows, _ = await events.stream(session, place, limit=100)
    return [row.cause.partition("/")[0] for row in rows]


def mending() -> str:
    """The statement that the document tells operators."""
    (statement,) = re.findall(r"^(UPDATE events .*);$", OPERATIONS.read_text(), re.MULTILINE)
    return str(statement)


async def test_restored_events_are_told_again_once_they_are_numbered_anew(alone: Stored) -> None:
    connection_id = await alone.pending()

    async def renamed(alias: str) -> None:
        async with alone.database.transaction() as session:
            row = await locked(session, connection_id)
            await connections.rename(session, row, alias, at=AT, cause=alias)

    for alias in ("one", "two"):
        await renamed(alias)
    before = await told(alone)
    assert before[-2:] == ["one", "two"]
    await alone.change(AHEAD)
    assert await told(alone) == []  # and nobody would notice
    await alone.change(mending())
    assert await told(alone) == before
    await renamed("three")
    assert await told(alone) == [*before, "three"]
    head = (await alone.connection(connection_id)).event_chain
    assert events.is_intact(await alone.events(connection_id), head)
