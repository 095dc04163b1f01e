"""Lifetimes in token answers: stated as anything, by several names, or inside a JWT."""

import base64
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.deadlines import DeadlineSource
from providers.token_answers import Tokens, parse_object, parse_seconds, parse_tokens

JSON = "application/json"
TEN_YEARS = timedelta(days=3650)
RESPONSE, JWT = DeadlineSource.RESPONSE, DeadlineSource.JWT


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def tokens(answer: object) -> Tokens:
    fields = parse_object(json.dumps(answer).encode(), JSON)
    found = parse_tokens(fields or {})
    assert found is not None
    return found


def jwt(**claims: object) -> str:
    parts = [{"alg": "RS256"}, claims]
    written = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(each.rstrip("=") for each in written), "c2ln"])


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (3600, seconds(3600)),
        ("3600", seconds(3600)),
        (" 3600 ", seconds(3600)),
        (3600.5, seconds(3600.5)),
        ("3600.5", seconds(3600.5)),
        (0, seconds(0)),
        ("0", seconds(0)),
        (-1, seconds(0)),
        ("-1", seconds(0)),
        (1e12, TEN_YEARS),
        ("1e12", TEN_YEARS),
        (10**400, None),
        (-(10**400), None),
        (None, None),
        (True, None),
        (False, None),
        (float("nan"), None),
        (float("inf"), None),
        (float("-inf"), None),
        ("NaN", None),
        ("Infinity", None),
        ("abc", None),
        ("", None),
        ("1h", None),
        ("2026-11-21T00:00:00Z", None),
        ([3600], None),
        ({"s": 3600}, None),
        (b"3600", None),
    ],
    ids=repr,
)
def test_a_lifetime_is_read_from_whatever_was_sent_for_one(
    sent: object, meant: timedelta | None
) -> None:
    assert parse_seconds(sent) == meant


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.binary(), st.none()))
def test_a_lifetime_is_never_negative_or_longer_than_ten_years(sent: object) -> None:
    found = parse_seconds(sent)
    assert found is None or timedelta(0) <= found <= TEN_YEARS


@pytest.mark.parametrize(
    "name",
    [
        "refresh_token_expires_in",
        "refresh_expires_in",
        "refresh_token_timeout",
        "x_refresh_token_expires_in",
    ],
)
def test_the_refresh_tokens_end_goes_by_several_names(name: str) -> None:
    assert tokens({"access_token": "at", name: 86400}).known[RESPONSE].refresh_token == seconds(
        86400
    )


@pytest.mark.parametrize("name", ["authorization_expires_in", "x_refresh_token_hard_expires_in"])
def test_the_grants_end_goes_by_several_names(name: str) -> None:
    assert tokens({"access_token": "at", name: "86400"}).known[RESPONSE].grant == seconds(86400)


@pytest.mark.parametrize("sent", [0, "0", -1])
@pytest.mark.parametrize(
    "name", ["refresh_expires_in", "authorization_expires_in", "consent_expires_in"]
)
def test_bug_keycloaks_offline_tokens_say_zero_and_were_expired_at_once(
    name: str, sent: object
) -> None:
    stated = tokens({"access_token": "at", name: sent}).known[RESPONSE]
    assert (stated.refresh_token, stated.grant, stated.consent) == (None, None, None)


@pytest.mark.parametrize(
    ("claims", "lives"),
    [
        ({"iat": 1_790_000_000, "exp": 1_790_003_600}, seconds(3600)),
        ({"iat": 1_790_000_000.5, "exp": 1_790_003_600.0}, seconds(3599.5)),
        ({"exp": 1_790_003_600}, None),
        ({"iat": 1_790_000_000}, None),
        ({"iat": "1790000000", "exp": "1790003600"}, None),
        ({"iat": 1_790_003_600, "exp": 1_790_000_000}, None),
        ({"iat": 0, "exp": 0}, None),
        ({"iat": False, "exp": True}, None),
        ({"iat": None, "exp": []}, None),
        ({"iat": 0, "exp": 1e300}, TEN_YEARS),
        ({"iat": float("nan"), "exp": 5}, None),
    ],
    ids=repr,
)
def test_the_lifetime_inside_a_jwt_is_exp_less_iat(
    claims: dict[str, object], lives: timedelta | None
) -> None:
    found = tokens({"access_token": jwt(**claims)})
    assert found.known[JWT].access_token == lives
    assert found.known[RESPONSE].access_token is None


@pytest.mark.parametrize(
    "token",
    ["opaque", "a.b", "a.b.c", "..", "a.\u00e9.c", "a.eyJ.c", f"a.{'W' * 40000}.c", "a.bnVsbA.c"],
    ids=lambda token: token[:10],
)
def test_what_is_no_jwt_states_nothing(token: str) -> None:
    assert tokens({"access_token": token}).known[JWT].access_token is None
