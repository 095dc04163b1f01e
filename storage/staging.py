"""Imported credentials between the command's acceptance and the connection's birth.

Sealing them here first is what makes the import durable: with the database away the command is
refused and nothing was accepted; from here on an outage only delays.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import exists
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession
from uuid6 import uuid7

from domain.commands import ConnectProvider, check_connect
from domain.credentials import CredentialType, ProviderCredentials
from domain.result import Success
from domain.secret import Secret
from storage import data_keys
from storage.tables import ConnectionRow, StagedRow
from storage.vault import DataKey, Vault

STAGED: Final = "staged"
"""The name under which they are sealed."""
_KEPT: Final = (col(StagedRow.provider_slug).is_(None), col(StagedRow.generation).is_(None))
"""What users gave and waits to be used: not what a command came with."""


async def seal(
    session: AsyncSession, vault: Vault, connection_id: UUID, secret: Mapping[str, Secret]
) -> bytes:
    """Seal credentials for a connection that is yet to be born."""
    key = await data_keys.obtain(session, vault, connection_id)
    return key.seal(STAGED, 0, {name: value.reveal() for name, value in secret.items()})


async def stage(
    session: AsyncSession,
    vault: Vault,
    connection_id: UUID,
    credentials: ProviderCredentials,
    at: datetime,
    command: ConnectProvider | None = None,
) -> StagedRow:
    """Keep credentials that ``seal`` has sealed, until they are used; with what is to be done.

    Args:
        command: the one they came with; None: they replace others.
    """
    key = await data_keys.obtain(session, vault, connection_id)
    row = StagedRow(
        id=uuid7(),
        connection_id=connection_id,
        credential_type=credentials.credential_type,
        data_key_id=key.id,
        sealed=credentials.encrypted_data,
        expires_at=credentials.expires_at,
        created_at=at,
    )
    if command is not None and _is_acceptable(command):
        row.user_id, row.provider_id = command.user_id, command.provider_id
        row.provider_slug, row.alias = command.provider_slug, command.alias
    session.add(row)
    return row


async def get(session: AsyncSession, staged_id: UUID) -> StagedRow | None:
    """The staged credentials; None once the connection has been born with them."""
    return await session.get(StagedRow, staged_id)


async def unborn(session: AsyncSession, before: datetime) -> Sequence[StagedRow]:
    """Commands accepted before this instant whose connection is not there yet."""
    query = select(StagedRow).where(
        col(StagedRow.provider_slug).is_not(None),
        StagedRow.created_at < before,
        ~exists().where(col(ConnectionRow.id) == col(StagedRow.connection_id)),
    )
    return (await session.exec(query.order_by(col(StagedRow.created_at)))).all()


def command_of(row: StagedRow) -> ConnectProvider:
    """The command that a row of ``unborn`` was kept with."""
    assert row.user_id is not None  # these three are set together
    assert row.provider_id is not None
    assert row.provider_slug is not None
    credentials = ProviderCredentials(
        row.sealed, CredentialType(row.credential_type), row.expires_at
    )
    return ConnectProvider(
        user_id=row.user_id,
        provider_id=row.provider_id,
        provider_slug=row.provider_slug,
        credentials=credentials,
        alias=row.alias,
    )


async def used(session: AsyncSession, row: StagedRow, generation: int) -> None:
    """It has become this generation: remember that, and nothing of what was staged."""
    row.generation, row.sealed = generation, b""
    used_before = delete(StagedRow).where(
        col(StagedRow.connection_id) == row.connection_id,
        col(StagedRow.generation) < generation,
    )
    await session.exec(used_before)


async def remove(session: AsyncSession, staged_id: UUID) -> None:
    """Destroy what was staged: it has been used, or is of no use."""
    await session.exec(delete(StagedRow).where(col(StagedRow.id) == staged_id))


async def forget_unused(session: AsyncSession, before: datetime) -> None:
    """Destroy what was kept before this instant and nobody came to use."""
    await session.exec(delete(StagedRow).where(*_KEPT, col(StagedRow.created_at) < before))


async def discard_kept(session: AsyncSession, connection_id: UUID) -> None:
    """Destroy what is kept for a connection and has not been used."""
    of_it = col(StagedRow.connection_id) == connection_id
    await session.exec(delete(StagedRow).where(*_KEPT, of_it))


async def is_used(session: AsyncSession, staged_id: UUID) -> bool:
    """Whether it has been stored as a generation."""
    row = await session.get(StagedRow, staged_id)
    return row is not None and row.generation is not None


async def discard(session: AsyncSession, staged_id: UUID) -> None:
    """Destroy what has not been used; that something has been is remembered."""
    unused = (col(StagedRow.id) == staged_id, col(StagedRow.generation).is_(None))
    await session.exec(delete(StagedRow).where(*unused))


async def is_any(session: AsyncSession, connection_id: UUID) -> bool:
    """Whether something is staged for a connection."""
    query = select(StagedRow.id).where(StagedRow.connection_id == connection_id).limit(1)
    return (await session.exec(query)).first() is not None


async def clear(session: AsyncSession, connection_id: UUID) -> None:
    """Destroy all that was staged for a connection: it has been born."""
    await session.exec(delete(StagedRow).where(col(StagedRow.connection_id) == connection_id))


def _is_acceptable(command: ConnectProvider) -> bool:
    """Whether it is worth being remembered: what will be refused is not."""
    checked = check_connect(
        has_credentials=True, provider_slug=command.provider_slug, alias=command.alias
    )
    return isinstance(checked, Success)


def open_staged(key: DataKey, row: StagedRow) -> dict[str, Secret]:
    """Open staged credentials.

    Raises:
        StorageFault: they do not open.
    """
    return key.open(STAGED, 0, row.sealed)
