"""Where data keys live and die: one per connection, made on demand, destroyed by shredding."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func
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
    row = (await session.exec(_KEY, params={"id": connection_id})).first()
    return None if row is None else _wrapped(row)


_KEY: Final = select(DataKeyRow).where(DataKeyRow.connection_id == bindparam("id"))


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

    Touches wraps only, never what they seal. Each batch is one transaction that locks what it
    reads, so it can be stopped anywhere and run beside everything else. A data key that does not
    open stays as it is, and its old key is still counted: it must not hold up all others.
    """
    async with database.transaction() as session:
        done, last = 0, UUID(int=0)
        while done < REWRAP_BATCH:
            rows = await _not_under(session, vault.primary_id, last, REWRAP_BATCH - done)
            if not rows:
                break
            for row in rows:
                with suppress(StorageFault):
                    again = vault.rewrap(_wrapped(row))
                    row.key_id, row.wrapped = again.key_id, again.wrapped
                    done += 1
            last = rows[-1].id
        return done


async def _not_under(
    session: AsyncSession, primary_id: str, after: UUID, limit: int
) -> Sequence[DataKeyRow]:
    query = select(DataKeyRow).where(DataKeyRow.key_id != primary_id, DataKeyRow.id > after)
    query = query.order_by(col(DataKeyRow.id)).limit(limit).with_for_update(skip_locked=True)
    return (await session.exec(query)).all()


def _wrapped(row: DataKeyRow) -> WrappedKey:
    return WrappedKey(row.id, row.connection_id, row.key_id, row.wrapped)
