"""Writing down what was read, and reading it back.

Every write is idempotent: what is read again takes the place of what there was. Rows travel as
columns (``unnest``), so that a page of hundreds is one statement.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import and_, or_, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from uuid6 import uuid7

from domain.finances import Account, Holding, TransactionPage
from storage.database import run
from storage.finance_tables import AccountRow, BalanceRow, CursorRow, HoldingRow, TransactionRow
from storage.syncs import Attempt


async def write_accounts(
    session: AsyncSession, attempt: Attempt, found: Sequence[Account], at: datetime
) -> dict[str, UUID]:
    """Store accounts and a snapshot of their balances; our ids of them, by the provider's.

    Accounts that are not named any more are kept and marked.
    """
    found = _distinct(found)
    values = {
        "connection_id": attempt.connection_id,
        "at": at,
        "sync": attempt.number,
        "ids": [uuid7() for _ in found],
        "sources": [each.id for each in found],
        "names": [each.name for each in found],
        "types": [each.type for each in found],
        "numbers": [each.number for each in found],
        "currencies": [each.balance.currency for each in found],
        "balances": [each.balance.amount for each in found],
        "availables": [each.available for each in found],
    }
    stored = await run(session, _ACCOUNTS, values)
    ids = {row.source_id: row.id for row in stored}
    await run(session, _GONE, values)
    await run(session, _BALANCES, values)
    return ids


async def write_holdings(
    session: AsyncSession, account_id: UUID, found: Sequence[Holding], at: datetime
) -> None:
    """Store all positions of an account; what is not among them has been sold."""
    found = _distinct(found)
    values = {
        "account_id": account_id,
        "at": at,
        "sources": [each.id for each in found],
        "symbols": [each.symbol for each in found],
        "names": [each.name for each in found],
        "quantities": [each.quantity for each in found],
        "prices": [each.price for each in found],
        "worths": [each.value.amount for each in found],
        "currencies": [each.value.currency for each in found],
    }
    await run(session, _SOLD, values)
    await run(session, _HOLDINGS, values)


async def write_transactions(
    session: AsyncSession, account_id: UUID, page: TransactionPage, at: datetime
) -> int:
    """Store a page and the cursor after it, in one; how many of the transactions were new."""
    found = _distinct(page.transactions)
    values = {
        "account_id": account_id,
        "at": at,
        "cursor": page.cursor,
        "sources": [each.id for each in found],
        "booked": [each.booked_at for each in found],
        "amounts": [each.amount.amount for each in found],
        "currencies": [each.amount.currency for each in found],
        "descriptions": [each.description for each in found],
        "statuses": [each.status for each in found],
    }
    await run(session, _CURSOR, values)
    stored = (await run(session, _TRANSACTIONS, values)).all()
    return sum(row.is_new for row in stored)


async def cursor_of(session: AsyncSession, account_id: UUID) -> str | None:
    """Up to where the account's transactions have been read; None: not at all."""
    row = await session.get(CursorRow, account_id)
    return None if row is None else row.cursor


async def accounts(session: AsyncSession, connection_id: UUID) -> Sequence[AccountRow]:
    """A connection's accounts, those that are gone last."""
    query = select(AccountRow).where(AccountRow.connection_id == connection_id)
    order = (
        col(AccountRow.gone_at).is_not(None),
        col(AccountRow.first_seen_at),
        col(AccountRow.id),
    )
    return (await session.exec(query.order_by(*order))).all()


async def holdings(
    session: AsyncSession, connection_id: UUID
) -> Sequence[tuple[AccountRow, HoldingRow]]:
    """All positions of a connection, with their accounts."""
    query = select(AccountRow, HoldingRow).join(HoldingRow)
    query = query.where(AccountRow.connection_id == connection_id)
    order = (col(AccountRow.id), col(HoldingRow.name), col(HoldingRow.source_id))
    return (await session.exec(query.order_by(*order))).all()


class TransactionPlace(NamedTuple):
    """Where a transaction stands among all of its connection."""

    booked_at: datetime
    account_id: UUID
    source_id: str


class BalancePlace(NamedTuple):
    """Where a snapshot of an account stands among all of its connection."""

    sync: int
    account_id: UUID


async def transactions(
    session: AsyncSession,
    connection_id: UUID,
    *,
    account: str | None = None,
    after: TransactionPlace | None = None,
    limit: int = 100,
) -> Sequence[tuple[AccountRow, TransactionRow]]:
    """The newest transactions of a connection, the newest first.

    Args:
        account: of this account only: the provider's id of it.
        after: only what follows this place in that order, which is older.
    """
    query = select(AccountRow, TransactionRow).join(TransactionRow)
    query = query.where(AccountRow.connection_id == connection_id)
    if account is not None:
        query = query.where(AccountRow.source_id == account)
    place = (
        col(TransactionRow.booked_at),
        col(TransactionRow.account_id),
        col(TransactionRow.source_id),
    )
    if after is not None:
        query = query.where(tuple_(*place) < after)
    order = [each.desc() for each in place]
    return (await session.exec(query.order_by(*order).limit(limit))).all()


