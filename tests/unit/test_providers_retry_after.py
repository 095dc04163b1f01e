"""``Retry-After``: seconds, HTTP dates, and everything that is neither."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.classifier import parse_retry_after

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WORDS = [
    "Sat,",
    "21",
    "Nov",
    "2026",
    "12:00:07",
    "GMT",
    "+9999",
    "-2400",
    "99999",
    "0",
    "",
    "\u0663",
]


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("7", seconds(7)),
        (" 7 ", seconds(7)),
        ("0", seconds(0)),
        ("007", seconds(7)),
        (str(10**9), seconds(10**9)),
        ("9" * 64, seconds(10**9)),
        ("9" * 65, None),
        ("Sat, 21 Nov 2026 12:00:07 GMT", seconds(7)),
        ("Saturday, 21-Nov-26 12:00:07 GMT", seconds(7)),
        ("Sat Nov 21 12:00:07 2026", seconds(7)),
        ("Sat, 21 Nov 2026 13:00:07 +0100", seconds(7)),
        ("Sat, 21 Nov 2020 12:00:07 GMT", seconds(0)),
        (None, None),
        ("", None),
        ("-7", None),
        ("+7", None),
        ("7.5", None),
        ("7s", None),
        ("soon", None),
        ("\u0667", None),
        ("\u00b2", None),
        ("1e3", None),
        ("NaN", None),
        ("Sat, 99 Nov 2026 12:00:07 GMT", None),
        ("Sat, 21 Nov 2026 12:00:07 +9999", None),
    ],
    ids=repr,
)
def test_what_a_provider_asks_for(sent: str | None, meant: timedelta | None) -> None:
    assert parse_retry_after(sent, NOW) == meant


@given(st.integers(min_value=0, max_value=10**12))
def test_seconds_are_capped(number: int) -> None:
    assert parse_retry_after(str(number), NOW) == seconds(min(number, 10**9))


@given(st.timedeltas(min_value=timedelta(days=-9999), max_value=timedelta(days=9999)))
def test_dates_are_counted_from_now_and_never_negative(ahead: timedelta) -> None:
    at = (NOW + ahead).replace(microsecond=0)
    asked = parse_retry_after(format_datetime(at, usegmt=True), NOW)
    assert asked == max(at - NOW, timedelta(0))


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)))
def test_nothing_makes_it_raise(text: str) -> None:
    asked = parse_retry_after(text, NOW)
    assert asked is None or asked >= timedelta(0)
