"""The way to PostgreSQL: one engine, transactions, and errors in our own words.

``transaction()`` is the only door. What the driver raises when the database is away becomes
``Unreachable``; everything else is a bug and stays what it is.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import CursorResult, func, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import NotConfigured, Unreachable
from storage.tables import ConnectionRow

CONNECT_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_S: Final = 10
_AWAY = "the database does not answer"
_GONE = (
    OSError,
    OperationalError,
    InterfaceError,
    PoolTimeout,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
)
_OUT_OF_ORDER = frozenset({"08", "53", "57", "58"})
"""SQLSTATE classes of a server that cannot work now: connection, resources, shutdown, system."""
_REFUSED = (
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


class Database:
    """An engine and its transactions.

    Args:
        url: ``postgresql+asyncpg://user:password@host:port/name``.
    """

    def __init__(self, url: str) -> None:
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=10,
            max_overflow=10,
            pool_timeout=CONNECT_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={"timeout": CONNECT_TIMEOUT_S, "command_timeout": STATEMENT_TIMEOUT_S},
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One transaction, committed at the end of the block, rolled back on an exception.

        Raises:
            Unreachable: no connection, or it was lost; whether a commit happened is then unknown.
            NotConfigured: the server refuses user, password or database.
        """
        try:
            async with AsyncSession(self.engine, expire_on_commit=False) as session:
                yield session
                await session.commit()
        except _REFUSED as error:
            raise NotConfigured(f"the database refuses us: {type(error).__name__}") from None
        except _GONE:
            raise Unreachable(_AWAY) from None
        except DBAPIError as error:
            if error.connection_invalidated or _sqlstate(error)[:2] in _OUT_OF_ORDER:
                raise Unreachable(_AWAY) from None
            raise

    async def close(self) -> None:
        """Give the connections back."""
        await self.engine.dispose()


async def run(
    session: AsyncSession, statement: str, values: Mapping[str, object]
) -> CursorResult[Any]:
    """Execute one SQL statement in this transaction."""
    connection = await session.connection()
    return await connection.execute(text(statement), dict(values))


async def now(session: AsyncSession) -> datetime:
    """This instant, by the database's clock."""
    instant: datetime = (await session.exec(select(func.clock_timestamp()))).one()
    return instant


async def lock_connection(session: AsyncSession, connection_id: UUID) -> ConnectionRow | None:
    """The connection's row, locked until the transaction ends; None if there is none.

    Taken first by every transaction that writes to a connection, so that no two can deadlock.
    """
    query = select(ConnectionRow).where(ConnectionRow.id == connection_id)
    return (await session.exec(query.with_for_update(key_share=True))).first()


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
