"""What the sandbox's users own: accounts, positions, and transactions that become more by the hour.

Made up once, at first sight of a user, and always the same for the same user; from then on life
goes on. Money is whole minor units (cents) in here, so that every sum is exact.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from .store import Store, Value

SEEDED: Final = 120
SEEDED_EVERY_S: Final = 6 * 3600
EVERY_S: Final = 3600
"""One more transaction in each account for every so many seconds since the user was first seen."""
OPENING: Final = 1_000_000
NUMBER: Final = "XX00CANARY"
"""How every account number begins, so that a search finds where a whole one has no business."""
SHOPS: Final = ("Grocer", "Rent", "Salary", "Bakery", "Railway", "Dividend", "Café", "Pharmacy")
SHARES: Final = (
    ("ACME", "Acme Corporation", "12.5", 10_250),
    ("WRLD", "World Index Fund", "40.12345678", 8_812),
    ("BOND", "Government Bond 2031", "1000", 99),
    ("GOLD", "Gold ETC", "3.75", 21_430),
)
"""Symbol, name, quantity, and price of one in minor units."""


@dataclass(frozen=True)
class Account:
    """One account of one user."""

    id: str
    name: str
    type: str
    number: str
    currency: str


@dataclass(frozen=True)
class Transaction:
    """One movement; ``seq`` counts from 1 in its account."""

    seq: int
    id: str
    booked_at: str
    amount: str
    description: str


class Finances:
    """The tables of who owns what."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def accounts(self, user: str, now: float) -> list[Account]:
        """A user's accounts, seen for the first time now if never before."""
        self._live_on(user, now)
        return accounts_of(user)

    def balance(self, account: Account) -> str:
        """The opening balance and everything since."""
        return decimal(OPENING + self._sum(account.id))

    def transactions(self, account: Account, after: int, limit: int) -> list[Transaction]:
        """At most so many transactions after a ``seq``, oldest first."""
        rows = self._store.all(
            "SELECT * FROM transactions WHERE account_id = ? AND seq > ? ORDER BY seq LIMIT ?",
            (account.id, after, limit),
        )
        return [
            Transaction(
                seq=int(row["seq"] or 0),
                id=str(row["id"]),
                booked_at=instant(float(row["booked_at"] or 0)),
                amount=decimal(int(row["amount"] or 0)),
                description=str(row["description"]),
            )
            for row in rows
        ]

    def grow(self, user: str, count: int, now: float, account_id: str | None = None) -> None:
        """So many more transactions in one account, or in each."""
        for account in self.accounts(user, now):
            if account_id in (None, account.id):
                self._append(account, [now] * count)

    def truth(self, user: str, now: float) -> list[dict[str, Value]]:
        """Counts and sums of each account, by which a reader's copy can be judged."""
        return [
            {
                "id": account.id,
                "currency": account.currency,
                "balance": self.balance(account),
                "transactions": self._count(account.id),
                "sum": decimal(self._sum(account.id)),
                "holdings": len(holdings_of(account)),
                "value": str(sum_of(holdings_of(account))),
            }
            for account in self.accounts(user, now)
        ]

    def _live_on(self, user: str, now: float) -> None:
        """Bring a user's life up to now."""
        row = self._store.one("SELECT seen_at, hours FROM lives WHERE user = ?", user)
        if row is None:
            self._store.run("INSERT INTO lives (user, seen_at, hours) VALUES (?, ?, 0)", user, now)
            before = [now - SEEDED_EVERY_S * (SEEDED - number) for number in range(SEEDED)]
            for account in accounts_of(user):
                self._append(account, before)
            return
        seen_at, hours = float(row["seen_at"] or 0), int(row["hours"] or 0)
        lived = int((now - seen_at) // EVERY_S)
        if lived > hours:
            self._store.run("UPDATE lives SET hours = ? WHERE user = ?", lived, user)
            times = [seen_at + EVERY_S * hour for hour in range(hours + 1, lived + 1)]
            for account in accounts_of(user):
                self._append(account, times)

    def _append(self, account: Account, times: list[float]) -> None:
        first = self._count(account.id) + 1
        rows: list[tuple[Value, ...]] = []
        for seq, at in enumerate(times, start=first):
            chance = _chance(account.id, seq)
            amount = chance % 40_000 - 25_000 or 1
            shop = SHOPS[chance % len(SHOPS)]
            rows.append((account.id, seq, f"txn-{account.id[4:]}-{seq}", at, amount, shop))
        self._store.many("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _count(self, account_id: str) -> int:
        query = "SELECT count(*) AS n FROM transactions WHERE account_id = ?"
        return self._number(query, account_id)

    def _sum(self, account_id: str) -> int:
        query = "SELECT ifnull(sum(amount), 0) AS n FROM transactions WHERE account_id = ?"
        return self._number(query, account_id)

    def _number(self, query: str, account_id: str) -> int:
        row = self._store.one(query, account_id)
        return 0 if row is None else int(row["n"] or 0)


def accounts_of(user: str) -> list[Account]:
    """The three accounts that every user has."""
    kinds = (("checking", "EUR"), ("savings", "EUR"), ("brokerage", "USD"))
    return [
        Account(
            id=f"acc-{_chance(user, kind):08x}",
            name=f"{user.title()}'s {kind} account",
            type=kind,
            number=f"{NUMBER}{_chance(user, f'{kind} number'):012d}",
            currency=currency,
        )
        for kind, currency in kinds
    ]


def holdings_of(account: Account) -> list[dict[str, str]]:
    """The positions of an account: only a brokerage account has any."""
    if account.type != "brokerage":
        return []
    return [
        {
            "id": f"pos-{account.id[4:]}-{symbol}",
            "symbol": symbol,
            "name": name,
            "quantity": quantity,
            "price": decimal(price),
            "value": str(Decimal(quantity) * price / 100),
            "currency": account.currency,
        }
        for symbol, name, quantity, price in SHARES
    ]


def sum_of(holdings: list[dict[str, str]]) -> Decimal:
    """What positions are worth together."""
    return sum((Decimal(each["value"]) for each in holdings), Decimal(0))


def decimal(minor: int) -> str:
    """Minor units as people and JSON write them: never a float."""
    return str(Decimal(minor) / 100)


def instant(at: float) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _chance(*about: object) -> int:
    digest = hashlib.sha256(":".join(map(str, about)).encode()).digest()
    return int.from_bytes(digest[:4], "big")
