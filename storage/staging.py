"""Imported credentials between the command's acceptance and the connection's birth.

Sealing them here first is what makes the import durable: with the database away the command is
refused and nothing was accepted; from here on an outage only delays.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession
from uuid6 import uuid7

from domain.credentials import ProviderCredentials
from domain.secret import Secret
from storage import data_keys
from storage.tables import StagedRow
from storage.vault import DataKey, Vault

STAGED: Final = "staged"
"""The name under which they are sealed."""


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
) -> StagedRow:
    """Keep credentials that ``seal`` has sealed, until the connection is born with them."""
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
    session.add(row)
    return row


async def get(session: AsyncSession, staged_id: UUID) -> StagedRow | None:
    """The staged credentials; None once the connection has been born with them."""
    return await session.get(StagedRow, staged_id)


async def remove(session: AsyncSession, staged_id: UUID) -> None:
    """Destroy what was staged: it has been used, or is of no use."""
    await session.exec(delete(StagedRow).where(col(StagedRow.id) == staged_id))


async def discard(session: AsyncSession, connection_id: UUID) -> None:
    """Destroy what was staged for a connection that is not to be born."""
    await session.exec(delete(StagedRow).where(col(StagedRow.connection_id) == connection_id))
    await data_keys.destroy(session, connection_id)


def open_staged(key: DataKey, row: StagedRow) -> dict[str, Secret]:
    """Open staged credentials.

    Raises:
        StorageFault: they do not open.
    """
    return key.open(STAGED, 0, row.sealed)
