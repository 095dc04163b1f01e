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
from sqlalchemy import CursorResult, bindparam, func, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import NotConfigured, Unreachable
from storage.tables import ConnectionRow

CONNECT_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_S: Final = 10
IDLE_TIMEOUT_S: Final = 15
"""How long a process that stands still in the middle of a transaction keeps its locks."""
_SERVER_SETTINGS = {"idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_S}s"}
_AWAY = "the database does not answer"
_GONE = (OSError, OperationalError, InterfaceError, PoolTimeout, asyncpg.InterfaceError)
_REFUSES_US = frozenset({"28", "3D"})
"""SQLSTATE classes of a server that knows neither the user nor the password nor the database."""
_STOOD_STILL = "25P03"
"""What the server says to a process that has thawed too late: its transaction is gone."""
_OUT_OF_ORDER = frozenset({"08", "40", "53", "55", "57", "58"})
"""SQLSTATE classes of a server that cannot work now: connection, conflict with another transaction,
resources, state, shutdown."""


class Database:
    """An engine and its transactions.

    Args:
        url: ``postgresql+asyncpg://user:password@host:port/name``.
        statement_timeout_s: after which a statement is given up; None: it may take its time.
    """

    def __init__(
        self, url: str, *, statement_timeout_s: float | None = STATEMENT_TIMEOUT_S
    ) -> None:
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=10,
            max_overflow=10,
            pool_timeout=CONNECT_TIMEOUT_S,
            pool_pre_ping=True,
            hide_parameters=True,  # an error is logged; what it was about need not be
            connect_args={
                "timeout": CONNECT_TIMEOUT_S,
                "command_timeout": statement_timeout_s,
                "server_settings": _SERVER_SETTINGS,
            },
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
        except (DBAPIError, asyncpg.PostgresError) as error:
            raise _in_our_words(error) from None
        except _GONE:
            raise Unreachable(_AWAY) from None

    def without_statement_timeout(self) -> "Database":
        """The same database for work that may take its time, as migrations do; close it, too."""
        url = self.engine.url.render_as_string(hide_password=False)
        return Database(url, statement_timeout_s=None)

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
    return (await session.exec(_LOCKED, params={"id": connection_id})).first()


# Built once, like every statement that each refresh runs: building one costs as much as running it.
_LOCKED: Final = (
    select(ConnectionRow)
    .where(ConnectionRow.id == bindparam("id"))
    .with_for_update(key_share=True)
    # As it is now that nobody else can change it, even if this session has read it before.
    .execution_options(populate_existing=True)
)


def _in_our_words(error: DBAPIError | asyncpg.PostgresError) -> Exception:
    original = error.orig if isinstance(error, DBAPIError) else error
    state = str(getattr(original, "sqlstate", None) or "")
    kind = state[:2]
    if kind in _REFUSES_US:
        return NotConfigured("the database does not know our user, password or database name")
    lost = isinstance(error, OperationalError | InterfaceError)
    lost = lost or (isinstance(error, DBAPIError) and error.connection_invalidated)
    lost = lost or state == _STOOD_STILL
    return Unreachable(_AWAY) if lost or kind in _OUT_OF_ORDER else error
