"""The tables of what was read: accounts, balances, holdings, transactions, cursors.

Money is ``numeric``, exact to the last digit, beside its ISO 4217 currency. No answer of a provider
is kept as it came: only these columns, account numbers masked.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, Index, Numeric, UniqueConstraint
from sqlmodel import Field, SQLModel

from storage.tables import instant


class AccountRow(SQLModel, table=True):
    """An account as it was read last. Its number is masked before it comes here."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("connection_id", "source_id"),)

    id: UUID = Field(primary_key=True)
    connection_id: UUID = Field(foreign_key="connections.id")
    source_id: str
    """The provider's own id of it."""
    name: str
    type: str
    number: str | None = None
    currency: str
    balance: Decimal = Field(sa_type=Numeric)
    available: Decimal | None = Field(default=None, sa_type=Numeric)
    first_seen_at: datetime = instant(nullable=False)
    updated_at: datetime = instant(nullable=False)
    gone_at: datetime | None = instant()
    """Since when the provider does not name it any more."""


class BalanceRow(SQLModel, table=True):
    """What an account held when it was read: one row each time all data was read."""

    __tablename__ = "balances"

    account_id: UUID = Field(primary_key=True, foreign_key="accounts.id")
    sync: int = Field(sa_type=BigInteger, primary_key=True)
    at: datetime = instant(nullable=False)
    balance: Decimal = Field(sa_type=Numeric)
    available: Decimal | None = Field(default=None, sa_type=Numeric)
    currency: str


class HoldingRow(SQLModel, table=True):
    """A position as it was read last; one that is sold is deleted."""

    __tablename__ = "holdings"

    account_id: UUID = Field(primary_key=True, foreign_key="accounts.id")
    source_id: str = Field(primary_key=True)
    symbol: str | None = None
    name: str
    quantity: Decimal = Field(sa_type=Numeric)
    price: Decimal | None = Field(default=None, sa_type=Numeric)
    value: Decimal = Field(sa_type=Numeric)
    currency: str
    updated_at: datetime = instant(nullable=False)


class TransactionRow(SQLModel, table=True):
    """A movement of money, as the provider tells of it."""

    __tablename__ = "transactions"
    __table_args__ = (Index("transactions_by_time", "account_id", "booked_at"),)

    account_id: UUID = Field(primary_key=True, foreign_key="accounts.id")
    source_id: str = Field(primary_key=True)
    booked_at: datetime = instant(nullable=False)
    amount: Decimal = Field(sa_type=Numeric)
    currency: str
    description: str
    status: str
    first_seen_at: datetime = instant(nullable=False)


class CursorRow(SQLModel, table=True):
    """Up to where an account's transactions have been read, in the provider's own words."""

    __tablename__ = "cursors"

    account_id: UUID = Field(primary_key=True, foreign_key="accounts.id")
    cursor: str
    updated_at: datetime = instant(nullable=False)
