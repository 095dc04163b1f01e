"""A CSV file of transactions, of the one layout that ``docs/providers.md`` describes.

Everything in it is a stranger's: what a spreadsheet would take for a formula is made text, account
numbers are masked, and a mistake is told by its line and column, never by what stands there.
"""

import csv
import hashlib
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from domain.finances import Account, Money, Transaction, masked

COLUMNS: Final = ("account", "booked_on", "amount", "currency", "description", "balance")
LONGEST_TEXT: Final = 500
MOST_ACCOUNTS: Final = 1000
"""Of one file: each is stored by itself, and more would keep a worker busy for minutes."""
_AMOUNT = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,12})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FORMULA: Final = tuple("=+-@\t\r")
_DIGITS_OF_A_NUMBER: Final = 8
_NOT_TEXT: Final = frozenset({"Cc", "Cs"})
"""Control characters, and halves of characters, which no UTF-8 has but JSON may bring."""


class NotAStatement(Exception):
    """A file is of another layout; says where, and nothing of what it holds."""


@dataclass(frozen=True)
class Statement:
    """What a file tells: accounts as of its last line, and their transactions, oldest first."""

    accounts: Mapping[str, Account] = field(repr=False)
    transactions: Mapping[str, tuple[Transaction, ...]] = field(repr=False)

    @classmethod
    def parse(cls, content: str) -> "Statement":
        """Understand a whole file, or none of it.

        Raises:
            NotAStatement: it is of another layout.
        """
        reading = _Reading()
        lines = csv.reader(io.StringIO(content, newline=""), strict=True)
        try:
            columns = _columns(next(lines, []))
            for cells in lines:
                if cells:
                    reading.take(_Row(lines.line_num, columns, cells))
        except csv.Error:
            raise NotAStatement(f"line {lines.line_num}: this is no CSV") from None
        if not reading.accounts:
            raise NotAStatement("it has no transactions")
        found = {account_id: tuple(rows) for account_id, rows in reading.transactions.items()}
        return cls(reading.accounts, found)


def _columns(header: list[str]) -> Mapping[str, int]:
    names = [name.strip().lower() for name in header]
    missing = [name for name in COLUMNS if names.count(name) != 1]
    if missing:
        raise NotAStatement(f"its first line does not name these columns: {', '.join(missing)}")
    return {name: place for place, name in enumerate(names)}


class _Row:
    """One line, cell by cell."""

    def __init__(self, line: int, columns: Mapping[str, int], cells: list[str]) -> None:
        self._line, self._columns, self._cells = line, columns, cells
        if len(cells) < len(columns):
            raise NotAStatement(f"line {line}: it has fewer cells than the first")

    def wrong(self, column: str, what: str) -> NotAStatement:
        return NotAStatement(f"line {self._line}, {column}: {what}")

    def text(self, column: str, *, needed: bool = True) -> str:
        place = self._columns.get(column)
        cell = "" if place is None else self._cells[place].strip()
        if len(cell) > LONGEST_TEXT or any(
            unicodedata.category(each) in _NOT_TEXT for each in cell
        ):
            raise self.wrong(column, "it is too long, or not text")
        if needed and not cell:
            raise self.wrong(column, "it is missing")
        return cell

    def amount(self, column: str) -> Decimal:
        cell = self.text(column)
        if not _AMOUNT.fullmatch(cell):
            raise self.wrong(column, "it is no decimal number such as -12.50")
        return Decimal(cell)

    def currency(self) -> str:
        cell = self.text("currency")
        if not _CURRENCY.fullmatch(cell):
            raise self.wrong("currency", "it is no code such as EUR")
        return cell

    def booked_at(self) -> datetime:
        cell = self.text("booked_on")
        try:
            if _DATE.fullmatch(cell):
                return datetime.combine(date.fromisoformat(cell), datetime.min.time(), UTC)
        except ValueError:
            pass
        raise self.wrong("booked_on", "it is no date such as 2026-12-31")


class _Reading:
    """The file, as far as it has been read."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.transactions: dict[str, list[Transaction]] = {}
        self._seen: Counter[str] = Counter()

    def take(self, row: _Row) -> None:
        account, currency = row.text("account"), row.currency()
        account_id, balance = _digest(account), Money(row.amount("balance"), currency)
        told = self.transactions.setdefault(account_id, [])
        if len(self.transactions) > MOST_ACCOUNTS:
            raise row.wrong("account", f"a file tells of at most {MOST_ACCOUNTS} accounts")
        transaction = Transaction(
            id="",
            booked_at=row.booked_at(),
            amount=Money(row.amount("amount"), currency),
            description=plain(row.text("description", needed=False)),
            status="booked",
        )
        if told and told[-1].booked_at > transaction.booked_at:
            raise row.wrong("booked_on", "the lines of an account stand oldest first")
        if told and told[-1].amount.currency != currency:
            raise row.wrong("currency", "an account has one currency")
        own_id = self._id_of(row, account_id, transaction, balance)
        told.append(replace(transaction, id=own_id))
        self.accounts[account_id] = Account(
            id=account_id,
            name=_name(account),
            type="file",
            number=masked(account),
            balance=balance,
            available=None,
        )

    def _id_of(self, row: _Row, account_id: str, found: Transaction, balance: Money) -> str:
        """The same in every file that has this line, so that files may overlap."""
        if own := row.text("id", needed=False):
            return _digest(account_id, "id", own)
        facts = (
            account_id,
            found.booked_at.isoformat(),
            str(found.amount.amount.normalize()),
            found.description,
            str(balance.amount.normalize()),
        )
        alike = _digest(*facts)
        self._seen[alike] += 1
        return _digest(alike, str(self._seen[alike]))


def plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula, wherever it is exported to."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _name(account: str) -> str:
    """What people call it; of what looks like a number no more than anywhere else."""
    digits = sum(each.isdigit() for each in account)
    return masked(account) or "" if digits >= _DIGITS_OF_A_NUMBER else plain(account)


def _digest(*facts: str) -> str:
    told = "\x1f".join(facts).encode()
    return hashlib.sha256(told).hexdigest()[:32]
