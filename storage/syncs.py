"""Reading a connection's data, as it is recorded: begun, fenced, finished.

An attempt is a number that only grows. Whoever writes what was read shows its number first, in the
same transaction: a process that was frozen and thaws, or one that goes on after the user has
revoked or disconnected, writes nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import DataSynced, DataSyncFailed
from domain.result import Failure
from domain.status import ConnectionStatus
from domain.syncs import SyncOutcome, next_sync
from storage import events
from storage.connections import credentials_of, entity, locked, subject
from storage.tables import ConnectionRow, SyncRow


@dataclass(frozen=True)
class Attempt:
    """The right to write what is read, until somebody begins after us."""

    connection_id: UUID
    number: int


@dataclass
class Counts:
    """What was read: accounts, holdings, and transactions that were new."""

    accounts: int = 0
    holdings: int = 0
    transactions: int = 0


async def begin(session: AsyncSession, connection_id: UUID, at: datetime) -> Attempt | None:
    """Begin to read; earlier attempts cannot write any more. None: there is nothing to read."""
    connection = await locked(session, connection_id)
    if not _is_live(connection):
        return None
    row = await session.get(SyncRow, connection_id)
    if row is None:
        row = SyncRow(connection_id=connection_id, completed=0)
        session.add(row)
    row.number = (row.number or 0) + 1
    row.begun_at = at
    return Attempt(connection_id, row.number)


async def may_write(session: AsyncSession, attempt: Attempt) -> bool:
    """Whether this attempt counts, now and until the transaction ends."""
    connection = await locked(session, attempt.connection_id)
    row = await session.get_one(SyncRow, attempt.connection_id)
    return _is_live(connection) and row.number == attempt.number


async def finish(
    session: AsyncSession,
    attempt: Attempt,
    outcome: SyncOutcome,
    counts: Counts,
    *,
    every: timedelta,
    retry_after: timedelta | None,
    at: datetime,
) -> SyncRow | None:
    """Record how it ended, with the event that tells of it. None: it does not count any more."""
    if not await may_write(session, attempt):
        return None
    connection = await locked(session, attempt.connection_id)
    row = await session.get_one(SyncRow, attempt.connection_id)
    cause = f"sync-{attempt.number}"
    if outcome is SyncOutcome.SYNCED:
        await _record(session, connection, at)
        synced = DataSynced(**subject(connection, at), **vars(counts))
        await events.append(session, connection, synced, cause)
        row.completed += 1
        row.failures, row.failing_since = 0, None
    else:
        if row.failing_since is None:
            row.failing_since = at
            failed = DataSyncFailed(**subject(connection, at), reason=outcome)
            await events.append(session, connection, failed, cause)
        row.failures += 1
    row.outcome, row.finished_at = outcome, at
    wait = next_sync(attempt.connection_id, every, outcome, row.failures, retry_after)
    row.next_at = None if wait is None else at + wait
    return row


async def failing(session: AsyncSession) -> dict[str, int]:
    """How many ACTIVE connections' data cannot be read now, by why."""
    query = (
        select(SyncRow.outcome, func.count())
        .join(ConnectionRow, col(ConnectionRow.id) == col(SyncRow.connection_id))
        .where(col(SyncRow.failing_since).is_not(None))
        .where(ConnectionRow.status == ConnectionStatus.ACTIVE)
        .group_by(SyncRow.outcome)
    )
    return {str(outcome): count for outcome, count in (await session.exec(query)).all()}


async def _record(session: AsyncSession, connection: ConnectionRow, at: datetime) -> None:
    read = entity(connection, await credentials_of(session, connection.id))
    if not isinstance(read.record_sync(at=at), Failure):
        connection.last_sync_at, connection.updated_at = read.last_sync_at, read.updated_at


def _is_live(connection: ConnectionRow) -> bool:
    return connection.status == ConnectionStatus.ACTIVE and connection.ended_at is None
