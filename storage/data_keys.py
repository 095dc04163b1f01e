"""Where data keys live and die: one per connection, made on demand, destroyed by shredding."""

from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import StorageFault
from storage.database import Database, run
from storage.tables import DataKeyRow
from storage.vault import DataKey, Vault, WrappedKey

REWRAP_BATCH = 100


async def obtain(session: AsyncSession, vault: Vault, connection_id: UUID) -> DataKey:
    """The connection's data key, opened; made if there is none yet."""
    new = vault.new_data_key(connection_id)
    await run(
        session,
        """
        INSERT INTO data_keys (id, connection_id, key_id, wrapped, created_at)
        VALUES (:id, :connection_id, :key_id, :wrapped, clock_timestamp())
        ON CONFLICT (connection_id) DO NOTHING
        """,
        vars(new),
    )
    wrapped = await find(session, connection_id)
    if wrapped is None:
        raise StorageFault("a data key vanished while it was being read")
    return vault.unwrap(wrapped)


async def find(session: AsyncSession, connection_id: UUID) -> WrappedKey | None:
    """The connection's data key as stored; None before the first secret and after shredding."""
    query = select(DataKeyRow).where(DataKeyRow.connection_id == connection_id)
    row = (await session.exec(query)).first()
    return None if row is None else WrappedKey(row.id, row.connection_id, row.key_id, row.wrapped)


async def destroy(session: AsyncSession, connection_id: UUID) -> bool:
    """Shred: nothing sealed for this connection can be opened again. False if it was gone."""
    statement = delete(DataKeyRow).where(col(DataKeyRow.connection_id) == connection_id)
    return (await session.exec(statement)).rowcount > 0


async def count_by_key(session: AsyncSession) -> dict[str, int]:
    """How many data keys each key of the keyring wraps; a key may retire when it wraps none."""
    query = select(DataKeyRow.key_id, func.count()).group_by(DataKeyRow.key_id)
    return dict((await session.exec(query)).all())


async def rewrap_batch(database: Database, vault: Vault) -> int:
    """Bring up to 100 data keys under the primary key; how many were. Call until it answers 0.

    Touches wraps only, never what they seal. Each batch is one transaction and compares what it
    read, so it can be stopped anywhere and run beside everything else.
    """
    async with database.transaction() as session:
        query = select(DataKeyRow).where(DataKeyRow.key_id != vault.primary_id)
        query = query.limit(REWRAP_BATCH).with_for_update(skip_locked=True)
        rows = (await session.exec(query)).all()
        for row in rows:
            wrapped = WrappedKey(row.id, row.connection_id, row.key_id, row.wrapped)
            again = vault.rewrap(wrapped)
            row.key_id, row.wrapped = again.key_id, again.wrapped
        return len(rows)
