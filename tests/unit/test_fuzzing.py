"""Whatever comes from outside: read or refused in our own words, soon, and nothing of it repeated.

Nothing that is thrown at a parser is thought up from nothing alone: most of it is something valid
that was cut, repeated, garbled or put together anew.
"""

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput, NotConfigured, StorageFault
from domain.outcomes import Outcome
from providers.classifier import Answer, classify
from providers.entry import Refusal
from providers.redirects import check_issuer, parse_redirect
from providers.token_answers import Tokens
from providers.transport import Reply
from storage.keyring import Keyring, new_key
from tests.stored import new_vault

CANARY = "mlcanary"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
WITHIN_S = 5
"""Of the processor, for a body as large as one may be; most take a few milliseconds."""
LARGEST = 1 << 20

Edit = Callable[[bytes], bytes]


def cut(at: int, length: int) -> Edit:
    return lambda value: value[: at % (len(value) + 1)] + value[at % (len(value) + 1) + length :]


def repeat(at: int, length: int) -> Edit:
    return lambda value: value + value[at % (len(value) + 1) :][:length]


def put(at: int, what: bytes) -> Edit:
    return lambda value: value[: at % (len(value) + 1)] + what + value[at % (len(value) + 1) :]


PLACE = st.integers(min_value=0, max_value=2000)
LENGTH = st.integers(min_value=1, max_value=40)
SPLINTERS = st.one_of(
    st.binary(min_size=1, max_size=6),
    st.sampled_from(
        [
            b"\x00",
            b"\xff\xfe",
            b"\\ud800",
            b"%",
            b"%ud8",
            b"&",
            b"=",
            b'"',
            b"{",
            b"[",
            b",",
            b"1e999",
        ]
    ),
)
EDITS = st.lists(
    st.one_of(
        st.builds(cut, PLACE, LENGTH),
        st.builds(repeat, PLACE, LENGTH),
        st.builds(put, PLACE, SPLINTERS),
    ),
    max_size=6,
)


def edited(value: bytes, edits: list[Edit]) -> bytes:
    for edit in edits:
        value = edit(value)
    return value


# -- the answer of a token endpoint ----------------------------------------------------------------

FIELDS = {
    "access_token": f"{CANARY}-at.eyJpYXQiOjEsImV4cCI6Mn0.x",
    "refresh_token": f"{CANARY}-rt",
    "token_type": "Bearer",
    "scope": "profile files",
    "expires_in": "3600",
    "error": "invalid_grant",
    "error_description": f"{CANARY}-text",
}
ANSWERS = st.lists(st.sampled_from(sorted(FIELDS)), unique=True).map(
    lambda names: {name: FIELDS[name] for name in names}
)
HEADERS = st.fixed_dictionaries(
    {"content-type": st.sampled_from([JSON, FORM, "text/html", "", ";", "\x00"])},
    optional={
        "retry-after": st.one_of(st.text(max_size=70), st.sampled_from(["1e9", "-1", "Thu"]))
    },
)
REFUSALS = (
    Refusal(fields={"error": "invalid_grant", "ok": False}, outcome=Outcome.ACCESS_REVOKED),
)


@given(ANSWERS, st.sampled_from([JSON, FORM]), EDITS, HEADERS, st.integers(100, 599))
def test_any_answer_of_a_token_endpoint_is_judged(
    fields: dict[str, str], form: str, edits: list[Edit], headers: dict[str, str], status: int
) -> None:
    body = json.dumps(fields) if form == JSON else urlencode(fields)
    answer = classify(Reply(status, headers, edited(body.encode(), edits)), REFUSALS)
    assert (answer.tokens is not None) is (answer.outcome is Outcome.REFRESHED)
    assert answer.outcome is not Outcome.REFRESHED or 200 <= status < 300
    assert CANARY not in repr(answer)
    assert answer.retry_after is None or answer.retry_after.total_seconds() >= 0
    if answer.tokens is not None:
        can_be_sent(answer.tokens)


def can_be_sent(tokens: Tokens) -> None:
    for token in (tokens.access_token, tokens.refresh_token):
        assert token is None or token.reveal().encode()


