"""Connections as they last: born, changed through the entity's own rules, never overwritten whole.

Every function here works inside a transaction that holds the connection's row, and writes only
the columns its change is about.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypedDict
from uuid import UUID, uuid4

from sqlalchemy import bindparam
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.connection import ProviderConnection
from domain.credentials import CredentialType, ProviderCredentials
from domain.errors import Conflict, NotFound, ProviderConnectionError
from domain.events import (
    ConnectionExpired,
    ConnectionRenamed,
    ConnectionRevoked,
    DomainEvent,
    ProviderConnectionFailed,
    ProviderConnectionSucceeded,
    ProviderDisconnectionAttempted,
    ProviderDisconnectionSucceeded,
)
from domain.result import Failure, Result, Success
from domain.status import ConnectionStatus, StatusReason
from storage import connect_sessions, events
from storage.database import Database, lock_connection, now, run
from storage.tables import ConnectionRow, CredentialsRow


@dataclass(frozen=True)
class NewConnection:
    """What a connection is born with."""

    id: UUID
    user_id: UUID
    provider_id: UUID
    provider_slug: str
    alias: str | None
    credential_type: CredentialType


async def locked(session: AsyncSession, connection_id: UUID) -> ConnectionRow:
    """The connection's row, locked.

    Raises:
        NotFound: there is none.
    """
    row = await lock_connection(session, connection_id)
    if row is None:
        raise NotFound(f"no connection {connection_id}")
    return row


async def credentials_of(session: AsyncSession, connection_id: UUID) -> CredentialsRow:
    """The credentials row, which is born with the connection."""
    return (await session.exec(_CREDENTIALS, params={"id": connection_id})).one()


_CREDENTIALS: Final = select(CredentialsRow).where(CredentialsRow.connection_id == bindparam("id"))


def create(session: AsyncSession, new: NewConnection, at: datetime) -> ConnectionRow:
    """A PENDING connection without credentials."""
    row = ConnectionRow(
        **vars(new),
        status=ConnectionStatus.PENDING,
        reason=StatusReason.AUTHORIZATION_STARTED,
        status_since=at,
        created_at=at,
        updated_at=at,
    )
    session.add(row)
    session.add(CredentialsRow(connection_id=new.id))
    return row


async def transition(
    session: AsyncSession,
    row: ConnectionRow,
    target: ConnectionStatus,
    reason: StatusReason,
    *,
    at: datetime,
    cause: str,
) -> None:
    """Change the status, with its event. The same cause again changes nothing.

    Raises:
        Conflict: the entity refuses this transition.
    """
    event = _event_of(row, target, reason, at)
    if await events.is_recorded(session, row.id, f"{cause}/{type(event).__name__}"):
        return
    connection = entity(row, await credentials_of(session, row.id))
    match _apply(connection, target, at):
        case Failure(error):
            raise Conflict(f"connection {row.id} is {row.status}: {error}")
        case Success():
            if row.status == ConnectionStatus.ACTIVE:
                await _stop_reading(session, row.id)
            row.status, row.reason, row.status_since = target, reason, at
            row.connected_at, row.updated_at = connection.connected_at, connection.updated_at
            row.degraded_since = row.degraded_cause = row.retry_at = None
            row.failures = 0
            if target is ConnectionStatus.ACTIVE:
                row.receipt = None  # it told of secrets that were held before
            if reason is StatusReason.USER_REVOKED:
                await connect_sessions.void(session, row.id, reason, at)
            await events.append(session, row, event, cause)


async def end(session: AsyncSession, row: ConnectionRow, *, at: datetime, cause: str) -> None:
    """Begin the end: set once, never cleared. From the commit on, no lease, claim or sync."""
    if row.ended_at is None:
        row.ended_at = at
        row.updated_at = at
        event = ProviderDisconnectionAttempted(**subject(row, at))
        await connect_sessions.void(session, row.id, StatusReason.USER_DISCONNECTED, at)
        await events.append(session, row, event, cause)


async def disconnect(database: Database, connection_id: UUID) -> bool:
    """Begin the end, in a transaction of its own; False: it has come already.

    Raises:
        NotFound: there is no such connection.
    """
    async with database.transaction() as session:
        row = await locked(session, connection_id)
        if row.status == ConnectionStatus.DISCONNECTED:
            return False
        await end(session, row, at=await now(session), cause=f"disconnect-{uuid4()}")
        return True


async def rename(
    session: AsyncSession, row: ConnectionRow, alias: str | None, *, at: datetime, cause: str
) -> None:
    """Change the user's own name for the connection."""
    if row.alias != alias:
        row.alias, row.updated_at = alias, at
        event = ConnectionRenamed(**subject(row, at))
        await events.append(session, row, event, cause)


