"""What was read of a connection, over HTTP: accounts, balances, holdings, transactions.

Money is a decimal number written as text, never a floating-point one, beside its currency.
Account numbers are masked where they come in, and so they are here. No provider is asked.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, PlainSerializer
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import NotFound
from domain.roles import Role
from gateway.cursors import BigInteger, Instant, Storable, next_cursor, place_of
from gateway.refusals import documented
from gateway.security import guard
from storage import finances
from storage.database import Database
from storage.finance_tables import AccountRow, BalanceRow, HoldingRow, TransactionRow
from storage.finances import BalancePlace, TransactionPlace
from storage.tables import ConnectionRow


def _digits(number: Decimal) -> str:
    return f"{number:f}"


Digits = Annotated[Decimal, PlainSerializer(_digits, return_type=str)]
"""A decimal number as text, exact, without an exponent."""
Limit = Annotated[int, Query(ge=1, le=500)]


class Account(BaseModel):
    """An account as it was read last. ``id`` is the provider's, ``number`` is masked."""

    id: str
    name: str
    type: str
    number: str | None
    currency: str
    balance: Digits
    available: Digits | None
    first_seen_at: datetime
    updated_at: datetime
    gone_at: datetime | None
    """Since when the provider does not name it any more."""


class Balance(BaseModel):
    """What an account held when it was read."""

    account: str
    at: datetime
    currency: str
    balance: Digits
    available: Digits | None


class Holding(BaseModel):
    """A position in an account, as it was read last."""

    account: str
    id: str
    symbol: str | None
    name: str
    quantity: Digits
    price: Digits | None
    value: Digits
    currency: str
    updated_at: datetime


class Transaction(BaseModel):
    """A movement of money; negative: out of the account."""

    account: str
    id: str
    booked_at: datetime
    amount: Digits
    currency: str
    description: str
    status: str
    first_seen_at: datetime


class Accounts(BaseModel):
    """All accounts, those that are gone last."""

    items: list[Account]


class Holdings(BaseModel):
    """All positions of all accounts."""

    items: list[Holding]


class Balances(BaseModel):
    """A page, the newest first; ``next_cursor`` asks for what is older, null: there is nothing."""

    items: list[Balance]
    next_cursor: str | None


class Transactions(BaseModel):
    """A page, the newest first; ``next_cursor`` asks for what is older, null: there is nothing."""

    items: list[Transaction]
    next_cursor: str | None


class AfterBalance(BaseModel):
    """Where a page of balances ended."""

    sync: BigInteger
    account: UUID


class AfterTransaction(BaseModel):
    """Where a page of transactions ended."""

    at: Instant
    account: UUID
    id: Storable


def data_routes(database: Database) -> APIRouter:
    """``/v1/connections/{connection_id}`` and then ``accounts``, ``balances``, ``holdings``,
    ``transactions``."""
    allowed = Depends(guard(database, Role.APP))
    router = APIRouter(
        prefix="/v1/connections/{connection_id}",
        tags=["data"],
        dependencies=[allowed],
        responses=documented(404),
    )

    @router.get("/accounts")
    async def accounts(connection_id: UUID) -> Accounts:
        """The accounts of a connection, and what they held when they were read last."""
        async with database.transaction() as session:
            await _check(session, connection_id)
            rows = await finances.accounts(session, connection_id)
        return Accounts(items=[_account(row) for row in rows])

    @router.get("/holdings")
    async def holdings(connection_id: UUID) -> Holdings:
        """The positions of a connection."""
        async with database.transaction() as session:
            await _check(session, connection_id)
            rows = await finances.holdings(session, connection_id)
        return Holdings(items=[_holding(of, row) for of, row in rows])

    @router.get("/balances")
    async def balances(
        connection_id: UUID, cursor: str | None = None, limit: Limit = 100
    ) -> Balances:
        """What accounts held each time they were read, the newest first."""
        place = place_of(AfterBalance, cursor)
        after = None if place is None else BalancePlace(place.sync, place.account)
        async with database.transaction() as session:
            await _check(session, connection_id)
            rows = await finances.balances(session, connection_id, after=after, limit=limit + 1)
        items = [_balance(of, row) for of, row in rows[:limit]]
        return Balances(items=items, next_cursor=next_cursor(rows, limit, _balance_place))

    @router.get("/transactions")
    async def transactions(
        connection_id: UUID,
        account: Storable | None = None,
        cursor: str | None = None,
        limit: Limit = 100,
    ) -> Transactions:
        """Transactions, the newest first; ``account``: of this account only."""
        place = place_of(AfterTransaction, cursor)
        after = None if place is None else TransactionPlace(place.at, place.account, place.id)
        async with database.transaction() as session:
            await _check(session, connection_id)
            rows = await finances.transactions(
                session, connection_id, account=account, after=after, limit=limit + 1
            )
        items = [_transaction(of, row) for of, row in rows[:limit]]
        return Transactions(items=items, next_cursor=next_cursor(rows, limit, _transaction_place))

    return router


async def _check(session: AsyncSession, connection_id: UUID) -> None:
    if await session.get(ConnectionRow, connection_id) is None:
        raise NotFound(f"no connection {connection_id}")


def _balance_place(found: tuple[AccountRow, BalanceRow]) -> AfterBalance:
    _, row = found
    return AfterBalance(sync=row.sync, account=row.account_id)


def _transaction_place(found: tuple[AccountRow, TransactionRow]) -> AfterTransaction:
    _, row = found
    return AfterTransaction(at=row.booked_at, account=row.account_id, id=row.source_id)


def _account(row: AccountRow) -> Account:
    return Account(
        id=row.source_id,
        name=row.name,
        type=row.type,
        number=row.number,
        currency=row.currency,
        balance=row.balance,
        available=row.available,
        first_seen_at=row.first_seen_at,
        updated_at=row.updated_at,
        gone_at=row.gone_at,
    )


def _balance(of: AccountRow, row: BalanceRow) -> Balance:
    return Balance(
        account=of.source_id,
        at=row.at,
        currency=row.currency,
        balance=row.balance,
        available=row.available,
    )


def _holding(of: AccountRow, row: HoldingRow) -> Holding:
    return Holding(
        account=of.source_id,
        id=row.source_id,
        symbol=row.symbol,
        name=row.name,
        quantity=row.quantity,
        price=row.price,
        value=row.value,
        currency=row.currency,
        updated_at=row.updated_at,
    )


def _transaction(of: AccountRow, row: TransactionRow) -> Transaction:
    return Transaction(
        account=of.source_id,
        id=row.source_id,
        booked_at=row.booked_at,
        amount=row.amount,
        currency=row.currency,
        description=row.description,
        status=row.status,
        first_seen_at=row.first_seen_at,
    )
