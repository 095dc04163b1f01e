"""The data API of the sandbox, under OAuth 2.0 (``/api``) and by key (``/broker``) alike."""

from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

from pydantic import AwareDatetime, Field

from domain.finances import Account, Holding, Money, Transaction, TransactionPage, masked
from providers.readers.reading import Answer, Source

PAGE = 500
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[Decimal, Field(max_digits=30, decimal_places=12, allow_inf_nan=False)]


class _Account(Answer):
    id: Text
    name: Text
    type: Text
    number: Text | None = None
    currency: Currency
    balance: Amount
    available: Amount | None = None


class _Accounts(Answer):
    accounts: tuple[_Account, ...]


class _Holding(Answer):
    id: Text
    symbol: Text | None = None
    name: Text
    quantity: Amount
    price: Amount | None = None
    value: Amount
    currency: Currency


class _Holdings(Answer):
    holdings: tuple[_Holding, ...]


class _Transaction(Answer):
    id: Text
    booked_at: AwareDatetime
    amount: Amount
    currency: Currency
    description: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
    status: Text


class _Transactions(Answer):
    transactions: tuple[_Transaction, ...]
    next_cursor: Text
    has_more: bool


class SandboxReader:
    """The sandbox, as one connection may see it."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def accounts(self) -> tuple[Account, ...]:
        """All accounts, their numbers masked."""
        answer = await self._source.ask("accounts", _Accounts)
        return tuple(
            Account(
                id=each.id,
                name=each.name,
                type=each.type,
                number=masked(each.number),
                balance=Money(each.balance, each.currency),
                available=each.available,
            )
            for each in answer.accounts
        )

    async def holdings(self, account_id: str) -> tuple[Holding, ...]:
        """All positions in an account."""
        path = f"accounts/{quote(account_id, safe='')}/holdings"
        answer = await self._source.ask(path, _Holdings)
        return tuple(
            Holding(
                id=each.id,
                symbol=each.symbol,
                name=each.name,
                quantity=each.quantity,
                price=each.price,
                value=Money(each.value, each.currency),
            )
            for each in answer.holdings
        )

    async def transactions(self, account_id: str, cursor: str | None) -> TransactionPage:
        """At most 500 transactions after ``cursor``."""
        path = f"accounts/{quote(account_id, safe='')}/transactions"
        params = {"limit": str(PAGE)} | ({} if cursor is None else {"cursor": cursor})
        answer = await self._source.ask(path, _Transactions, params)
        return TransactionPage(
            tuple(
                Transaction(
                    id=each.id,
                    booked_at=each.booked_at,
                    amount=Money(each.amount, each.currency),
                    description=each.description,
                    status=each.status,
                )
                for each in answer.transactions
            ),
            answer.next_cursor,
            answer.has_more,
        )
