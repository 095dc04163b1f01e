"""Reading token answers: every lifetime a provider might send, and bytes of any kind."""

import gzip
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.deadlines import DeadlineSource
from providers.token_answers import (
    UNREADABLE,
    Tokens,
    is_bearer,
    parse_object,
    parse_tokens,
)

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
TEN_YEARS = timedelta(days=3650)
RESPONSE, JWT = DeadlineSource.RESPONSE, DeadlineSource.JWT


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def tokens(answer: object) -> Tokens:
    fields = parse_object(json.dumps(answer).encode(), JSON)
    found = parse_tokens(fields or {})
    assert found is not None
    return found


@pytest.mark.parametrize("digits", ["9" * 10, "9" * 400, "9" * 5000, "-" + "9" * 5000])
def test_bug_an_integer_of_many_digits_cost_the_tokens_beside_it(digits: str) -> None:
    body = b'{"access_token": "at", "refresh_token": "rt", "expires_in": %s}' % digits.encode()
    found = parse_tokens(parse_object(body, JSON) or {})
    assert found is not None
    assert found.access_token.reveal() == "at"
    assert found.refresh_token is not None


@pytest.mark.parametrize("beside", [{}, {"refresh_token": ""}, {"refresh_token": None}])
def test_an_omitted_or_empty_refresh_token_means_keep_the_old_one(beside: dict[str, Any]) -> None:
    assert tokens({"access_token": "at", **beside}).refresh_token is None


@pytest.mark.parametrize("sent", [None, "", 5, True, ["at"], {"at": 1}])
def test_there_is_nothing_without_an_access_token(sent: object) -> None:
    fields: dict[str, object] = {"access_token": sent, "refresh_token": "rt", "expires_in": 3600}
    assert parse_tokens(fields) is None
    del fields["access_token"]
    assert parse_tokens(fields) is None


def test_everything_that_an_answer_states_is_found() -> None:
    found = tokens(
        {
            "access_token": "at",
            "refresh_token": "rt",
            "token_type": "Bearer",
            "scope": "profile files",
            "expires_in": "1800",
            "refresh_token_expires_in": 86400,
            "authorization_expires_in": 172800,
            "consent_expires_in": 259200,
        }
    )
    assert found.refresh_token is not None
    assert (found.access_token.reveal(), found.refresh_token.reveal()) == ("at", "rt")
    assert (found.token_type, found.scope) == ("Bearer", "profile files")
    stated = found.known[RESPONSE]
    assert stated.access_token == seconds(1800)
    assert stated.refresh_token == seconds(86400)
    assert stated.grant == seconds(172800)
    assert stated.consent == seconds(259200)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({}, None),
        ({"token_type": None}, None),
        ({"token_type": ""}, None),
        ({"token_type": "bearer"}, "bearer"),
        ({"token_type": "BEARER"}, "BEARER"),
        ({"token_type": "mac"}, "mac"),
        ({"token_type": "urn:example:token-type:x"}, "urn:example:token-type:x"),
        ({"token_type": 5}, UNREADABLE),
        ({"token_type": ["Bearer"]}, UNREADABLE),
        ({"token_type": "Bearer token"}, UNREADABLE),
        ({"token_type": "b" * 101}, UNREADABLE),
    ],
    ids=repr,
)
def test_a_token_type_is_kept_if_it_is_a_word(sent: dict[str, object], kept: str | None) -> None:
    found = tokens({"access_token": "at", **sent})
    assert found.token_type == kept
    assert is_bearer(found.token_type) is (kept is None or kept.lower() == "bearer")


def test_bug_a_token_type_with_a_nul_could_not_be_stored_and_cost_the_tokens() -> None:
    assert tokens({"access_token": "at", "token_type": "Bearer\x00"}).token_type == UNREADABLE


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_bug_half_a_surrogate_pair_in_a_token_raised_when_it_was_sent(name: str) -> None:
    fields = parse_object(b'{"%s": "a\\ud800b"}' % name.encode(), JSON)
    found = parse_tokens({"access_token": "at", **(fields or {})})
    if name == "access_token":
        assert found is None
    else:
        assert found is not None
        assert found.refresh_token is None


def test_form_encoded_answers_are_read_where_they_say_so() -> None:
    body = urlencode({"access_token": "a t&=", "refresh_token": "rt", "expires_in": "28800"})
    found = parse_tokens(parse_object(body.encode(), f"{FORM}; charset=utf-8") or {})
    assert found is not None
    assert found.access_token.reveal() == "a t&="
    assert found.known[RESPONSE].access_token == seconds(28800)
    assert parse_object(body.encode(), "text/plain") is None
    assert parse_object(body.encode(), "") is None


def test_json_is_read_whatever_it_calls_itself() -> None:
    for content_type in (JSON, "text/html", "", "application/octet-stream", FORM):
        assert parse_object(b'{"access_token": "at"}', content_type) == {"access_token": "at"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_bug_a_byte_order_mark_cost_the_tokens_behind_it(encoding: str) -> None:
    body = '{"access_token": "at"}'.encode(encoding)
    assert parse_object(body, JSON) == {"access_token": "at"}


def test_bug_a_byte_of_another_alphabet_cost_the_tokens_beside_it() -> None:
    body = '{"access_token": "at", "scope": "caf\u00e9"}'.encode("latin-1")
    assert (parse_object(body, JSON) or {})["access_token"] == "at"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"access_token"',
        b"3600",
        b"<!doctype html><p>blocked</p>",
        b'<a href="/?x=1&access_token=abc">login</a>',
        b'{"access_token": "at"',
        b"\x00\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        gzip.compress(b'{"access_token": "at"}', mtime=0),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_object_is_none(body: bytes) -> None:
    assert parse_object(body, JSON) is None
    assert parse_object(body, "text/html") is None


@given(st.binary(), st.sampled_from([JSON, FORM, "text/html", "", "\x00;;"]))
def test_no_bytes_make_it_raise(body: bytes, content_type: str) -> None:
    parse_tokens(parse_object(body, content_type) or {})


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)
NAMES = ["access_token", "refresh_token", "token_type", "scope", "expires_in", "refresh_expires_in"]


@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING))
def test_no_object_makes_it_raise_or_give_half_a_token(fields: dict[str, object]) -> None:
    found = parse_tokens(fields)
    if found is not None:
        assert found.access_token.reveal() == fields["access_token"] != ""
        kept = found.refresh_token
        assert kept is None or kept.reveal() == fields["refresh_token"] != ""


@given(st.dictionaries(st.sampled_from(NAMES), st.text(min_size=1)))
def test_a_form_is_read_as_the_same_fields(fields: dict[str, str]) -> None:
    assert parse_object(urlencode(fields).encode(), FORM) == fields


def test_tokens_are_not_shown() -> None:
    assert "mlcanary" not in repr(
        tokens({"access_token": "mlcanary-at", "refresh_token": "mlcanary-rt"})
    )
