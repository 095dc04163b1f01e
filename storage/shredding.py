"""Making secrets unreadable for good: the data key is destroyed, and what it sealed with it.

A backup of the database from before still holds the wrapped key; so does, until vacuum and log
recycling pass over it, a copy of the raw files. Both need the keyring to be of any use.
"""

from datetime import datetime

from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import CredentialsShredded
from storage import data_keys, events
from storage.connections import credentials_of, subject
from storage.database import run
from storage.tables import ConnectionRow, OrphanRow, StagedRow


async def shred(session: AsyncSession, row: ConnectionRow, *, at: datetime, cause: str) -> None:
    """Destroy everything sealed for a connection whose row is locked; again is harmless."""
    destroyed = await data_keys.destroy(session, row.id)
    credentials = await credentials_of(session, row.id)
    credentials.sealed = credentials.data_key_id = None
    credentials.refreshable = False
    await session.exec(delete(OrphanRow).where(col(OrphanRow.connection_id) == row.id))
    await session.exec(delete(StagedRow).where(col(StagedRow.connection_id) == row.id))
    await run(
        session,
        """
        UPDATE authorization_attempts SET sealed = '', sealed_code = NULL
        WHERE connection_id = :connection_id
        """,
        {"connection_id": row.id},
    )
    if destroyed:
        await events.append(session, row, CredentialsShredded(**subject(row, at)), cause)
