"""Whatever is damaged on its way to us: only the errors that are documented, and no secret in them.

What comes in is first of all valid, and then damaged: random bytes alone are turned away at the
first look, and would never get far.
"""

import asyncio
import json
import traceback
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext

from client.codec import ENCODING, EncryptionCodec
from client.converter import PayloadConverter
from domain.errors import InvalidInput, StorageFault
from domain.outcomes import Outcome
from domain.schedule import LONGEST_RETRY_AFTER, SECOND, retry_delay
from providers.classifier import BY_ERROR_CODE, classify, parse_retry_after
from providers.redirects import parse_redirect
from providers.token_answers import parse_object
from providers.transport import LONGEST_BODY, Reply
from storage.keyring import Keyring, new_key
from storage.vault import Vault

CANARY: Final = "mlcanary"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
CONNECTION = UUID("7f0c3f8e-0000-4000-8000-000000000001")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ODD: Final = (
    *(
        b"",
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\\ud800",
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b",",
        b":",
    ),
    *(b"&", b"=", b"%", b"%00", b"%ff", b";", b"#", b"?", b"[::1", b"@", b".", b"-", b"+9999"),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"access_token", b"error"),
)


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """A few pieces cut out, doubled, flipped, or replaced by something odd."""
    result = valid
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(result)))
        end = draw(st.integers(begin, min(len(result), begin + 40)))
        piece = result[begin:end]
        instead = draw(
            st.one_of(
                st.sampled_from(ODD),
                st.binary(max_size=8),
                st.just(piece * 2),
                st.just(bytes(byte ^ 1 for byte in piece)),
            )
        )
        result = result[:begin] + instead + result[end:]
    return result


def any_of(*valid: bytes) -> st.SearchStrategy[bytes]:
    return st.one_of(st.sampled_from(valid).flatmap(damaged), st.binary())


def shows_nothing(error: BaseException) -> None:
    """Neither the exception nor its traceback, which a log would hold, tells a secret."""
    assert CANARY not in "".join(traceback.format_exception(error)) + repr(error)


# -- what a token endpoint answers -------------------------------------------------------------

JWT = ".".join(
    urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in ({"alg": "none"}, {"iat": 1_800_000_000, "exp": 1_800_003_600}, CANARY)
)
ISSUED = {
    "access_token": f"{CANARY}-at",
    "refresh_token": f"{CANARY}-rt",
    "token_type": "Bearer",
    "expires_in": 3600,
    "scope": "a b",
}
ANSWERS = any_of(
    json.dumps(ISSUED).encode(),
    json.dumps({**ISSUED, "access_token": JWT, "expires_in": None}).encode(),
    json.dumps(ISSUED).encode("utf-16"),
    json.dumps({"error": "invalid_grant", "error_description": CANARY}).encode(),
    json.dumps({"error": f"unknown {CANARY}"}).encode(),
    urlencode(ISSUED).encode(),
    urlencode({"error": "invalid_client", "error_description": CANARY}).encode(),
)
HEADERS = st.fixed_dictionaries(
    {"content-type": st.one_of(st.sampled_from([JSON, FORM, f"{FORM}; charset=x"]), st.text())},
    optional={"retry-after": st.text()},
)
STATUSES = st.sampled_from([200, 201, 302, 400, 401, 403, 429, 500, 503])


