"""Money that adds up, and account numbers that say no more than they must."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.finances import MASK, SHOWN_DIGITS, Money, masked


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, None),
        ("", "••••"),
        ("1", "••••"),
        ("12345678", "••••"),
        ("1234 5678", "••••"),
        ("123456789", "••••6789"),
        ("DE89 3704 0044 0532 0130 00", "••••3000"),
        ("12345678  9  ", "••••6789"),
    ],
    ids=repr,
)
def test_of_a_long_number_its_end_is_shown_and_of_a_short_one_nothing(
    number: str | None, shown: str | None
) -> None:
    assert masked(number) == shown


@given(st.text(st.characters(exclude_characters="•")))
def test_never_more_than_four_characters_nor_half_of_a_number_are_shown(number: str) -> None:
    shown = masked(number)
    assert shown is not None
    assert shown.startswith(MASK)
    rest = shown.removeprefix(MASK)
    assert len(rest) in {0, SHOWN_DIGITS}
    assert 2 * len(rest) < len(number) or not rest


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_an_amount_is_a_finite_number(amount: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        Money(Decimal(amount), "EUR")


@pytest.mark.parametrize("currency", ["", "EU", "EURO", "eur", "E R", "EUR\n", "ÄÖÜ", "EU1"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    with pytest.raises(ValueError, match="4217"):
        Money(Decimal(1), currency)


@pytest.mark.parametrize("amount", ["0", "-0.00", "-12.345678901234567890", "1E+12"])
def test_any_finite_amount_is_money_and_stays_as_it_is(amount: str) -> None:
    assert str(Money(Decimal(amount), "JPY").amount) == amount
