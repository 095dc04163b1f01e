"""What a user exports on the account page: every transaction, as CSV with the running balance."""

import csv
import io
from decimal import Decimal
from typing import Final

from .finances import OPENING, Finances, decimal

COLUMNS: Final = ("id", "account", "booked_on", "amount", "currency", "description", "balance")
ALL: Final = 1_000_000


def export(finances: Finances, user: str, now: float) -> str:
    """The whole file."""
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow(COLUMNS)
    for account in finances.accounts(user, now):
        balance = Decimal(decimal(OPENING))
        for each in finances.transactions(account, 0, ALL):
            balance += Decimal(each.amount)
            cells = (account.number, each.booked_at[:10], each.amount, account.currency)
            lines.writerow((each.id, *cells, each.description, str(balance)))
    return text.getvalue()