@settings(max_examples=200)
@given(ANSWERS, HEADERS, STATUSES)
def test_every_answer_of_a_token_endpoint_is_classified(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = classify(Reply(status, headers, body))
    assert (answer.tokens is not None) is (answer.outcome is Outcome.REFRESHED)
    assert answer.code is None or answer.code in BY_ERROR_CODE
    # What is written into the journal and shown to people.
    assert CANARY not in repr(replace(answer, tokens=None))
    if answer.outcome.ends_grant:
        assert (parse_object(body, headers["content-type"]) or {})["error"] == "invalid_grant"
    if answer.tokens is not None:
        tokens = (answer.tokens.access_token, answer.tokens.refresh_token)
        assert all(token.reveal().encode() for token in tokens if token)


def test_bug_a_form_of_many_fields_held_up_everything_else() -> None:
    """For more than a second, in which no lease is renewed."""
    body = b"access_token=at" + b"&a=1" * (LONGEST_BODY // 4 - 4)
    assert parse_object(body, FORM) is None


RETRY_AFTER = any_of(b"7", b"120", b"Sat, 21 Nov 2026 12:00:07 GMT", b"Sat Nov 21 12:00:07 2026")


@settings(max_examples=100)
@given(RETRY_AFTER.map(lambda value: value.decode("latin-1")), st.integers(1, 10**6))
def test_whatever_a_provider_asks_for_we_wait_between_a_second_and_little_more_than_an_hour(
    value: str, failures: int
) -> None:
    asked = parse_retry_after(value, NOW)
    assert asked is None or asked >= timedelta(0)
    assert SECOND <= retry_delay(CONNECTION, failures, asked) <= 1.1 * LONGEST_RETRY_AFTER


# -- what a browser brings back ----------------------------------------------------------------

BACK = "http://127.0.0.1:8400/callback"
REDIRECTS = any_of(
    f"{BACK}?code={CANARY}-code&state={CANARY}-state&iss=https%3A%2F%2Fissuer.example".encode(),
    f"{BACK}?error=access_denied&error_description={CANARY}&state={CANARY}-state".encode(),
)


@settings(max_examples=200)
@given(REDIRECTS.map(lambda url: url.decode("utf-8", "surrogateescape")))
def test_a_redirect_is_read_or_refused_without_a_word_of_what_was_in_it(url: str) -> None:
    try:
        found = parse_redirect(url)
    except InvalidInput as error:
        shows_nothing(error)
    else:
        assert found.state.reveal()
        assert (found.code is None) is (found.refusal is not None)


# -- what is sealed ----------------------------------------------------------------------------

VAULT = Vault(Keyring.parse(new_key("one"), "keys"))
WRAPPED = VAULT.new_data_key(CONNECTION)
KEY = VAULT.unwrap(WRAPPED)
SEALED = KEY.seal("credentials", 1, {"access_token": f"{CANARY}-at", "refresh_token": None})


@settings(max_examples=120)
@given(any_of(SEALED))
def test_a_sealed_secret_opens_whole_or_not_at_all(sealed: bytes) -> None:
    refuses_unless(sealed == SEALED, lambda: KEY.open("credentials", 1, sealed))


@settings(max_examples=120)
@given(st.one_of(st.just("one"), st.text()), any_of(WRAPPED.wrapped), st.booleans())
def test_a_wrapped_key_opens_whole_and_in_its_place_or_not_at_all(
    key_id: str, wrapped: bytes, elsewhere: bool
) -> None:
    row = replace(WRAPPED, key_id=key_id, wrapped=wrapped)
    if elsewhere:
        row = replace(row, connection_id=UUID(int=0))
    refuses_unless(row == WRAPPED, lambda: VAULT.unwrap(row))


def refuses_unless(whole: bool, open_it: Callable[[], object]) -> None:
    if whole:
        open_it()
        return
    with pytest.raises(StorageFault) as refused:
        open_it()
    shows_nothing(refused.value)


# -- what Temporal holds -----------------------------------------------------------------------

PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps({"alias": CANARY}).encode())
CODEC = EncryptionCodec(Keyring.parse(new_key("one"), "keys"))
STRICT = EncryptionCodec(CODEC._keyring, required=True)
OURS = WorkflowSerializationContext(namespace="default", workflow_id="connection-1")
ACTIVITY = ActivitySerializationContext(
    namespace="default",
    activity_id="1",
    activity_type="refresh_credentials",
    activity_task_queue="moorline",
    workflow_id="connection-1",
    workflow_type="ConnectionWorkflow",
    is_local=False,
)
CODECS = [made for codec in (CODEC, STRICT) for made in (codec.with_context(OURS), codec)] + [
    CODEC.with_context(ACTIVITY)
]


def run(codec: EncryptionCodec, payload: Payload) -> Payload:
    """Decoded: nothing in a codec waits."""
    (decoded,) = asyncio.run(codec.decode([payload]))
    return decoded


(ENCRYPTED,) = asyncio.run(CODEC.with_context(OURS).encode([PLAIN]))


@st.composite
def payloads(draw: st.DrawFn) -> Payload:
    """An encrypted payload, or a plain one, with any of its parts damaged."""
    payload = Payload()
    payload.CopyFrom(draw(st.sampled_from([ENCRYPTED, PLAIN])))
    payload.data = draw(any_of(payload.data))
    for name in ("encoding", "kid", "bind"):
        if draw(st.booleans()):
            payload.metadata[name] = draw(any_of(b"one", b"connection-1", ENCODING, b"json/plain"))
    return payload


@settings(max_examples=120)
@given(payloads(), st.sampled_from(CODECS))
def test_a_damaged_payload_stops_no_workflow_and_shows_nothing(
    payload: Payload, codec: EncryptionCodec
) -> None:
    try:
        decoded = run(codec, payload)
    except StorageFault as error:
        assert codec._workflow_id is None  # as the codec endpoint, which returns it as it came
        shows_nothing(error)
        return
    if payload.metadata["encoding"] == ENCODING and _changed(payload):
        assert CANARY.encode() not in decoded.SerializeToString()
    read: Sequence[Any] = PayloadConverter().from_payloads([decoded], [object])
    assert len(read) == 1


def _changed(payload: Payload) -> bool:
    return payload.data != ENCRYPTED.data or payload.metadata != ENCRYPTED.metadata