async def balances(
    session: AsyncSession,
    connection_id: UUID,
    *,
    after: BalancePlace | None = None,
    limit: int = 100,
) -> Sequence[tuple[AccountRow, BalanceRow]]:
    """What accounts held when they were read, the newest first.

    Args:
        after: only what follows this place in that order.
    """
    query = select(AccountRow, BalanceRow).join(BalanceRow)
    query = query.where(AccountRow.connection_id == connection_id)
    sync, account_id = col(BalanceRow.sync), col(BalanceRow.account_id)
    if after is not None:
        same = and_(sync == after.sync, account_id > after.account_id)
        query = query.where(or_(sync < after.sync, same))
    # The ids of accounts are in the order they were first seen in.
    order = (sync.desc(), account_id)
    return (await session.exec(query.order_by(*order).limit(limit))).all()


class _Named(Protocol):
    @property
    def id(self) -> str: ...


NamedT = TypeVar("NamedT", bound=_Named)


def _distinct(found: Sequence[NamedT]) -> Sequence[NamedT]:
    """One of each id, the last: a provider may name a thing twice, one statement may not."""
    return tuple({each.id: each for each in found}.values())


_ACCOUNTS = """
INSERT INTO accounts (id, connection_id, source_id, name, type, number, currency, balance,
                      available, first_seen_at, updated_at)
SELECT id, :connection_id, source_id, name, type, number, currency, balance, available,
       CAST(:at AS timestamptz), CAST(:at AS timestamptz)
FROM unnest(CAST(:ids AS uuid[]), CAST(:sources AS text[]), CAST(:names AS text[]),
            CAST(:types AS text[]), CAST(:numbers AS text[]), CAST(:currencies AS text[]),
            CAST(:balances AS numeric[]), CAST(:availables AS numeric[]))
  AS found (id, source_id, name, type, number, currency, balance, available)
ON CONFLICT (connection_id, source_id) DO UPDATE
SET name = excluded.name, type = excluded.type, number = excluded.number,
    currency = excluded.currency, balance = excluded.balance, available = excluded.available,
    updated_at = excluded.updated_at, gone_at = NULL
RETURNING id, source_id
"""

_GONE = """
UPDATE accounts SET gone_at = :at
WHERE connection_id = :connection_id AND gone_at IS NULL
  AND source_id <> ALL (CAST(:sources AS text[]))
"""

_BALANCES = """
INSERT INTO balances (account_id, sync, at, balance, available, currency)
SELECT id, :sync, :at, balance, available, currency
FROM accounts WHERE connection_id = :connection_id AND gone_at IS NULL
ON CONFLICT (account_id, sync) DO NOTHING
"""

_SOLD = """
DELETE FROM holdings
WHERE account_id = :account_id AND source_id <> ALL (CAST(:sources AS text[]))
"""

_HOLDINGS = """
INSERT INTO holdings (account_id, source_id, symbol, name, quantity, price, value, currency,
                      updated_at)
SELECT :account_id, source_id, symbol, name, quantity, price, value, currency,
       CAST(:at AS timestamptz)
FROM unnest(CAST(:sources AS text[]), CAST(:symbols AS text[]), CAST(:names AS text[]),
            CAST(:quantities AS numeric[]), CAST(:prices AS numeric[]),
            CAST(:worths AS numeric[]), CAST(:currencies AS text[]))
  AS found (source_id, symbol, name, quantity, price, value, currency)
ON CONFLICT (account_id, source_id) DO UPDATE
SET symbol = excluded.symbol, name = excluded.name, quantity = excluded.quantity,
    price = excluded.price, value = excluded.value, currency = excluded.currency,
    updated_at = excluded.updated_at
"""

_CURSOR = """
INSERT INTO cursors (account_id, cursor, updated_at) VALUES (:account_id, :cursor, :at)
ON CONFLICT (account_id) DO UPDATE
SET cursor = excluded.cursor, updated_at = excluded.updated_at
"""

_TRANSACTIONS = """
INSERT INTO transactions (account_id, source_id, booked_at, amount, currency, description, status,
                          first_seen_at)
SELECT :account_id, source_id, booked_at, amount, currency, description, status,
       CAST(:at AS timestamptz)
FROM unnest(CAST(:sources AS text[]), CAST(:booked AS timestamptz[]),
            CAST(:amounts AS numeric[]), CAST(:currencies AS text[]),
            CAST(:descriptions AS text[]), CAST(:statuses AS text[]))
  AS found (source_id, booked_at, amount, currency, description, status)
ON CONFLICT (account_id, source_id) DO UPDATE
SET booked_at = excluded.booked_at, amount = excluded.amount, currency = excluded.currency,
    description = excluded.description, status = excluded.status
RETURNING (xmax = 0) AS is_new
"""
