"""Money in tables: exact, and as it is written."""

from decimal import Decimal

import pytest

from moorline.cli.amounts import money, number


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1", "EUR", "1.00 EUR"),
        ("-12.3", "EUR", "-12.30 EUR"),
        ("12.3400", "EUR", "12.34 EUR"),
        ("0.12345", "EUR", "0.12345 EUR"),
        ("1E+3", "EUR", "1000.00 EUR"),
        ("1500", "JPY", "1500 JPY"),
        ("1500.5", "JPY", "1500.5 JPY"),
        ("2", "KWD", "2.000 KWD"),
        (None, "EUR", "-"),
    ],
)
def test_money_has_the_decimals_of_its_currency_and_loses_none(
    amount: str | None, currency: str, shown: str
) -> None:
    assert money(None if amount is None else Decimal(amount), currency) == shown


def test_numbers_end_with_their_last_digit_that_says_something() -> None:
    assert [number(Decimal(n)) for n in ("3.500", "10", "0.00")] == ["3.5", "10", "0"]
