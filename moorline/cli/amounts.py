"""Money as people write it: with the usual decimals of its currency, and never a digit left out."""

from decimal import Decimal
from typing import Final

USUAL: Final = 2
UNUSUAL: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
"""How many decimals the currencies have that have not two (ISO 4217)."""


def money(amount: Decimal | None, currency: str) -> str:
    """An amount with its currency; `-` where there is none."""
    if amount is None:
        return "-"
    return f"{amount:.{max(_decimals(amount), _usual(currency))}f} {currency}"


def number(value: Decimal | None) -> str:
    """A quantity or price, without zeros that say nothing."""
    return "-" if value is None else f"{value:.{_decimals(value)}f}"


def _usual(currency: str) -> int:
    return next((count for count, codes in UNUSUAL.items() if currency in codes), USUAL)


def _decimals(value: Decimal) -> int:
    """How many decimals it takes to write it to the last digit."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
