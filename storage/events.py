"""The event log: audit trail and outbox in one, written with the change it tells of.

Each event of a connection carries a sequence number without gaps and a hash over its
predecessors. The chain shows tampering by anyone who cannot rewrite all of it; against the owner
of the database it proves nothing unless its head is exported somewhere else.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import DomainEvent
from storage.tables import ConnectionRow, EventRow

_COLUMNS: Final = {"event_id", "occurred_at", "user_id", "connection_id"}


async def append(
    session: AsyncSession, connection: ConnectionRow, event: DomainEvent, cause: str
) -> None:
    """Record an event of a connection whose row is locked; once per cause, however often called."""
    cause = f"{cause}/{type(event).__name__}"
    if await is_recorded(session, connection.id, cause):
        return
    row = _row(connection.id, connection.user_id, event, cause)
    connection.event_seq += 1
    connection.event_chain = _link(connection.event_chain, row)
    row.seq, row.chain = connection.event_seq, connection.event_chain
    session.add(row)


async def append_without_connection(
    session: AsyncSession, connection_id: UUID, user_id: UUID, event: DomainEvent, cause: str
) -> None:
    """Record an event of a command that was refused: there is no connection, hence no chain."""
    cause = f"{cause}/{type(event).__name__}"
    if not await is_recorded(session, connection_id, cause):
        session.add(_row(connection_id, user_id, event, cause))


async def is_recorded(session: AsyncSession, connection_id: UUID, cause: str) -> bool:
    """Whether this cause has been recorded: then its change has been made, too."""
    found = await session.exec(_RECORDED, params={"id": connection_id, "cause": cause})
    return found.first() is not None


_RECORDED: Final = select(EventRow.event_id).where(
    EventRow.connection_id == bindparam("id"), EventRow.cause == bindparam("cause")
)


async def read(session: AsyncSession, connection_id: UUID) -> list[EventRow]:
    """All events of a connection, in order."""
    query = select(EventRow).where(EventRow.connection_id == connection_id)
    return list((await session.exec(query.order_by(col(EventRow.position)))).all())


async def after(session: AsyncSession, connection_id: UUID, seq: int) -> list[EventRow]:
    """The events of a connection that came after this one, in order."""
    query = select(EventRow).where(EventRow.connection_id == connection_id)
    query = query.where(col(EventRow.seq) > seq)
    return list((await session.exec(query.order_by(col(EventRow.seq)))).all())


class Place(NamedTuple):
    """A place in the stream of all events, between two of them."""

    xid: int
    position: int


BEGINNING: Final = Place(0, 0)


async def horizon(session: AsyncSession) -> Place:
    """Up to where the stream is complete: no event will ever come before this place any more.

    Whatever transaction runs now and may yet write one, in any database of the server, is after it.
    """
    oldest_running = select(func.pg_snapshot_xmin(func.pg_current_snapshot()))
    return Place((await session.exec(oldest_running)).one(), 0)


async def stream(
    session: AsyncSession,
    place: Place,
    *,
    user_id: UUID | None = None,
    connection_id: UUID | None = None,
    limit: int,
) -> tuple[Sequence[EventRow], Place]:
    """The events after a place, in order, and where to go on: none is skipped, none told twice.

    An event is told once every transaction that began to write before its own has ended.
    """
    end = await horizon(session)
    xid, position = col(EventRow.xid), col(EventRow.position)
    query = select(EventRow).where(tuple_(xid, position) > place, xid < end.xid)
    if user_id is not None:
        query = query.where(EventRow.user_id == user_id)
    if connection_id is not None:
        query = query.where(EventRow.connection_id == connection_id)
    rows = (await session.exec(query.order_by(xid, position).limit(limit))).all()
    # Past all that were left out, too: they need not be looked through again.
    return rows, place_of(rows[-1]) if len(rows) == limit else max(place, end)


def place_of(row: EventRow) -> Place:
    """Where the stream goes on after this event."""
    assert row.xid is not None  # as read
    assert row.position is not None
    return Place(row.xid, row.position)


async def head(session: AsyncSession, connection_id: UUID) -> bytes | None:
    """Where the chain of a connection ends; None if there is no such connection."""
    query = select(ConnectionRow.event_chain).where(ConnectionRow.id == connection_id)
    return (await session.exec(query)).first()


def is_intact(rows: Iterable[EventRow], head: bytes | None = None) -> bool:
    """Whether the events of one connection are in order, unchanged, and none left out.

    Commands that were refused before there was a connection stand in no chain, and do not count.
    ``head`` is where the chain ends (``ConnectionRow.event_chain``, or a copy exported before):
    without it nobody can tell whether the last ones are missing.
    """
    chain = b""
    chained = (row for row in rows if row.seq is not None)
    for number, row in enumerate(chained, start=1):
        chain = _link(chain, row)
        if row.seq != number or row.chain != chain:
            return False
    return head is None or chain == head


def _row(connection_id: UUID, user_id: UUID, event: DomainEvent, cause: str) -> EventRow:
    data = {
        field.name: _plain(getattr(event, field.name))
        for field in fields(event)
        if field.name not in _COLUMNS
    }
    return EventRow(
        event_id=event.event_id,
        connection_id=connection_id,
        user_id=user_id,
        cause=cause,
        type=type(event).__name__,
        occurred_at=event.occurred_at,
        data=data,
    )


def _plain(value: object) -> object:
    if isinstance(value, str):
        # A refused command is recorded with what was asked for, also where that cannot be stored.
        return value.encode(errors="replace").decode().replace("\x00", "?")
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _link(previous: bytes, row: EventRow) -> bytes:
    facts = [
        str(row.event_id),
        str(row.connection_id),
        str(row.user_id),
        row.cause,
        row.type,
        row.occurred_at.timestamp(),
        row.data,
    ]
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(previous + hashlib.sha256(canonical).digest()).digest()
