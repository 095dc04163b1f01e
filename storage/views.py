"""Reading connections for people and programs, without their secrets."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select

from domain.credentials import CredentialType
from domain.errors import NotFound
from domain.outcomes import Outcome
from domain.patience import REVOCATION_PATIENCE
from domain.status import ConnectionStatus, StatusReason
from domain.syncs import SyncOutcome
from domain.view import Attempt, ConnectionView, Receipt, Revoking, Syncing, Trouble
from storage import attempts
from storage.claims import Purpose, orphans
from storage.tables import AttemptRow, ConnectionRow, CredentialsRow, JournalRow, SyncRow

Found = tuple[ConnectionRow, CredentialsRow, SyncRow | None]


class Place(NamedTuple):
    """Where a connection stands among all, the newest first: so much decides, and no more."""

    created_at: datetime
    connection_id: UUID


def _all() -> Select[ConnectionRow, CredentialsRow, SyncRow]:
    return (
        select(ConnectionRow, CredentialsRow, SyncRow)
        .join(CredentialsRow)
        .outerjoin(SyncRow, col(SyncRow.connection_id) == col(ConnectionRow.id))
    )


async def get(session: AsyncSession, connection_id: UUID) -> ConnectionView:
    """One connection.

    Raises:
        NotFound: there is none.
    """
    query = _all().where(ConnectionRow.id == connection_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound(f"no connection {connection_id}")
    view = _view(found, await attempts.newest(session, connection_id))
    return view.model_copy(update={"revoking": await _revoking(session, *found[:2])})


async def find(
    session: AsyncSession,
    *,
    user_id: UUID | None = None,
    provider_slug: str | None = None,
    status: ConnectionStatus | None = None,
    limit: int = 1000,
    before: Place | None = None,
) -> Sequence[ConnectionView]:
    """Connections that match all that is given, the newest first.

    Without revocations under way: see ``get``.

    Args:
        before: only those that follow this place; None: from the newest on.
    """
    query = _all()
    if user_id is not None:
        query = query.where(ConnectionRow.user_id == user_id)
    if provider_slug is not None:
        query = query.where(ConnectionRow.provider_slug == provider_slug)
    if status is not None:
        query = query.where(ConnectionRow.status == status)
    created_at, by_id = col(ConnectionRow.created_at), col(ConnectionRow.id)
    if before is not None:
        query = query.where(tuple_(created_at, by_id) < tuple_(*before))
    query = query.order_by(created_at.desc(), by_id.desc()).limit(limit)
    rows = (await session.exec(query)).all()
    tried = await attempts.newest_of(session, [row.id for row, *_ in rows])
    return [_view(found, tried.get(found[0].id)) for found in rows]


async def unfinished(session: AsyncSession, after: UUID, limit: int) -> Sequence[ConnectionView]:
    """Connections that are not DISCONNECTED, in the order of their ids, from ``after`` on."""
    query = (
        _all()
        .where(ConnectionRow.status != ConnectionStatus.DISCONNECTED, ConnectionRow.id > after)
        .order_by(col(ConnectionRow.id))
        .limit(limit)
    )
    return [_view(found, None) for found in (await session.exec(query)).all()]


async def degraded(session: AsyncSession) -> dict[Outcome, int]:
    """How many ACTIVE connections cannot be refreshed or verified now, by why."""
    cause = col(ConnectionRow.degraded_cause)
    query = select(cause, func.count()).where(ConnectionRow.status == ConnectionStatus.ACTIVE)
    query = query.where(cause.is_not(None)).group_by(cause)
    return {Outcome(str(cause)): count for cause, count in (await session.exec(query)).all()}


def _view(found: Found, attempt: AttemptRow | None) -> ConnectionView:
    row, credentials, sync = found
    status = ConnectionStatus(row.status)
    live = status is ConnectionStatus.ACTIVE and row.ended_at is None
    return ConnectionView(
        connection_id=row.id,
        user_id=row.user_id,
        provider_slug=row.provider_slug,
        credential_type=CredentialType(row.credential_type),
        alias=row.alias,
        status=status,
        reason=StatusReason(row.reason),
        since=row.status_since,
        ending=row.ended_at is not None and status is not ConnectionStatus.DISCONNECTED,
        generation=credentials.generation,
        expires_at=credentials.expires_at if live else None,
        refresh_at=credentials.refresh_at if live else None,
        reauthorize_by=row.reauthorize_by if live else None,
        trouble=_trouble(row),
        sync=None if sync is None else _sync(row, sync, live=live),
        attempt=None if attempt is None else _attempt(attempt),
        receipt=None if row.receipt is None else Receipt.model_validate(row.receipt),
        connected_at=row.connected_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


async def _revoking(
    session: AsyncSession, row: ConnectionRow, credentials: CredentialsRow
) -> Revoking | None:
    left = row.status in {ConnectionStatus.REVOKED, ConnectionStatus.FAILED}
    if row.status == ConnectionStatus.DISCONNECTED or not (left or row.ended_at):
        return None
    if credentials.sealed is None and not await orphans(session, row.id):
        return None
    since = row.ended_at or row.status_since
    query = select(func.count()).where(
        JournalRow.connection_id == row.id,
        JournalRow.kind == Purpose.REVOCATION,
        JournalRow.claimed_at >= since,
        col(JournalRow.finished_at).is_not(None),
    )
    tries = (await session.exec(query)).one()
    return Revoking(since=since, until=since + REVOCATION_PATIENCE, tries=tries)


def _sync(row: ConnectionRow, sync: SyncRow, *, live: bool) -> Syncing | None:
    if sync.outcome is None:
        return None
    return Syncing(
        last_at=row.last_sync_at,
        next_at=sync.next_at if live else None,
        outcome=SyncOutcome(sync.outcome),
        completed=sync.completed,
        failures=sync.failures,
        failing_since=sync.failing_since,
    )


def _trouble(row: ConnectionRow) -> Trouble | None:
    if row.degraded_since is None or row.degraded_cause is None:
        return None
    return Trouble(
        since=row.degraded_since,
        cause=Outcome(row.degraded_cause),
        failures=row.failures,
        retry_at=row.retry_at,
    )


def _attempt(row: AttemptRow) -> Attempt:
    return Attempt(
        attempt_id=row.id,
        status=row.status,
        reason=None if row.reason is None else StatusReason(row.reason),
        expires_at=row.expires_at,
    )