@given(st.integers(100, 599), EDITS)
def test_only_a_structured_refusal_ends_a_grant(status: int, edits: list[Edit]) -> None:
    page = edited(b"<!doctype html><p>error=invalid_grant</p>", edits)
    answer = classify(Reply(status, {"content-type": "text/html"}, page), REFUSALS)
    assert not answer.outcome.ends_grant


@pytest.mark.parametrize(
    ("begin", "piece", "end"),
    [
        (b"", b"[", b""),
        (b"", b'{"a":', b""),
        (b'{"access_token":"', b".", b'"}'),
        (b'{"access_token":"a.', b"A", b'.c"}'),
        (b'{"access_token":"at","expires_in":', b"9", b"}"),
        (b'{"access_token":"at","expires_in":"', b"9", b'"}'),
        (b'{"access_token":"at","expires_in":0.', b"0", b"1}"),
        (b'{"access_token":"', b"\\ud83d\\ude00", b'"}'),
        (b'{"access_token":"', b"\\ud800", b'"}'),
        (b"{", b'"access_token":"at",', b'"a":1}'),
        (b"", b"access_token=at&", b""),
        (b"", b"&", b""),
        (b"access_token=", b"%", b""),
        (b"access_token=", b"%ff", b""),
        (b"", b"\xff", b""),
        (b"\xff\xfe", b"\x00", b""),
        (b"", b" ", b"{}"),
    ],
    ids=lambda part: repr(part[:24]),
)
@pytest.mark.parametrize("content_type", [JSON, FORM])
def test_the_largest_answer_is_judged_soon(
    begin: bytes, piece: bytes, end: bytes, content_type: str
) -> None:
    body = begin + piece * ((LARGEST - len(begin + end)) // len(piece)) + end
    began = time.process_time()
    assert isinstance(classify(Reply(200, {"content-type": content_type}, body), REFUSALS), Answer)
    assert time.process_time() - began < WITHIN_S


# -- what a browser comes back with ----------------------------------------------------------------

BACK = f"https://connect.example/callback/books?code={CANARY}-code&state={CANARY}-state&iss=https%3A%2F%2Fi"


@given(EDITS, st.booleans())
def test_any_redirect_is_read_or_refused_in_our_own_words(edits: list[Edit], always: bool) -> None:
    changed = edited(BACK.encode(), edits)
    for how in ("replace", "surrogateescape"):
        refused = None
        try:
            found = parse_redirect(changed.decode(errors=how))
            check_issuer(found, "https://i", always_sent=always)
        except InvalidInput as error:
            refused = error
        if refused is not None:
            shown = "".join(traceback.format_exception(refused))
            assert CANARY not in shown
        else:
            assert CANARY not in repr(replace(found, address="", issuer=None))


# -- what is sealed, and the keys it is sealed with ------------------------------------------------

VAULT = new_vault("one", "two")
WRAPPED = VAULT.new_data_key(uuid4())
KEY = VAULT.unwrap(WRAPPED)
SEALED = KEY.seal("credentials", 1, {"access_token": f"{CANARY}-at"})
RING = f"{new_key('one')},{new_key('two')}"


@given(EDITS)
def test_only_what_was_sealed_opens(edits: list[Edit]) -> None:
    changed = edited(SEALED, edits)
    if changed == SEALED:
        return
    with pytest.raises(StorageFault) as fault:
        KEY.open("credentials", 1, changed)
    assert CANARY not in str(fault.value)


@given(EDITS)
def test_only_the_data_key_that_was_wrapped_opens(edits: list[Edit]) -> None:
    changed = edited(WRAPPED.wrapped, edits)
    if changed != WRAPPED.wrapped:
        with pytest.raises(StorageFault):
            VAULT.unwrap(replace(WRAPPED, wrapped=changed))


@given(EDITS)
def test_any_keyring_is_read_or_refused_without_showing_a_key(edits: list[Edit]) -> None:
    text = edited(RING.encode(), edits).decode(errors="replace")
    if text.startswith("file:"):
        return
    try:
        keys = Keyring.parse(text, "MOORLINE_KEYS")
    except NotConfigured as refused:
        said = str(refused)
        written = [entry.partition(":")[2] for entry in RING.split(",")]
        assert not any(key[at : at + 12] in said for key in written for at in range(32))
    else:
        assert {len(key) for key in keys.keys.values()} == {32}
