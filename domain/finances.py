"""What is read of an account: balances, holdings, transactions, and money that adds up.

Amounts are ``Decimal``, never floating point, always with their ISO 4217 currency. Account numbers
are masked where they come in: nothing behind that ever holds a whole one.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

SHOWN_DIGITS = 4
MASK = "••••"
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class Money:
    """An amount in a currency.

    Raises:
        ValueError: the amount is no finite number, or the currency no ISO 4217 code.
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not self.amount.is_finite():
            raise ValueError("an amount must be a finite number")
        if not _CURRENCY.fullmatch(self.currency):
            raise ValueError("a currency is three capital letters (ISO 4217)")


@dataclass(frozen=True)
class Account:
    """An account as the provider tells of it now. ``number`` is masked."""

    id: str
    name: str
    type: str
    number: str | None
    balance: Money
    available: Decimal | None


@dataclass(frozen=True)
class Holding:
    """A position in an account, as of the provider's last valuation."""

    id: str
    symbol: str | None
    name: str
    quantity: Decimal
    price: Decimal | None
    value: Money


@dataclass(frozen=True)
class Transaction:
    """A movement of money; negative: out of the account."""

    id: str
    booked_at: datetime
    amount: Money
    description: str
    status: str


@dataclass(frozen=True)
class TransactionPage:
    """Transactions after a cursor, oldest first, and the cursor after them."""

    transactions: tuple[Transaction, ...]
    cursor: str
    has_more: bool


def masked(number: str | None) -> str | None:
    """An account number of which its last four characters are left, and of a short one nothing."""
    if number is None:
        return None
    kept = "".join(number.split())
    return MASK + (kept[-SHOWN_DIGITS:] if len(kept) > 2 * SHOWN_DIGITS else "")