async def _stop_reading(session: AsyncSession, connection_id: UUID) -> None:
    """Whoever reads data under a grant that is over writes nothing any more, also not later."""
    statement = "UPDATE syncs SET number = number + 1 WHERE connection_id = :connection_id"
    await run(session, statement, {"connection_id": connection_id})


class Provider(TypedDict):
    """What every event says: whose provider, and when."""

    user_id: UUID
    provider_id: UUID
    provider_slug: str
    occurred_at: datetime


class Subject(Provider):
    """What every event of a connection says."""

    connection_id: UUID


def provider(row: ConnectionRow, at: datetime) -> Provider:
    """The common fields of an event that names no connection."""
    return Provider(
        user_id=row.user_id,
        provider_id=row.provider_id,
        provider_slug=row.provider_slug,
        occurred_at=at,
    )


def subject(row: ConnectionRow, at: datetime) -> Subject:
    """The common fields of an event of this connection."""
    return Subject(**provider(row, at), connection_id=row.id)


def entity(row: ConnectionRow, credentials: CredentialsRow) -> ProviderConnection:
    """The stored connection as the domain knows it."""
    sealed = credentials.sealed
    return ProviderConnection(
        id=row.id,
        user_id=row.user_id,
        provider_id=row.provider_id,
        provider_slug=row.provider_slug,
        status=ConnectionStatus(row.status),
        alias=row.alias,
        credentials=None
        if sealed is None
        else ProviderCredentials(
            sealed, CredentialType(row.credential_type), credentials.expires_at
        ),
        connected_at=row.connected_at,
        last_sync_at=row.last_sync_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _apply(
    connection: ProviderConnection, target: ConnectionStatus, at: datetime
) -> Result[None, str]:
    match target:
        case ConnectionStatus.ACTIVE:
            return connection.mark_connected(connection.credentials, at=at)
        case ConnectionStatus.FAILED:
            return connection.mark_failed(at=at)
        case ConnectionStatus.EXPIRED:
            return connection.mark_expired(at=at)
        case ConnectionStatus.REVOKED:
            return connection.mark_revoked(at=at)
        case ConnectionStatus.DISCONNECTED:
            return connection.mark_disconnected(at=at)
        case ConnectionStatus.PENDING:
            return Failure(error=ProviderConnectionError.INVALID_STATE_TRANSITION)


def _event_of(
    row: ConnectionRow, target: ConnectionStatus, reason: StatusReason, at: datetime
) -> DomainEvent:
    match target:
        case ConnectionStatus.ACTIVE:
            return ProviderConnectionSucceeded(**subject(row, at))
        case ConnectionStatus.EXPIRED:
            return ConnectionExpired(**subject(row, at), reason=reason)
        case ConnectionStatus.REVOKED:
            return ConnectionRevoked(**subject(row, at), reason=reason)
        case ConnectionStatus.DISCONNECTED:
            return ProviderDisconnectionSucceeded(**subject(row, at))
        case ConnectionStatus.FAILED | ConnectionStatus.PENDING:
            return ProviderConnectionFailed(**provider(row, at), reason=reason)
